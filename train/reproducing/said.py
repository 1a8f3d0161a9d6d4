"""What a row's system says of images that its networks have not seen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from train.pipeline import Pipeline
from train.reproducing.other_combiners import OTHERS, joined
from train.reproducing.tables import TOGETHER, Row

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Said:
    probabilities: Floats  # images × classes
    targets: Codes
    folds: Codes
    score: int  # the class that is looked for
    decided: Codes | None = None  # by the system's own rule

    @property
    def chosen(self) -> Codes:
        """The class that is decided for: the most probable one, where there is no other rule."""
        return self.probabilities.argmax(axis=1) if self.decided is None else self.decided

    @property
    def truth(self) -> Flags:
        return self.targets == self.score

    @property
    def scores(self) -> Floats:
        return self.probabilities[:, self.score]

    @cached_property
    def called(self) -> Flags:
        """By each fold's threshold: Youden's on all other folds, never on the images it judges."""
        called = np.zeros(len(self.targets), dtype=bool)
        for fold in np.unique(self.folds):
            here = self.folds == fold
            called[here] = self.scores[here] >= youden(self.scores[~here], self.truth[~here])
        return called


def youden(scores: Floats, positive: Flags) -> float:
    """The score from which on calling melanoma makes sensitivity plus specificity largest."""
    order = np.argsort(-scores, kind="stable")
    ranked, truth = scores[order], positive[order]
    last_of_value = np.append(ranked[1:] != ranked[:-1], True)
    gain = np.cumsum(truth) / truth.sum() - np.cumsum(~truth) / (~truth).sum()
    return float(ranked[last_of_value][np.argmax(gain[last_of_value])])


def said_by(pipeline: Pipeline, row: Row) -> Said:
    recipe, table = pipeline.recipe, pipeline.table
    predictions, decided = pipeline.combining.predictions(), None
    if row.without:
        assert len(recipe.members) == 1, "what joins several would have to be asked again"
        probabilities = pipeline.classifying.out_of_fold(row.without)[:, 0]
    elif row.system == TOGETHER:
        probabilities = predictions.ensemble
        decided = pipeline.combining.chosen(probabilities)
    elif row.system in OTHERS:
        probabilities = joined(
            row.system, predictions.members, table.targets, pipeline.folds, recipe.seed
        )
    else:
        probabilities = predictions.members[:, predictions.names.index(row.system)]
    score = recipe.classes.index(recipe.score)
    return Said(probabilities, table.targets, pipeline.folds, score, decided)
