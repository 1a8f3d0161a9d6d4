"""An epoch in which every class is shown as often as the largest."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import Dataset

from tests.train.test_trainer import CPU, TARGETS, network
from tests.train.test_trainer import data as pictures
from train.recipe_parts.training import Training
from train.sampling import balanced
from train.tasks import MemberTask
from train.trainer import Machine, train_network


class Numbers(Dataset[int]):
    def __getitem__(self, item: int) -> int:
        return item


@given(st.lists(st.integers(0, 3), min_size=1, max_size=80))
def test_every_class_as_often_as_the_largest(targets: list[int]) -> None:
    data = balanced(Numbers(), np.array(targets))
    seen = [data[item] for item in range(len(data))]
    by_class = Counter(targets[image] for image in seen)
    most = max(Counter(targets).values())
    assert by_class == dict.fromkeys(targets, most)
    # All of a class equally often, but for the few that are drawn.
    for label, count in Counter(targets).items():
        times = Counter(image for image in seen if targets[image] == label)
        assert len(times) == count
        assert min(times.values()) >= most // count


def test_what_is_missing_is_drawn_anew() -> None:
    data = balanced(Numbers(), np.array([0] * 10 + [1] * 7))
    epochs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        epochs.append([data[item] for item in range(len(data))])
    assert epochs[0] == epochs[1]
    assert epochs[0] != epochs[2]
    assert epochs[0][:17] == list(range(17))


class Counting(MemberTask):
    """Keeps the class numbers of each epoch; may be killed at the beginning of one."""

    def __init__(self, training: Training, killed_at: int | None = None) -> None:
        super().__init__(network(), training, None)
        self.killed_at, self.seen = killed_at, Counter[tuple[int, int]]()

    def on_train_epoch_start(self) -> None:
        if self.current_epoch == self.killed_at:
            raise RuntimeError("killed")

    def loss(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        for target in targets.tolist():
            self.seen[self.current_epoch, target] += 1
        return super().loss(images, targets)


ROWS = [*np.flatnonzero(TARGETS == 0)[:2], *np.flatnonzero(TARGETS == 1)]  # two against six


def fit(task: MemberTask, folder: Path, machine: Machine = CPU) -> None:
    rare = pictures()
    rare.rows = [int(row) for row in ROWS]
    data = balanced(rare, TARGETS[ROWS])
    train_network(task, data, None, task.training_recipe, folder, machine, 0, "tiny")


def test_a_killed_training_goes_on_balanced(tmp_path: Path) -> None:
    training = Training(epochs=3, batch=4, sampling="balanced")
    with pytest.raises(RuntimeError, match="killed"):
        fit(Counting(training, killed_at=1), tmp_path)
    again = Counting(training)
    fit(again, tmp_path)
    assert again.seen == {(epoch, label): 6 for epoch in (1, 2) for label in (0, 1)}


class Told(MemberTask):
    """Writes the class numbers that this process was dealt."""

    folder: Path

    def loss(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        with (self.folder / f"seen{self.global_rank}").open("a") as file:
            file.write("".join(map(str, targets.tolist())))
        return super().loss(images, targets)


@pytest.mark.slow
def test_processes_share_a_balanced_epoch(tmp_path: Path) -> None:
    task = Told(network(), Training(epochs=1, batch=2, sampling="balanced"), None)
    task.folder = tmp_path
    two = Machine(accelerator="cpu", devices=2, precision="32-true", workers=0)
    fit(task, tmp_path / "run", two)
    dealt = [(tmp_path / f"seen{rank}").read_text() for rank in (0, 1)]
    assert Counter("".join(dealt)) == {"0": 6, "1": 6}
    assert len(dealt[0]) == len(dealt[1])
