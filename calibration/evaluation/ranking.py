"""What the order of scores is worth, under any weights of the images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

ROUNDING = 1e-9  # a sum of shares that should be 0.95 may lack the last bit


class Ranking:
    """Scores in falling order. Images of equal score are passed at once, in one step."""

    def __init__(self, positive: Flags, scores: Floats) -> None:
        self._order = np.argsort(-scores, kind="stable")
        falling = scores[self._order]
        self._positive = positive[self._order].astype(np.float64)
        self._ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
        self.thresholds = falling[self._ends]

    def counts(self, weights: Floats) -> tuple[Floats, Floats]:
        """True and false positives at each threshold, from above all scores downward."""
        ordered = weights[:, self._order]
        hits = np.cumsum(ordered * self._positive, axis=1)[:, self._ends]
        called = np.cumsum(ordered, axis=1)[:, self._ends]
        start = np.zeros((len(weights), 1))
        return np.hstack([start, hits]), np.hstack([start, called - hits])

    def rates(self, weights: Floats) -> tuple[Floats, Floats]:
        """Sensitivity and 1 − specificity at each threshold. NaN without positives, negatives."""
        hits, alarms = self.counts(weights)
        return hits / hits[:, -1:], alarms / alarms[:, -1:]


def area(sensitivity: Floats, alarms: Floats) -> Floats:
    """Area under the ROC curve, by trapezoids: ties count one half."""
    heights = (sensitivity[:, 1:] + sensitivity[:, :-1]) / 2
    return np.asarray((np.diff(alarms, axis=1) * heights).sum(axis=1))


def area_above(sensitivity: Floats, alarms: Floats, least: float) -> Floats:
    """Area between the ROC curve and the line of the least sensitivity that is of use.

    From 0 to 1 − least. A step that crosses the line counts from where it does.
    """
    over = np.maximum(sensitivity - least, 0.0)
    below, above = over[:, :-1], over[:, 1:]
    rise = np.diff(sensitivity, axis=1)
    share = np.where(rise > 0, (above - below) / np.where(rise > 0, rise, 1.0), 1.0)
    return np.asarray((np.diff(alarms, axis=1) * share * (above + below) / 2).sum(axis=1))


def specificity_at(sensitivity: Floats, alarms: Floats, wanted: float) -> Floats:
    """At the highest threshold that reaches the sensitivity: no curve is drawn between images."""
    first = np.argmax(sensitivity >= wanted - ROUNDING, axis=1)
    return np.asarray(1 - np.take_along_axis(alarms, first[:, None], axis=1)[:, 0])


def sensitivity_at(sensitivity: Floats, alarms: Floats, wanted: float) -> Floats:
    """At the lowest threshold that keeps the specificity."""
    kept = (alarms <= 1 - wanted + ROUNDING).sum(axis=1) - 1
    return np.asarray(np.take_along_axis(sensitivity, np.maximum(kept, 0)[:, None], axis=1)[:, 0])


def average_precision(hits: Floats, alarms: Floats) -> Floats:
    """Precision at each threshold, weighted by the positives that are first found there."""
    called = hits + alarms
    precision = hits / np.where(called > 0, called, 1.0)
    return np.asarray((np.diff(hits, axis=1) * precision[:, 1:]).sum(axis=1) / hits[:, -1])
