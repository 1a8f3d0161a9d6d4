"""Hair and rulers taken off the images: by the classical method, or by networks that learn from it.

The networks are trained fold by fold, and every image is purified by one that has not seen it, as
it is segmented. RUN/purified/shown/sheet.png shows a few images before and after.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from rich.progress import track

from runtime.lesion import Lesion
from runtime.preprocess import Image, resample
from runtime.purify import Purified, purify
from train import networks
from train.datasets import ViewDataset
from train.models.purification import PurificationNet
from train.purification.pairs import PairDataset, Pairs
from train.purification.perceptual import open_perceptual
from train.purification.sheet import MOST_ROWS, marked, write_sheet
from train.purification.task import PurifierTask
from train.recipe_parts.purifiers import ModelPurifier, PurifierRecipe
from train.recipe_parts.training import Course
from train.stage import Stage
from train.stages.run import Run, named
from train.stages.segmenting import Segmenting
from train.trainer import WEIGHTS, load_network, predict
from train.views import Bytes, frame_of, view_at

FOLDER, NETWORKS = "purified", "purifier"
FILES = ("before", "after", "occlusions")
SHEET_SIZE = (256, 256)
AT_ONCE = 256  # pictures painted: as floats they are large


@dataclass(frozen=True)
class Purifying:
    """For a recipe that has a purifier."""

    run: Run
    segmenting: Segmenting | None

    @property
    def _recipe(self) -> PurifierRecipe:
        assert self.run.recipe.purifier is not None
        return self.run.recipe.purifier

    @property
    def model(self) -> ModelPurifier | None:
        return self._recipe if isinstance(self._recipe, ModelPurifier) else None

    # -- the classical method ------------------------------------------------------------------

    def _classical_inputs(self) -> dict[str, Any]:
        masks = self.segmenting and self.segmenting.masks_inputs()
        return {**self.run.data_inputs, "masks": masks}

    def _classically(self, row: int) -> tuple[Image, Purified]:
        mask = None if self.segmenting is None else self.segmenting.masks[row]
        frame, lesion = frame_of(self.run.table[row], mask)
        return frame, purify(frame, lesion.mask if lesion else None)

    def _pair(self, row: int, size: tuple[int, int]) -> tuple[Image, Image, Bytes]:
        """Before, after, and what was painted over, at that size."""
        frame, purified = self._classically(row)
        occlusions = (resample(purified.occlusions, *size) > 0).astype(np.uint8)
        return _at(frame, size), _at(purified.picture, size), occlusions

    @cached_property
    def _pairs(self) -> Pairs:
        """Of all images, at the network's size."""
        assert self.model is not None
        size, count = self.model.size, len(self.run.table)
        inputs = {**self._classical_inputs(), "size": size}
        stage = self.run.stage(f"{FOLDER}/pairs", inputs)
        files = [stage.folder / f"{name}.npy" for name in FILES]
        if not stage.done:
            stage.begin()
            shapes = ((count, *size, 3), (count, *size, 3), (count, *size))
            made = [_new_file(*each) for each in zip(files, shapes, strict=True)]
            for row in track(range(count), description="Purifying images"):
                for array, part in zip(made, self._pair(row, size), strict=True):
                    array[row] = part
            for array in made:
                array.flush()
            stage.finish()
        return Pairs(*(np.load(file, mmap_mode="r") for file in files))

    # -- networks ------------------------------------------------------------------------------

    def _inputs(self, part: str) -> dict[str, Any]:
        return {
            **self._classical_inputs(),
            **self.run.start_inputs,
            "purifier": self._recipe,
            "part": part,
        }

    def stage(self, part: str) -> Stage:
        return self.run.stage(f"{NETWORKS}/{part}", self._inputs(part))

    def train(self, part: str) -> None:
        """Where there is something to learn."""
        recipe = self.model
        if recipe is not None and not (stage := self.stage(part)).done:
            self._train(recipe, part, stage)

    def _train(self, recipe: ModelPurifier, part: str, stage: Stage) -> None:
        data = PairDataset(self._pairs, self.run.rows(part).tolist())
        judge = open_perceptual(self.run.machine.weights, self.run.recipe.pretrained)
        features = None if isinstance(judge, str) else judge
        if isinstance(judge, str):
            click.echo(f"note: perceptual and style terms are left out: {judge}", err=True)
        stage.begin()
        own, label = recipe.training, f"purifier {named(part)}"
        self.run.seed(label)
        net = networks.build_purifier(self.run.recipe)
        first = Stage.of(stage.folder / "adam", {"of": stage.key})
        if not first.done:
            first.begin()
            task = PurifierTask(net, own.rate, features, late=False)
            course = Course(epochs=own.epochs, batch=own.batch)
            self.run.fit(task, data, None, course, first, label)
            first.finish()
        load_network(net, first.folder / WEIGHTS)
        task = PurifierTask(net, own.late_rate, features, late=True)
        course = Course(epochs=own.late_epochs, batch=own.batch)
        self.run.fit(task, data, None, course, stage, f"{label}, later")
        stage.finish({"perceptual": features is not None})

    @property
    def perceptual(self) -> bool:
        """Whether networks were there to judge how what is painted looks."""
        return all(self.stage(part).facts()["perceptual"] for part in self.run.fold_parts)

    @cached_property
    def _painted(self) -> Bytes:
        """What networks made of every image that they had not seen."""
        assert self.model is not None
        size, count = self.model.size, len(self.run.table)
        inputs = {part: self._inputs(part) for part in self.run.fold_parts}
        stage = self.run.stage(f"{FOLDER}/painted", inputs)
        file = stage.folder / "pixels.npy"
        if not stage.done:
            stage.begin()
            painted = _new_file(file, (count, *size, 3))
            for part in self.run.fold_parts:
                net = networks.build_purifier(self.run.recipe)
                load_network(net, self.stage(part).folder / WEIGHTS)
                rows = self.run.unseen(part)
                for first in range(0, len(rows), AT_ONCE):
                    some = rows[first : first + AT_ONCE]
                    painted[some] = self._paint(net, some)
            painted.flush()
            stage.finish()
        loaded: Bytes = np.load(file, mmap_mode="r")
        return loaded

    def _paint(self, net: PurificationNet, rows: npt.NDArray[np.int64]) -> Bytes:
        nothing = np.zeros(len(self.run.table), dtype=np.int64)
        spec = networks.purifier_preprocess(self.run.recipe)
        data = ViewDataset(self._pairs.before, nothing, rows.tolist(), spec, None)
        (said,) = predict(net, data, self.run.machine)
        bgr = said[:, ::-1].transpose(0, 2, 3, 1)
        return np.rint(np.clip(bgr, 0, 1) * 255).astype(np.uint8)

    # -- views ---------------------------------------------------------------------------------

    def inputs(self) -> dict[str, Any]:
        """What purified views depend on."""
        if self.model is None:
            return {**self._classical_inputs(), "purifier": self._recipe}
        return {part: self._inputs(part) for part in self.run.fold_parts}

    def view(self, name: str, size: tuple[int, int]) -> Bytes:
        """That view of every image, of its purified form whatever its source."""
        view = self.run.recipe.views[name]
        inputs = {**self.inputs(), "view": view, "size": size}
        stage = self.run.stage(f"views/{name}-{size[1]}x{size[0]}-purified", inputs)
        masks = None if self.segmenting is None else self.segmenting.masks
        return view_at(self.run.table, masks, view, size, stage, self._form)

    def _form(self, row: int, frame: Image, lesion: Lesion | None) -> Image:
        if self.model is not None:
            return np.asarray(self._painted[row])
        return purify(frame, lesion.mask if lesion else None).picture

    # -- to look at ----------------------------------------------------------------------------

    def show(self) -> None:
        """A few images that the classical method changes."""
        stage = self.run.stage(f"{FOLDER}/shown", self.inputs())
        if not stage.done:
            stage.begin()
            write_sheet(stage.folder / "sheet.png", list(islice(self._forms(), MOST_ROWS)))
            stage.finish()

    def _forms(self) -> Iterator[tuple[Image, ...]]:
        """As it is, what is found marked, painted over, and as a network paints it."""
        size = self.model.size if self.model else SHEET_SIZE
        for row in range(len(self.run.table)):
            before, after, occlusions = self._pair(row, size)
            if occlusions.any():
                by_network = [np.asarray(self._painted[row])] if self.model else []
                yield before, marked(before, occlusions), after, *by_network


def _at(picture: Image, size: tuple[int, int]) -> Image:
    return np.rint(resample(picture, *size)).astype(np.uint8)


def _new_file(file: Path, shape: tuple[int, ...]) -> Any:
    return np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
