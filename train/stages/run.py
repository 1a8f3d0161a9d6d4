"""What all stages of a run share: recipe, images, folds, folder, and how a network is fitted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from runtime.specs import PreprocessSpec
from train import networks
from train.batchnorm import has_folded_batchnorm, restore_batchnorm
from train.data.fingerprints import Fingerprints, default_cache
from train.data.splits import holdout
from train.data.table import Table
from train.datasets import ViewDataset
from train.recipe import Recipe
from train.recipe_parts.training import Course
from train.stage import Stage, fingerprint
from train.tasks import Trained
from train.trainer import Machine, train_network
from train.views import Bytes
from train.weights import load_trunk

FINAL = "final"
STATISTICS_IMAGES = 256  # for batch normalisation that lost its statistics


@dataclass(frozen=True)
class Dealt:
    """Images, and the fold of each."""

    table: Table
    folds: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Run:
    recipe: Recipe
    table: Table
    folds: npt.NDArray[np.int64]
    out: Path
    machine: Machine
    beside: tuple[Path, ...] = ()  # runs that may have done the same already

    def stage(self, place: str, inputs: dict[str, Any]) -> Stage:
        """Its own, or what another run did with the same inputs."""
        stage = Stage.of(self.out / place, inputs)
        if not stage.done:
            any(stage.adopt(other / place) for other in self.beside)
        return stage

    @property
    def fold_parts(self) -> list[str]:
        """Sets of networks to judge by. The set that ships is FINAL."""
        return [str(fold) for fold in range(self.recipe.folds)]

    def rows(self, part: str) -> npt.NDArray[np.int64]:
        """The images a part is trained on: all, or all outside a fold."""
        everyone = np.arange(len(self.table))
        return everyone if part == FINAL else everyone[self.folds != int(part)]

    def unseen(self, part: str) -> npt.NDArray[np.int64]:
        """A fold's own images."""
        return np.flatnonzero(self.folds == int(part))

    def train_and_stop(
        self, rows: npt.NDArray[np.int64], training: Course
    ) -> tuple[list[int], list[int]]:
        """An epoch is chosen by images of its own, never by those the fold is judged on."""
        if not training.watches:
            return rows.tolist(), []
        part = replace(self.table, samples=tuple(self.table[int(r)] for r in rows))
        store = Fingerprints(default_cache())
        _, held = holdout(part, training.stop_fraction, self.recipe.seed, store=store)
        held_ids = set(held.ids)
        stop = [int(r) for r in rows if self.table[int(r)].id in held_ids]
        return [int(r) for r in rows if self.table[int(r)].id not in held_ids], stop

    @cached_property
    def data_inputs(self) -> dict[str, Any]:
        order = fingerprint({"ids": self.table.ids})
        return {"data": self.table.digest, "order": order, "folds": self.folds.tolist()}

    @cached_property
    def start_inputs(self) -> dict[str, Any]:
        return {
            "start": networks.start_of(self.recipe, self.machine.weights),
            "seed": self.recipe.seed,
        }

    def from_hub(self, backbone: str | None) -> bool:
        return networks.from_hub(self.recipe, self.machine.weights, backbone)

    def start(
        self, trunk: nn.Module, backbone: str, pixels: Bytes, rows: list[int], spec: PreprocessSpec
    ) -> None:
        """Local weights, if there are any for this backbone."""
        if backbone not in self.machine.weights:
            return
        load_trunk(trunk, self.machine.weights[backbone])
        if has_folded_batchnorm(trunk):
            some = rows[:: max(len(rows) // STATISTICS_IMAGES, 1)]
            data = ViewDataset(pixels, self.table.targets, some, spec, None)
            restore_batchnorm(trunk, (images for images, _ in DataLoader(data, 16)))

    def seed(self, label: str) -> None:
        """Before a network is built, so that its first weights are those of this stage, whatever
        was trained before it."""
        word = hashlib.sha256(f"{self.recipe.seed} {label}".encode()).digest()
        torch.manual_seed(int.from_bytes(word[:4], "big"))

    def fit(
        self,
        task: Trained,
        train_set: Dataset[Any],
        stop_set: Dataset[Any] | None,
        training: Course,
        stage: Stage,
        label: str,
    ) -> dict[str, float | None]:
        """How long it took, unless it was stopped in between."""
        resumed, start = any(stage.folder.glob("log*")), monotonic()
        train_network(
            task, train_set, stop_set, training, stage.folder, self.machine, self.recipe.seed, label
        )
        return {"seconds": None if resumed else round(monotonic() - start, 1)}


def named(part: str) -> str:
    return "on all images" if part == FINAL else f"fold {int(part) + 1}"
