"""Whole runs with a stand-in for the training itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from train.data import metrics
from train.data.table import Table
from train.pipeline import Pipeline
from train.recipe import Recipe
from train.stages import run as run_module
from train.trainer import WEIGHTS, Machine, save_network

FOLDS = ("fold 1", "fold 2", "on all images")


class Shown(NamedTuple):
    """The data set that a network learns from, and the one that stops it."""

    train: Any
    stop: Any


Trainings = dict[str, Shown]
Run = Callable[[dict[str, Any]], Trainings]
Mark = Callable[[Any, Path], object]


def unmarked(task: Any, folder: Path) -> None:
    """What is saved is what was built."""


class StandIn:
    """Notes in the order of training what each network is shown, and saves it marked."""

    def __init__(self, mark: Mark = unmarked) -> None:
        self.shown: Trainings = {}
        self.mark = mark

    def __call__(self, task: Any, train_set: Any, stop_set: Any, *rest: Any) -> None:
        _, folder, _, _, label = rest
        self.shown[label] = Shown(train_set, stop_set)
        self.mark(task, folder)
        save_network(task.model, folder / WEIGHTS)


def folds_of(table: Sequence[object]) -> np.ndarray:
    return np.arange(len(table)) % 2


def pipeline(fields: dict[str, Any], table: Table, folder: Path) -> Pipeline:
    machine = Machine(accelerator="cpu", workers=0)
    return Pipeline(Recipe.model_validate(fields), table, folds_of(table), folder, machine)


def runner(
    table: Table, folder: Path, monkeypatch: pytest.MonkeyPatch, mark: Mark = unmarked
) -> Run:
    """Runs a recipe in `folder`; gives back what had to be trained for it, and on what."""

    def run(fields: dict[str, Any]) -> Trainings:
        stand_in = StandIn(mark)
        monkeypatch.setattr(run_module, "train_network", stand_in)
        monkeypatch.setattr(metrics, "RESAMPLES", 10)  # intervals are not what is tested here
        pipeline(fields, table, folder).run()
        return stand_in.shown

    return run
