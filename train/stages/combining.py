"""What joins the members, fitted fold by fold, and the out-of-fold figures of the whole."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from train.combiners import Material, combine, fit_combiners, load_combiner
from train.models.svm import SvmCombiner
from train.networks import combiner_told
from train.predictions import OutOfFold
from train.recipe_parts.combiners import SvmRecipe
from train.stage import Stage, write_json
from train.stages.classifying import Classifying, Floats
from train.stages.run import FINAL, Run
from train.stages.segmenting import Segmenting
from train.trainer import WEIGHTS, save_network

Codes = npt.NDArray[np.int64]
OOF, ENSEMBLE = "oof.csv", "ensemble"


@dataclass(frozen=True)
class Combining:
    run: Run
    segmenting: Segmenting | None
    classifying: Classifying

    def stage(self, parts: Sequence[str]) -> Stage:
        """Of these parts; or of the one that ships as well, where that is done: what joins the
        folds is the same, and what ships is not thrown away for it."""
        own = self._stage(parts)
        if FINAL in parts or own.done:
            return own
        wider = self._stage([*parts, FINAL])
        return wider if wider.done else own

    def _stage(self, parts: Sequence[str]) -> Stage:
        recipe = self.run.recipe
        inputs = {
            "recipe": recipe.ensemble,
            "seed": recipe.seed,
            **self._told_inputs(),
            **({"mirror_images": recipe.mirror_images} if recipe.mirror_images > 1 else {}),
            "members": [  # their order is that of the ensemble's inputs
                [name, [self.classifying.trained_inputs(name, part) for part in parts]]
                for name in recipe.members
            ],
        }
        return Stage.of(self.run.out / ENSEMBLE, inputs)

    @property
    def _known(self) -> Floats:
        """What it is told of each patient."""
        if not combiner_told(self.run.recipe):
            return np.zeros((len(self.run.table), 0))
        return self.classifying.everything_known.astype(np.float64)

    @property
    def _nothing(self) -> Floats:
        metadata = self.run.recipe.metadata
        if metadata is None or not combiner_told(self.run.recipe):
            return np.zeros(0)
        return metadata.encode({})[0].astype(np.float64)

    def _told_inputs(self) -> dict[str, Any]:
        """Only where it is told of patients: what others depend on stays as it was."""
        known = self._known
        return {"known": hashlib.sha256(known.tobytes()).hexdigest()} if known.shape[1] else {}

    def fit(self, parts: Sequence[str]) -> dict[str, Any]:
        stage = self.stage(parts)
        if not stage.done:
            stage.begin()
            members = self.classifying.out_of_fold()
            start = monotonic()
            together = self._together(stage.folder, parts, members)
            seconds = round((monotonic() - start) / len(parts), 1)
            figures = self._figures(members, together)
            write_json(self.run.out / "figures.json", figures)
            stage.finish({"figures": figures, "seconds": seconds})
        return dict(stage.facts()["figures"])

    def seconds(self, parts: Sequence[str]) -> float:
        """How long it took to fit what joins the members, one part in the mean."""
        return float(self.stage(parts).facts()["seconds"])

    def predictions(self) -> OutOfFold:
        run = self.run
        return OutOfFold.read(run.out / OOF, run.table, run.folds, tuple(run.recipe.members))

    def chosen(self, together: Floats) -> Codes | None:
        """The class that a support vector machine between two decides for, by its margin: where
        classes are weighted, that is not where its probability passes one half."""
        run = self.run
        if not isinstance(run.recipe.ensemble, SvmRecipe) or len(run.recipe.classes) > 2:
            return None
        codes = np.zeros(len(run.table), np.int64)
        for part in run.fold_parts:
            rows = run.unseen(part)
            net = load_combiner(run.recipe, run.out / ENSEMBLE / part / WEIGHTS)
            assert isinstance(net, SvmCombiner)
            yes = net.says_yes(torch.from_numpy(together[rows, :1]))
            codes[rows] = np.where(yes[:, 0].numpy(), 0, 1)  # its machine is asked for the first
        return codes

    def _figures(self, members: Floats, together: Floats) -> dict[str, Any]:
        run = self.run
        names = tuple(run.recipe.members)
        predictions = OutOfFold(run.table, run.folds, names, members, together)
        predictions.write(run.out / OOF)
        found: dict[str, Any] = {"auc": predictions.figures()}
        if self.segmenting is not None:
            found["segmentation"] = self.segmenting.figures()
        return found

    def _together(self, folder: Path, parts: Sequence[str], members: Floats) -> Floats:
        run = self.run
        if run.recipe.ensemble is None:
            return members[:, 0]
        if run.recipe.ensemble.takes == "features":
            said = {part: self.classifying.features(part) for part in parts}
        else:
            said = dict.fromkeys(parts, members)
        none = np.zeros(0, np.int64)
        unseen = {part: none if part == FINAL else run.unseen(part) for part in parts}
        known = self._known
        material = Material(said, unseen, run.table.targets, known, self._nothing)
        together = np.zeros(members[:, 0].shape)
        for part, net in fit_combiners(run.recipe, material).items():
            (folder / part).mkdir(exist_ok=True)
            save_network(net, folder / part / WEIGHTS)
            rows = unseen[part]
            together[rows] = combine(net, said[part][rows], known[rows])
        return together
