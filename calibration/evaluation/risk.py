"""How many mistakes are left when the most doubtful images are not decided: risk by coverage.

Whatever a bundle could abstain by puts the images into an order. A good doubt has the mistakes at
its end. The order of the scores themselves, nearness to the threshold, is the one to beat: it is
known without measuring anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from calibration.evaluation.cases import Cases

Floats = npt.NDArray[np.float64]
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.6)
NEARNESS = "nearness to the threshold"
SEED = 0
LEAST = 1e-9  # of a probability, before its logarithm


@dataclass(frozen=True)
class Risk:
    """`wrong` are decisions at the threshold, by image; `doubts` of the same images by name."""

    wrong: npt.NDArray[np.bool_]
    positive: npt.NDArray[np.bool_]
    doubts: dict[str, Floats]

    def curve(self, doubt: str) -> tuple[Floats, Floats]:
        """Coverage, and the share of wrong decisions among the images that are left."""
        wrong = self.wrong[self._order(doubt)]
        counts = np.arange(1, len(wrong) + 1)
        return counts / len(wrong), np.cumsum(wrong) / counts

    def at(self, doubt: str, coverage: float) -> dict[str, float | None]:
        left = self._order(doubt)[: max(round(coverage * len(self.wrong)), 1)]
        right, positive = ~self.wrong[left], self.positive[left]
        return {
            "coverage": coverage,
            "wrong": _share(~right),
            "sensitivity": _share(right[positive]),
            "specificity": _share(right[~positive]),
        }

    def area(self, doubt: str) -> float:
        """Under its curve: the mean risk over all coverages."""
        return float(self.curve(doubt)[1].mean())

    def as_dict(self) -> dict[str, object]:
        return {
            doubt: {
                "area": round(self.area(doubt), 6),
                "at": [self.at(doubt, coverage) for coverage in COVERAGES],
            }
            for doubt in self.doubts
        }

    def _order(self, doubt: str) -> npt.NDArray[np.int64]:
        """Where doubts are equal, in an order that has nothing to do with the table's."""
        mixed = np.random.default_rng(SEED).permutation(len(self.wrong))
        return mixed[np.argsort(self.doubts[doubt][mixed], kind="stable")]


def risk_of(cases: Cases) -> Risk | None:
    """None where nothing is decided. A doubt that was not measured on every image is left out."""
    if not cases.decides:
        return None
    rows = cases.rows
    results = [cases.judged.judgements[row].result for row in rows.tolist()]
    said = [result for result in results if result is not None]
    measured = {
        "disagreement": [result.disagreement for result in said],
        "unlikeness": [result.ood for result in said],
    }
    doubts = {NEARNESS: -np.abs(_logit(cases.scores[rows]) - _logit(cases.thresholds[rows]))}
    for name, values in measured.items():
        if None not in values:
            doubts[name] = np.array(values, dtype=np.float64)
    wrong = cases.called[rows] != cases.malignant[rows]
    return Risk(wrong, cases.malignant[rows], doubts)


def _logit(shares: Floats) -> Floats:
    inside = np.clip(shares, LEAST, 1 - LEAST)
    return np.asarray(np.log(inside / (1 - inside)))


def _share(flags: npt.NDArray[np.bool_]) -> float | None:
    return round(float(flags.mean()), 6) if len(flags) else None
