"""How a generator and a discriminator take turns, what stops them, and what is left of them."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from runtime.specs import PreprocessSpec
from train.datasets import ViewDataset
from train.models.dcgan import Gan
from train.recipe_parts.training import Augmentation, Course
from train.synthesis.adversaries import (
    LEAST_JUDGED,
    GanTask,
    SideBySide,
    _by_class,
    _called,
    generate,
    to_bytes,
    write_sheet,
)
from train.synthesis.distance import sliced_wasserstein
from train.trainer import WEIGHTS, Machine, load_network, train_network

SIDE = 32
SPEC = PreprocessSpec(size=(SIDE, SIDE), mean=(0.5,) * 3, std=(0.5,) * 3)
CPU = Machine(accelerator="cpu", precision="32-true", workers=0)
PIXELS = np.random.default_rng(0).integers(0, 256, (12, SIDE, SIDE, 3), dtype=np.uint8)
ROUND, EXTRA = [1, 0], [0, 0]  # which of the two learns; two of the generator alone


def pictures(rows: range, augmentation: Augmentation | None = None) -> ViewDataset:
    return ViewDataset(PIXELS, np.zeros(12, int), rows, SPEC, augmentation)


class Noted(GanTask):
    """Writes down who learns, and may be killed at the beginning of an epoch."""

    def __init__(self, classes: int = 1, killed_at: int | None = None) -> None:
        torch.manual_seed(0)
        super().__init__(Gan(latent=4, width=2, size=SIDE, classes=classes), rate=2e-4)
        self.steps: list[int] = []
        self.killed_at = killed_at

    def _step(self, which: int, loss: torch.Tensor) -> None:
        self.steps.append(which)
        super()._step(which, loss)

    def on_train_epoch_start(self) -> None:
        if self.current_epoch == self.killed_at:
            raise RuntimeError("killed")


def fit(task: GanTask, folder: Path, epochs: int, patience: int | None = None) -> None:
    course = Course(epochs=epochs, batch=4, rate=2e-4, patience=patience)
    shown = SideBySide([pictures(range(8), Augmentation(flip=True))])
    watched = SideBySide([pictures(range(8, 12))]) if patience else None
    train_network(task, shown, watched, course, folder, CPU, 0, "tiny")


def test_two_more_rounds_of_the_generator_after_every_tenth(tmp_path: Path) -> None:
    task = Noted()
    fit(task, tmp_path, epochs=11)
    assert task.steps == 2 * (10 * ROUND + EXTRA) + 2 * ROUND


def test_a_killed_training_goes_on_with_its_rounds(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        fit(first := Noted(killed_at=3), tmp_path, epochs=6)
    fit(second := Noted(), tmp_path, epochs=6)
    assert first.steps + second.steps == 10 * ROUND + EXTRA + 2 * ROUND
    assert sorted(file.name for file in (tmp_path / "samples").iterdir()) == [
        f"epoch_{epoch:05}.png" for epoch in range(1, 7)
    ]
    assert not list(tmp_path.glob("*.ckpt"))


def test_only_one_of_them_learns_at_a_time(tmp_path: Path) -> None:
    class Watched(Noted):
        def _step(self, which: int, loss: torch.Tensor) -> None:
            parts = (self.gan.generator, self.gan.discriminator)
            before = [[p.detach().clone() for p in part.parameters()] for part in parts]
            super()._step(which, loss)
            for number, (part, old) in enumerate(zip(parts, before, strict=True)):
                same = [torch.equal(a, b) for a, b in zip(part.parameters(), old, strict=True)]
                assert all(same) == (number != which)

    fit(Watched(), tmp_path, epochs=1)


def test_optimisers_are_the_papers() -> None:
    made = Noted().configure_optimizers()
    assert [type(one) for one in made] == [torch.optim.Adam] * 2
    assert [one.defaults["lr"] for one in made] == [2e-4] * 2
    assert [one.defaults["betas"] for one in made] == [(0.5, 0.999)] * 2


def test_a_real_picture_is_called_real_with_some_reserve() -> None:
    """The loss is least where the discriminator says 0.9, and grows beyond."""
    said = [0.5, 0.9, 0.99]
    losses = [float(_called(torch.tensor([[math.log(p / (1 - p))]]), 0.9)) for p in said]
    assert losses.index(min(losses)) == 1
    p = 0.99
    assert losses[2] == pytest.approx(-0.9 * math.log(p) - 0.1 * math.log(1 - p), rel=1e-4)


def test_the_nearest_generator_is_kept(tmp_path: Path) -> None:
    fit(Noted(), tmp_path, epochs=8, patience=2)
    with (tmp_path / "log" / "metrics.csv").open() as text:
        distances = [float(row["stop_loss"]) for row in csv.DictReader(text) if row["stop_loss"]]
    assert 3 <= len(distances) <= 8
    gan = Gan(latent=4, width=2, size=SIDE, classes=1)
    load_network(gan, tmp_path / WEIGHTS)
    held = pictures(range(8, 12))
    noise = torch.randn(LEAST_JUDGED, 4, generator=torch.Generator().manual_seed(0))
    real = torch.stack([held[i][0] for i in range(4)])
    found = float(sliced_wasserstein(real, generate(gan, noise)[0]))
    assert found == pytest.approx(min(distances), rel=1e-4)


def test_classes_stand_side_by_side_however_many_they_are() -> None:
    data = SideBySide([pictures(range(5)), pictures(range(5, 7))])
    assert len(data) == 5
    batch = default_collate([data[i] for i in range(5)])
    first, second = (to_bytes(some) for some in _by_class(batch))
    np.testing.assert_array_equal(first, PIXELS[:5])
    np.testing.assert_array_equal(second, PIXELS[[5, 6, 5, 6, 5]])


def test_coupled_classes_are_taught_together(tmp_path: Path) -> None:
    task: Any = Noted(classes=3)
    before = {name: value.clone() for name, value in task.gan.state_dict().items()}
    data = SideBySide([pictures(range(first, first + 4)) for first in (0, 4, 8)])
    train_network(task, data, None, Course(epochs=1, batch=2), tmp_path, CPU, 0, "tiny")
    moved = {name for name, value in task.gan.state_dict().items() if not value.equal(before[name])}
    assert moved == set(before), "what is shared and what is a class's own"


def test_a_sheet_has_a_row_for_each_class(tmp_path: Path) -> None:
    write_sheet(Gan(latent=4, width=2, size=SIDE, classes=3), tmp_path / "sheet.png")
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None
    assert sheet.shape == (3 * SIDE, 8 * SIDE, 3)
