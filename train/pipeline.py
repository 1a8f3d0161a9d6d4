"""All stages of a run, in order, each skipped when its result is there and its inputs unchanged.

segmenter, one a fold      → masks of images it has not seen
purifiers, one a fold      → what they make of images they have not seen
images of scarce classes   → generators, one set a fold → pictures that members see as well
views cut by those masks   → members, one a fold → their statistics, where a recipe asks for clean
                             ones → out-of-fold predictions
all images                 → the segmenter and the members that ship
out-of-fold predictions    → what joins the members, one a fold (for `export --fold K`), one of all

The networks that ship are trained on everything; what they are worth is told by the folds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from train.data.table import Table
from train.recipe import Recipe
from train.stage import Stage
from train.stages.classifying import Classifying
from train.stages.combining import Combining
from train.stages.purifying import Purifying
from train.stages.run import FINAL, Dealt, Run
from train.stages.segmenting import Segmenting
from train.stages.synthesising import Synthesising
from train.trainer import Machine


class Pipeline:
    def __init__(
        self,
        recipe: Recipe,
        table: Table,
        folds: npt.NDArray[np.int64],
        out: Path,
        machine: Machine,
        beside: tuple[Path, ...] = (),
        outlined: Dealt | None = None,
    ) -> None:
        """`outlined`: the images that the segmenter learns from, where those are others."""
        self.recipe, self.table, self.folds, self.machine = recipe, table, folds, machine
        self._run = run = Run(recipe, table, folds, out, machine, beside)
        taught = run
        if outlined is not None:
            taught = replace(run, table=outlined.table, folds=outlined.folds)
        self.segmenting = None if recipe.segmenter is None else Segmenting(run, taught)
        self.purifying = None if recipe.purifier is None else Purifying(run, self.segmenting)
        synthesising = None if recipe.synthetic is None else Synthesising(run)
        self.classifying = Classifying(run, self.segmenting, self.purifying, synthesising)
        self.combining = Combining(run, self.segmenting, self.classifying)

    @property
    def fold_parts(self) -> list[str]:
        return self._run.fold_parts

    def run(self, final: bool = True) -> dict[str, Any]:
        """`final`: also the networks that ship, which no table is made of."""
        parts = [*self.fold_parts, *([FINAL] if final else [])]
        for stage in self._stages(parts):
            stage.forget_if_stale()
        if self.segmenting is not None:
            for part in parts:
                self.segmenting.train(part)
            self.segmenting.masks  # noqa: B018  made here, so that a missing mask is known early
        if self.purifying is not None:
            for part in parts:
                self.purifying.train(part)
            self.purifying.show()
        for member in self.recipe.members:
            for part in parts:
                self.classifying.train(member, part)
                self.classifying.measure_statistics(member, part)
                if member in self.recipe.unlikeness:
                    self.classifying.fit_unlikeness(member, part)
        return self.combining.fit(parts)

    def _stages(self, parts: list[str]) -> Iterator[Stage]:
        """All whose results are exported."""
        for part in parts:
            if self.segmenting is not None:
                yield self.segmenting.stage(part)
            if self.purifying is not None and self.purifying.model is not None:
                yield self.purifying.stage(part)
            for member in self.recipe.members:
                yield self.classifying.stage(member, part)
                yield self.classifying.trained_stage(member, part)
            for member in self.recipe.unlikeness:
                yield self.classifying.unlikeness_stage(member, part)
        yield self.combining.stage(parts)
