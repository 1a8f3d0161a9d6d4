"""A table's figures, fold by fold: mean and deviation, as papers print them.

The threshold of a fold is the one with the largest Youden index on the predictions of all other
folds: images that decide where it lies are not judged by it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from train.data.metrics import auc

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Spread:
    """In per cent, over the folds."""

    mean: float
    deviation: float

    def __str__(self) -> str:
        return f"{self.mean:.2f}±{self.deviation:.2f}"


def by_fold(scores: Floats, positive: Flags, folds: Codes) -> dict[str, Spread]:
    rows = [_figures(scores, positive, folds == fold) for fold in np.unique(folds)]
    return {name: _spread(row[name] for row in rows) for name in rows[0]}


def _figures(scores: Floats, positive: Flags, here: Flags) -> dict[str, float]:
    called = scores[here] >= youden(scores[~here], positive[~here])
    truth = positive[here]
    return {
        "accuracy": float((called == truth).mean()),
        "sensitivity": float(called[truth].mean()),
        "specificity": float((~called[~truth]).mean()),
        "auc": auc(truth, scores[here]),
    }


def youden(scores: Floats, positive: Flags) -> float:
    """The score from which on calling melanoma makes sensitivity plus specificity largest."""
    order = np.argsort(-scores, kind="stable")
    ranked, truth = scores[order], positive[order]
    last_of_value = np.append(ranked[1:] != ranked[:-1], True)
    gain = np.cumsum(truth) / truth.sum() - np.cumsum(~truth) / (~truth).sum()
    return float(ranked[last_of_value][np.argmax(gain[last_of_value])])


def _spread(values: Iterable[float]) -> Spread:
    numbers = 100 * np.asarray(list(values))
    deviation = float(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0
    return Spread(float(numbers.mean()), deviation)
