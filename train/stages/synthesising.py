"""Pictures of scarce classes, made by DCGANs from a part's own training images.

A fold's generators have seen none of the images that its members are judged on. What they make is
compared with every image of the part: a copy of one is no new picture, and is made again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import torch

from runtime.errors import DermedgeError, UsageError
from runtime.specs import PreprocessSpec
from train.datasets import ViewDataset
from train.models.dcgan import Gan
from train.recipe_parts.pictures import SyntheticRecipe
from train.stage import Stage
from train.stages.run import Run, named
from train.synthesis.adversaries import GanTask, SideBySide, generate, to_bytes
from train.synthesis.figure import write_figure
from train.synthesis.nearest import Nearest, nearest, write_table
from train.trainer import WEIGHTS, load_network
from train.views import Bytes, frames_at, made_at

FOLDER = "synthetic"
COUPLED = "coupled"  # the one GAN of all classes
MOST_WATCHED = 200  # images of a class that early stopping looks at
ATTEMPTS = 3
BATCH = 64


@dataclass(frozen=True)
class Synthesising:
    """For a recipe that has synthetic pictures."""

    run: Run

    @property
    def _recipe(self) -> SyntheticRecipe:
        assert self.run.recipe.synthetic is not None
        return self.run.recipe.synthetic

    @property
    def _coupled(self) -> bool:
        return self._recipe.kind == "coupled_dcgan"

    @cached_property
    def _classes_of(self) -> dict[str, tuple[str, ...]]:
        """The classes of each GAN, by its name."""
        if self._coupled:
            return {COUPLED: self.run.recipe.classes}
        return {name: (name,) for name in self._counts}

    @cached_property
    def _counts(self) -> dict[str, int]:
        """How many pictures of which class, in the classes' order and not as the file has them."""
        images = self._recipe.images
        return {name: images[name] for name in self.run.recipe.classes if name in images}

    @property
    def _names(self) -> list[str]:
        """The class of each picture."""
        return [name for name, count in self._counts.items() for _ in range(count)]

    # -- GANs ----------------------------------------------------------------------------------

    def _gan_inputs(self, part: str) -> dict[str, Any]:
        return {
            **self.run.data_inputs,
            "seed": self.run.recipe.seed,
            "gan": self._recipe.model_copy(update={"images": {}}),
            "classes": self.run.recipe.classes,
            "part": part,
        }

    def _gan_stage(self, name: str, part: str) -> Stage:
        inputs = {**self._gan_inputs(part), "of": self._classes_of[name]}
        return self.run.stage(f"{FOLDER}/{part}/gan-{name}", inputs)

    def _build(self, name: str) -> Gan:
        recipe = self._recipe
        return Gan(recipe.latent, recipe.width, recipe.size, len(self._classes_of[name]))

    def _train(self, name: str, part: str) -> None:
        stage, training = self._gan_stage(name, part), self._recipe.training
        if stage.done:
            return
        frames = self._frames
        shown, watched = self._rows_by_class(name, part)
        stage.begin()
        torch.manual_seed(self.run.recipe.seed)
        targets, spec = self.run.table.targets, self._spec
        # One device: a hundred steps an epoch on a few small maps leave nothing to divide.
        alone = replace(self.run, machine=replace(self.run.machine, devices=1))
        took = alone.fit(
            GanTask(self._build(name), training.rate),
            SideBySide(
                [ViewDataset(frames, targets, rows, spec, training.augmentation) for rows in shown]
            ),
            SideBySide([ViewDataset(frames, targets, rows, spec, None) for rows in watched])
            if watched
            else None,
            training,
            stage,
            f"pictures of {', '.join(self._classes_of[name])} {named(part)}",
        )
        stage.finish(took)

    def _rows_by_class(self, name: str, part: str) -> tuple[list[list[int]], list[list[int]]]:
        """What a GAN is shown of each of its classes, and what early stopping watches."""
        shown, watched = [], []
        for one in self._classes_of[name]:
            rows = self._rows_of(one, part)
            mine, held = self.run.train_and_stop(rows, self._recipe.training)
            if self._recipe.training.watches and not (mine and held):
                raise UsageError(
                    "There are too few images of a class to stop its generator early.",
                    got=f"{len(rows)} of {one}, {len(held)} of them watched",
                    expected="some to learn from and some to watch",
                    remedy="a larger synthetic.training.stop_fraction, or patience: null",
                )
            shown.append(mine)
            watched.append(held[:MOST_WATCHED])
        return shown, watched if self._recipe.training.watches else []

    def _rows_of(self, name: str, part: str) -> npt.NDArray[np.int64]:
        rows = self.run.rows(part)
        return rows[self.run.table.targets[rows] == self.run.recipe.classes.index(name)]

    @cached_property
    def _frames(self) -> Bytes:
        size = (self._recipe.size, self._recipe.size)
        stage = self.run.stage(f"{FOLDER}/frames", {**self.run.data_inputs, "size": size})
        return frames_at(self.run.table, size, stage)

    @property
    def _spec(self) -> PreprocessSpec:
        """From −1 to 1, as a hyperbolic tangent gives."""
        size = (self._recipe.size, self._recipe.size)
        return PreprocessSpec(size=size, mean=(0.5,) * 3, std=(0.5,) * 3)

    # -- pictures ------------------------------------------------------------------------------

    def inputs(self, part: str) -> dict[str, Any]:
        return {**self._gan_inputs(part), "images": self._recipe.images}

    def _stage(self, part: str) -> Stage:
        return self.run.stage(f"{FOLDER}/{part}/pictures", self.inputs(part))

    def _make(self, part: str) -> None:
        stage = self._stage(part)
        if stage.done:
            return
        for name in self._classes_of:
            self._train(name, part)
        stage.begin()
        drawn = [self._draw(name, part) for name in self._counts]
        pictures = np.concatenate([made for made, _ in drawn])
        nearby = Nearest.of([near for _, near in drawn])
        np.save(stage.folder / "pictures.npy", pictures)
        labels = [str(label) for label in self.run.table.labels]
        write_table(stage.folder / "nearest.csv", nearby, self._names, self.run.table.ids, labels)
        write_figure(stage.folder / "nearest.png", nearby, self._names, pictures, self._frames)
        stage.finish()

    def _draw(self, name: str, part: str) -> tuple[Bytes, Nearest]:
        """As many pictures of a class as are asked for, and what each is nearest to."""
        gan, code = self._gan_of(name, part)
        rng = torch.Generator().manual_seed(self.run.recipe.seed)
        rows = self.run.rows(part).tolist()
        made = _pictures(gan, code, self._counts[name], rng)
        nearby = nearest(made, self._frames, rows)
        for _ in range(ATTEMPTS):
            if not nearby.copies.any():
                return made, nearby
            made[nearby.copies] = _pictures(gan, code, int(nearby.copies.sum()), rng)
            nearby = nearest(made, self._frames, rows)
        if nearby.exact.any():
            raise DermedgeError(
                "A generator has learnt training images by heart.",
                got=f"{int(nearby.exact.sum())} of {len(made)} pictures of {name} are copies",
                expected="none",
                remedy="fewer synthetic.training.epochs, or more images of that class",
            )
        if nearby.copies.any():  # with few images about, that may be chance
            count = int(nearby.copies.sum())
            click.echo(
                f"note: {count} of {len(made)} pictures of {name} look like copies", err=True
            )
        return made, nearby

    def _gan_of(self, name: str, part: str) -> tuple[Gan, int]:
        """The GAN that makes a class, and the class's place in it."""
        own = COUPLED if self._coupled else name
        gan = self._build(own)
        load_network(gan, self._gan_stage(own, part).folder / WEIGHTS)
        return gan.to(self.run.machine.device), self._classes_of[own].index(name)

    def at(
        self, part: str, view: str, size: tuple[int, int]
    ) -> tuple[Bytes, npt.NDArray[np.int64]]:
        """The pictures as a member looks at them, and their classes."""
        self._make(part)
        spec = self.run.recipe.views[view]
        pictures = np.load(self._stage(part).folder / "pictures.npy", mmap_mode="r")
        inputs = {**self.inputs(part), "view": spec, "size": size}
        name = f"{view}-{size[1]}x{size[0]}"
        stage = self.run.stage(f"{FOLDER}/{part}/{name}", inputs)
        codes = [self.run.recipe.classes.index(name) for name in self._names]
        return made_at(pictures, spec, size, stage), np.array(codes)


def _pictures(gan: Gan, code: int, count: int, rng: torch.Generator) -> Bytes:
    made = []
    for first in range(0, count, BATCH):
        noise = torch.randn(min(BATCH, count - first), gan.generator.latent, generator=rng)
        made.append(to_bytes(generate(gan, noise)[code]))
    return np.concatenate(made)
