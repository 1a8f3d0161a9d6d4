"""What a call is worth in clinics that see other shares of malignant lesions than the data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from calibration.evaluation.bootstrap import Estimate

Floats = npt.NDArray[np.float64]

PREVALENCES = (0.01, 0.02, 0.05, 0.1, 0.2)


def predictive_values(
    sensitivity: Floats, specificity: Floats, prevalences: Sequence[float] = PREVALENCES
) -> dict[str, Floats]:
    """By Bayes: `ppv@0.01` is the positive predictive value where one in a hundred is positive."""
    values = {}
    for share in prevalences:
        hit, missed = sensitivity * share, (1 - sensitivity) * share
        left, alarm = specificity * (1 - share), (1 - specificity) * (1 - share)
        values[f"ppv@{share:g}"] = hit / (hit + alarm)
        values[f"npv@{share:g}"] = left / (left + missed)
    return values


def widened(figures: dict[str, Estimate]) -> dict[str, Estimate]:
    """Where every positive was found (or every other left alone), no resample misses one, and a
    predictive value would look certain. There its interval goes from the low ends of sensitivity
    and specificity to their high ends."""
    pair = [figures[name] for name in ("sensitivity", "specificity")]
    if not any(one.value in (0.0, 1.0) for one in pair):
        return figures
    ends = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for side in ("low", "high"):
            known = [
                np.array([np.nan if v is None else v]) for v in (getattr(p, side) for p in pair)
            ]
            ends.append(predictive_values(known[0], known[1]))
    return figures | {
        name: replace(figures[name], low=_finite(ends[0][name]), high=_finite(ends[1][name]))
        for name in ends[0]
    }


def _finite(value: Floats) -> float | None:
    return float(value[0]) if np.isfinite(value[0]) else None
