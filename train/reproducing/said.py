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
    even: Floats | None = None  # the score from which the system itself says yes, image by image

    @property
    def chosen(self) -> Codes:
        """The class that the system decides for: the most probable one, where it has no own way."""
        if self.even is None:
            return self.probabilities.argmax(axis=1)
        return np.where(self.scores >= self.even, self.score, 1 - self.score)

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
    predictions, even = pipeline.combining.predictions(), None
    if row.without:
        probabilities = pipeline.classifying.out_of_fold(row.without)[:, 0]
    elif row.system == TOGETHER:
        probabilities, even = predictions.ensemble, pipeline.combining.even()
    elif row.system in OTHERS:
        probabilities = joined(
            row.system, predictions.members, table.targets, pipeline.folds, recipe.seed
        )
    else:
        probabilities = predictions.members[:, predictions.names.index(row.system)]
    score = recipe.classes.index(recipe.score)
    return Said(probabilities, table.targets, pipeline.folds, score, even)
