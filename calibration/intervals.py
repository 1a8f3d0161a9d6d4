"""Intervals for a proportion."""

from __future__ import annotations

from statistics import NormalDist

from runtime.bundle import Interval


def wilson(hits: int, count: int, level: float = 0.95) -> Interval:
    """Wilson's score interval: honest near 0 and 1 and for small counts, where n·p is not."""
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = hits / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    reach = z * ((share * (1 - share) + z * z / (4 * count)) / count) ** 0.5 / (1 + z * z / count)
    return Interval(low=max(centre - reach, 0.0), high=min(centre + reach, 1.0), level=level)


def share_fields(hits: int, count: int) -> dict[str, float | int]:
    """A proportion with its interval, for JSON."""
    interval = wilson(hits, count)
    ends = {"low": round(interval.low, 6), "high": round(interval.high, 6)}
    return {"value": round(hits / count, 6), **ends, "n": count}
