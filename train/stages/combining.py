"""What joins the members, fitted fold by fold, and the out-of-fold figures of the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from train.combiners import Material, combine, fit_combiners
from train.predictions import OutOfFold
from train.stage import Stage, write_json
from train.stages.classifying import Classifying, Floats
from train.stages.run import FINAL, Run
from train.stages.segmenting import Segmenting
from train.trainer import WEIGHTS, save_network


@dataclass(frozen=True)
class Combining:
    run: Run
    segmenting: Segmenting | None
    classifying: Classifying

    def stage(self, parts: Sequence[str]) -> Stage:
        recipe = self.run.recipe
        inputs = {
            "recipe": recipe.ensemble and recipe.ensemble.model_dump(),
            "seed": recipe.seed,
            "members": [  # their order is that of the ensemble's inputs
                [name, [self.classifying.inputs(name, part) for part in parts]]
                for name in recipe.members
            ],
        }
        return Stage.of(self.run.out / "ensemble", inputs)

    def fit(self, parts: Sequence[str]) -> dict[str, Any]:
        stage = self.stage(parts)
        if not stage.done:
            stage.begin()
            figures = self._fit(stage.folder, parts)
            write_json(self.run.out / "figures.json", figures)
            stage.finish(figures)
        return stage.facts()

    def _fit(self, folder: Path, parts: Sequence[str]) -> dict[str, Any]:
        run, members = self.run, self.classifying.out_of_fold()
        together = members[:, 0]
        if run.recipe.ensemble is not None:
            together = self._together(folder, parts, members)
        names = tuple(run.recipe.members)
        predictions = OutOfFold(run.table, run.folds, names, members, together)
        predictions.write(run.out / "oof.csv")
        found: dict[str, Any] = {"auc": predictions.figures()}
        if self.segmenting is not None:
            found["segmentation"] = self.segmenting.figures()
        return found

    def _together(self, folder: Path, parts: Sequence[str], members: Floats) -> Floats:
        run = self.run
        assert run.recipe.ensemble is not None
        if run.recipe.ensemble.takes == "features":
            said = {part: self.classifying.features(part) for part in parts}
        else:
            said = dict.fromkeys(parts, members)
        none = np.zeros(0, np.int64)
        unseen = {part: none if part == FINAL else run.unseen(part) for part in parts}
        material = Material(said, unseen, run.table.targets)
        together = np.zeros(members[:, 0].shape)
        for part, net in fit_combiners(run.recipe, material).items():
            (folder / part).mkdir(exist_ok=True)
            save_network(net, folder / part / WEIGHTS)
            together[unseen[part]] = combine(net, said[part][unseen[part]])
        return together
