"""Figures of repeated measurements: percentiles as trtexec defines them, and their scatter."""

from __future__ import annotations

import math
from collections.abc import Sequence

PERCENTILES = (50, 90, 95, 99)


def percentile(values: Sequence[float], percent: int) -> float:
    """`sorted[max(n-1-int((1-p/100)*n), 0)]`: always a value that was seen.

    The product is taken in integers: in floats a hundredth can be missing, and with it a value.
    """
    count = len(values)
    return sorted(values)[max(count - 1 - (100 - percent) * count // 100, 0)]


def summarise(ms: Sequence[float]) -> dict[str, float]:
    """What a report says of one series, in milliseconds; `cv` is the deviation over the mean."""
    mean = math.fsum(ms) / len(ms)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in ms) / len(ms))
    shares = {f"p{percent}": percentile(ms, percent) for percent in PERCENTILES}
    extremes = {"min": min(ms), "max": max(ms)}
    spread = {"mean": mean, "cv": deviation / mean if mean else 0.0}
    return {"runs": len(ms), **shares, **extremes, **spread}
