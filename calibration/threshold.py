"""The threshold for a wanted sensitivity, and what it reaches on images it was not chosen on."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
import numpy.typing as npt

from calibration.intervals import wilson
from runtime.bundle import Interval, OperatingPoint
from runtime.errors import UsageError
from train.data.metrics import RESAMPLES

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Threshold:
    value: float
    interval: Interval  # where the threshold would lie had other images been drawn
    point: OperatingPoint


def threshold_for(scores: Doubles, positive: Flags, sensitivity: float) -> float:
    """The highest threshold that refers at least this share of the positives that are to come.

    A new positive's score is as likely to fall into each of the n + 1 gaps between those known, so
    it is that share of n + 1 that has to lie above. A threshold that just refers the share of the n
    known ones falls short on new ones, the more so the fewer there are.
    """
    descending = np.sort(scores[positive])[::-1]
    needed = max(ceil(sensitivity * (len(descending) + 1) - 1e-9), 1)
    needed = min(needed, len(descending))
    # The record holds the score and the threshold as JSON; rounding down keeps ">=" true of both.
    lowest = float(descending[needed - 1])
    rounded = floor(lowest * 1e6) / 1e6
    return rounded if rounded <= lowest else rounded - 1e-6  # the product itself may round up


def choose_threshold(
    scores: Doubles, positive: Flags, folds: npt.NDArray[np.int64], sensitivity: float, origin: str
) -> Threshold:
    """Chosen on all predictions; judged fold by fold with a threshold chosen on the other folds.

    On the images it is chosen on, a threshold meets its sensitivity by construction. Crossing the
    folds gives the figure that new images can be expected to give, and that is the one stored.
    """
    _enough(int(positive.sum()), int((~positive).sum()), sensitivity)
    value = threshold_for(scores, positive, sensitivity)
    referred = refer_crossed(scores, positive, folds, sensitivity)
    hits, misses = int(referred[positive].sum()), int(referred[~positive].sum())
    positives, negatives = int(positive.sum()), int((~positive).sum())
    point = OperatingPoint(
        target_sensitivity=sensitivity,
        sensitivity=hits / positives,
        sensitivity_interval=wilson(hits, positives),
        specificity=1 - misses / negatives,
        specificity_interval=wilson(negatives - misses, negatives),
        positives=positives,
        negatives=negatives,
        predictions=origin,
    )
    return Threshold(value, _resampled(scores[positive], sensitivity), point)


def refer_crossed(
    scores: Doubles, positive: Flags, folds: npt.NDArray[np.int64], sensitivity: float
) -> Flags:
    """Each fold decided with a threshold that was chosen on the others."""
    referred = np.zeros(len(scores), dtype=bool)
    for fold in np.unique(folds):
        here = folds == fold
        elsewhere = ~here if (positive & ~here).any() else here
        limit = threshold_for(scores[elsewhere], positive[elsewhere], sensitivity)
        referred[here] = scores[here] >= limit
    return referred


def _resampled(positives: Doubles, sensitivity: float) -> Interval:
    rng = np.random.default_rng(0)
    everyone = np.ones(len(positives), dtype=bool)
    values = [
        threshold_for(rng.choice(positives, len(positives)), everyone, sensitivity)
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(low=float(low), high=float(high))


def _enough(positives: int, negatives: int, sensitivity: float) -> None:
    """With fewer positives than this, missing one is already more than is allowed."""
    needed = ceil(1 / (1 - sensitivity) - 1e-9)
    if positives < needed or negatives < 1:
        raise UsageError(
            f"There are too few images to choose a threshold for a sensitivity of {sensitivity:g}.",
            got=f"{positives} positives and {negatives} negatives",
            expected=f"at least {needed} positives and a negative",
            remedy="Train and predict on more images, or ask for a lower sensitivity.",
        )
