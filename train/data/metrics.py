"""What training, evaluation and the gate all report: areas under curves, overlaps of masks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
RESAMPLES = 1000


def auc(positive: npt.NDArray[np.bool_], scores: Floats) -> float:
    """The chance that a positive scores above a negative; ties count one half. NaN without both."""
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # of ties, the middle one
    total = float(ranks[positive].sum())
    return (total - positives * (positives + 1) / 2) / (positives * negatives)


def overlap(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """Dice and Jaccard of two masks of 0 and 1. Two without a lesion agree."""
    both = int(np.count_nonzero(one & other))
    sizes = int(np.count_nonzero(one)) + int(np.count_nonzero(other))
    if sizes == 0:
        return 1.0, 1.0
    return 2 * both / sizes, both / (sizes - both)


def ranked_classes(count: int) -> list[int]:
    """The classes that a mean is over: all but the last, the common one that is the rest.

    (ISIC 2017 ranks by the mean over melanoma and seborrheic keratosis; nevus is the rest.)
    """
    return list(range(count - 1))


def mean_auc(
    targets: npt.NDArray[np.int64], probabilities: Floats, classes: Sequence[int]
) -> float:
    """The mean over `classes` of each one against the rest."""
    return float(np.mean([auc(targets == code, probabilities[:, code]) for code in classes]))


def bootstrap(
    count: int,
    measure: Callable[[npt.NDArray[np.int64]], npt.ArrayLike],
    *,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The percentile interval of `measure(rows)` over resampled rows, of each of its figures;
    undefined draws are left out."""
    rng = np.random.default_rng(seed)
    draws = [measure(rng.integers(0, count, count)) for _ in range(RESAMPLES)]
    values = np.asarray(draws, dtype=np.float64)
    tail = (1 - level) / 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a figure that no draw defines has none
        low, high = np.nanquantile(values, [tail, 1 - tail], axis=0)
    return low, high
