"""How large a loss may be that was not seen: upper confidence bounds for losses on few positives.

Nobody lost among 100 positives does not mean that nobody will be: it is what a candidate that
loses 3 of 100 shows one time in twenty. So what is held against a limit is a bound, not a share.
"""

from __future__ import annotations

from math import ceil, floor, sqrt
from statistics import NormalDist

LEVEL = 0.95  # one-sided
STEPS = 60  # of bisection: to the last bits of a double
MOST = 10_000_000  # positives; a limit that needs more cannot be met in practice


def binomial_upper(hits: int, count: int, level: float = LEVEL) -> float:
    """Clopper and Pearson's exact upper bound of a proportion: 1 − 0.05^(1/n) for no hit."""
    from scipy.special import betaincinv

    return 1.0 if hits >= count else float(betaincinv(hits + 1, count - hits, level))


def score_upper(lost: int, gained: int, count: int, level: float = LEVEL) -> float:
    """Tango's score bound for the difference of two paired proportions, (lost − gained) / count.

    It is the difference that what was seen is just compatible with; the other unknown, how often
    decisions are gained, is at its most likely value for that difference. By hand, because SciPy
    has none.
    """
    if count == 0:
        return 1.0
    z = NormalDist().inv_cdf(level)
    low, high = (lost - gained) / count, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if _score(lost, gained, count, middle) > -z:
            low = middle
        else:
            high = middle
    return high


def loss_bound(lost: int, gained: int, count: int, level: float = LEVEL) -> float:
    """The upper bound of a sensitivity's loss, of paired decisions on `count` positives.

    The larger of two. Without a gain the exact binomial bound is the honest one; with gains,
    which add noise to the difference, the score bound is. Neither alone is honest in both cases:
    the score bound would believe a limit of 1 % from 268 positives, where the exact one asks for
    299, and the binomial one takes ten losses and ten gains for nothing.
    """
    if count == 0:
        return 1.0
    net = binomial_upper(max(lost - gained, 0), count, level)
    return max(net, score_upper(lost, gained, count, level))


def positives_needed(limit: float, lost: int = 0, gained: int = 0, count: int = 0) -> int | None:
    """About how many positives it takes to believe the limit, were all shares to stay as they are.

    None where no number would do, because the share itself is not below the limit.
    """
    if count and (lost - gained) / count >= limit:
        return None

    def believed(positives: int) -> bool:
        scale = positives / count if count else 0.0
        more = ceil(lost * scale - 1e-9), floor(gained * scale + 1e-9)
        return loss_bound(*more, positives) <= limit

    high = 1
    while not believed(high):
        high *= 2
        if high > MOST:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if believed(middle) else (middle, high)
    return high


def _score(lost: int, gained: int, count: int, difference: float) -> float:
    """How many deviations what was seen lies above what a difference of this size predicts."""
    a = 2 * count
    b = (2 * count - lost + gained) * difference - lost - gained
    c = -gained * difference * (1 - difference)
    share = (sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)  # of gains, most likely
    variance = count * (2 * share + difference * (1 - difference))
    distance = lost - gained - count * difference
    if variance <= 0:
        return float("inf") if distance >= 0 else float("-inf")
    return distance / sqrt(variance)
