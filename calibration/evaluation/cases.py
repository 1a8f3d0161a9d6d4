"""Judged images as arrays: what every figure, table and drawing of an evaluation is made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from calibration.evaluation.masks import MaskScores
from calibration.judged import Judged
from runtime.reporting.wording import group_of

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cases:
    """Images whose label the bundle knows, in the table's order."""

    judged: Judged
    masks: MaskScores

    def __len__(self) -> int:
        return len(self.judged.table)

    @cached_property
    def rows(self) -> Rows:
        """Where there is a score: abstained and rejected ones too, so that abstaining often
        makes no figure look better."""
        return np.flatnonzero(self.judged.scored)

    @cached_property
    def targets(self) -> Rows:
        return self.judged.targets

    @cached_property
    def malignant(self) -> Flags:
        return self.judged.malignant

    @cached_property
    def scores(self) -> Floats:
        return self.judged.scores

    @cached_property
    def is_scored_class(self) -> Flags:
        """What the score, read as a probability, is a probability of."""
        return np.asarray(self.targets == self.judged.classes.index(self.judged.score))

    @cached_property
    def thresholds(self) -> Floats:
        """Each image's own: folds that are pooled were fitted one by one. NaN where none is."""
        results = (judgement.result for judgement in self.judged.judgements)
        return np.array(
            [np.nan if r is None or r.threshold is None else r.threshold for r in results]
        )

    @property
    def decides(self) -> bool:
        """Whether every score can be held against a threshold."""
        return len(self.rows) > 0 and bool(np.isfinite(self.thresholds[self.rows]).all())

    @cached_property
    def called(self) -> Flags:
        """At or above the threshold, whatever the status."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.scores >= self.thresholds)

    @cached_property
    def decided(self) -> Flags:
        return np.array([status == "ok" for status in self.judged.statuses])

    @cached_property
    def outcomes(self) -> tuple[str, ...]:
        """What a user of the device would have seen: refer, no-referral, abstained, …"""
        return tuple(
            "unreadable" if judgement.result is None else group_of(judgement.result)
            for judgement in self.judged.judgements
        )
