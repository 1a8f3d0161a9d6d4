"""One temperature on log-probabilities, so that a probability of 0.3 comes true three in ten."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from runtime.decision import temper

Doubles = npt.NDArray[np.float64]

SEARCHED = np.geomspace(0.1, 10.0, 400)  # steps of about one percent


def negative_log_likelihood(probabilities: Doubles, targets: npt.NDArray[np.int64]) -> float:
    true = probabilities[np.arange(len(targets)), targets]
    return float(-np.log(np.maximum(true, np.finfo(np.float64).tiny)).mean())


def fit_temperature(probabilities: Doubles, targets: npt.NDArray[np.int64]) -> float:
    """The temperature of the highest likelihood: convex in its logarithm, so a grid finds it."""
    losses = [negative_log_likelihood(temper(probabilities, t), targets) for t in SEARCHED]
    return float(SEARCHED[int(np.argmin(losses))])


def calibration_error(probabilities: Doubles, outcomes: npt.NDArray[np.bool_]) -> float:
    """Expected calibration error of one class over ten bins of equal width."""
    bins = np.minimum((probabilities * 10).astype(int), 9)
    gaps = [
        abs(probabilities[inside].mean() - outcomes[inside].mean()) * inside.sum()
        for inside in (bins == number for number in range(10))
        if inside.any()
    ]
    return float(np.sum(gaps) / len(outcomes))
