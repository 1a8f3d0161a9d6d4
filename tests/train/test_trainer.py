"""One network in its folder: resumed after a kill, stopped early, saved without a pickle."""

from __future__ import annotations

import csv
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from runtime.errors import UsageError
from runtime.specs import PreprocessSpec
from train.datasets import ViewDataset
from train.models.member import Member
from train.models.small_se import SmallSE
from train.recipe_parts.training import Augmentation, Choice, Training
from train.tasks import MemberTask
from train.trainer import (
    WEIGHTS,
    Machine,
    check_machine,
    load_network,
    predict,
    save_network,
    train_network,
)

SPEC = PreprocessSpec(size=(16, 16), mean=(0.5,) * 3, std=(0.5,) * 3)
CPU = Machine(accelerator="cpu", precision="32-true", workers=0)
TARGETS = np.arange(12) % 2


def data(augmentation: Augmentation | None = None) -> ViewDataset:
    """Two classes that differ in brightness."""
    noise = np.random.default_rng(0).integers(0, 100, (12, 16, 16, 3), dtype=np.uint8)
    bright = (TARGETS * 120).astype(np.uint8)[:, None, None, None]
    return ViewDataset(noise + bright, TARGETS, range(12), SPEC, augmentation)


def network() -> Member:
    torch.manual_seed(7)
    trunk = SmallSE(4)
    return Member(trunk, trunk.channels, classes=2, se_width=2, features=4, dropout=0.0)


class KilledAtEpoch(MemberTask):
    epoch: int | None = None

    def on_train_epoch_start(self) -> None:
        if self.current_epoch == self.epoch:
            raise RuntimeError("killed")


def task(training: Training, killed_at: int | None = None) -> KilledAtEpoch:
    made = KilledAtEpoch(network(), training, torch.tensor([1.0, 2.0]))
    made.epoch = killed_at
    return made


def fit(one: MemberTask, training: Training, folder: Path, machine: Machine = CPU) -> None:
    stop = data() if training.watches else None
    train_network(one, data(Augmentation(flip=True)), stop, training, folder, machine, 0, "tiny")


def epochs_in(log: Path) -> list[int]:
    with (log / "metrics.csv").open() as text:
        return sorted({int(row["epoch"]) for row in csv.DictReader(text)})


@pytest.mark.parametrize(
    ("schedule", "patience"), [("cosine", None), ("cosine", 9), ("cyclical", None)]
)
def test_a_killed_training_goes_on_at_its_epoch(
    schedule: str, patience: int | None, tmp_path: Path
) -> None:
    training = Training(epochs=4, batch=4, schedule=schedule, patience=patience)
    with pytest.raises(RuntimeError, match="killed"):
        fit(task(training, killed_at=2), training, tmp_path)
    # Nothing in it but tensors, numbers and names: loading it cannot run anything.
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert (kept["epoch"], kept["global_step"]) == (1, 6)
    fit(task(training), training, tmp_path)
    assert epochs_in(tmp_path / "log") == [0, 1]
    assert epochs_in(tmp_path / "log-2") == [2, 3]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log", "log-2", WEIGHTS]


class Noted(KilledAtEpoch):
    """Keeps the mean of its weights by hand."""

    means: list[torch.Tensor]

    def optimizer_step(self, *given: Any, **more: Any) -> None:
        super().optimizer_step(*given, **more)
        now = self.model.neck.weight.detach()
        before = self.means[-1] if self.means else now
        self.means.append(torch.lerp(now, before, 0.8))


@pytest.mark.parametrize("choose", [None, "loss"])
def test_the_mean_of_the_weights_is_kept_though_it_was_killed(
    choose: Choice | None, tmp_path: Path
) -> None:
    training = Training(epochs=4, batch=4, rate=1e-2, ema=0.8, choose=choose)
    means: list[torch.Tensor] = []
    for killed_at in (2, None):
        one = Noted(network(), training, torch.tensor([1.0, 2.0]))
        one.epoch, one.means = killed_at, means
        with pytest.raises(RuntimeError, match="killed") if killed_at else nullcontext():
            fit(one, training, tmp_path)
    assert len(means) == 12
    kept = load_network(network(), tmp_path / WEIGHTS).neck.weight.detach()
    errors = [float((kept - mean).abs().max()) for mean in means[2::3]]  # after each epoch
    assert min(errors) < 1e-6
    if choose is None:
        assert errors[-1] == min(errors)


def test_a_killed_training_goes_on_behind_its_best_epoch(tmp_path: Path) -> None:
    """The best was the first; it goes on at the fifth all the same, and still keeps the first."""

    class Worse(KilledAtEpoch):
        def validation_step(self, batch: Any, _: int) -> None:
            self.log("stop_loss", torch.tensor(float(self.current_epoch)))

    def made(killed_at: int | None) -> Worse:
        one = Worse(network(), training, torch.tensor([1.0, 2.0]))
        one.epoch = killed_at
        return one

    training = Training(epochs=6, batch=4, choose="loss")
    with pytest.raises(RuntimeError, match="killed"):
        fit(made(4), training, tmp_path)
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["epoch"] == 0
    fit(made(None), training, tmp_path)
    assert epochs_in(tmp_path / "log") == [0, 1, 2, 3]
    assert epochs_in(tmp_path / "log-2") == [4, 5]


@pytest.mark.parametrize("ema", [None, 0.8])
def test_a_training_killed_before_its_weights_were_saved(ema: float | None, tmp_path: Path) -> None:
    """The last epoch is done and only the last file is missing: nothing is trained again."""
    training, longer = (Training(epochs=epochs, batch=4, rate=1e-2, ema=ema) for epochs in (2, 3))
    one = task(training)
    fit(one, training, tmp_path / "whole")
    other = task(longer, killed_at=2)
    with pytest.raises(RuntimeError, match="killed"):
        fit(other, longer, tmp_path / "killed")
    kept = torch.load(tmp_path / "killed" / "last.ckpt", weights_only=True)
    assert kept["epoch"] == 1
    fit(task(training), training, tmp_path / "killed")
    stored = [load_network(network(), tmp_path / w / WEIGHTS) for w in ("whole", "killed")]
    for mine, theirs in zip(*(net.state_dict().values() for net in stored), strict=True):
        assert torch.equal(mine, theirs)


def test_patience_keeps_the_best_epoch_not_the_last(tmp_path: Path) -> None:
    class Worse(KilledAtEpoch):
        """Its validation loss rises after the first epoch, and its weights are marked by epoch."""

        def on_train_epoch_end(self) -> None:
            with torch.no_grad():
                self.model.head.bias[0] = self.current_epoch  # type: ignore[union-attr,index,operator]

        def validation_step(self, batch: Any, _: int) -> None:
            self.log("stop_loss", torch.tensor(1.0 + abs(self.current_epoch - 1)))

    training = Training(epochs=9, batch=4, patience=2)
    one = Worse(network(), training, None)
    one.epoch = None
    fit(one, training, tmp_path)
    assert epochs_in(tmp_path / "log") == [0, 1, 2, 3], "two epochs without gain, then the end"
    kept = load_network(network(), tmp_path / WEIGHTS)
    assert float(kept.state_dict()["head.bias"][0]) == 1


@pytest.mark.parametrize("patience", [None, 2])
def test_the_epoch_of_the_best_balanced_accuracy_is_kept(
    patience: int | None, tmp_path: Path
) -> None:
    """Told by its marks, not by what it has learnt: right in epoch 1, and in no other."""

    class Marked(KilledAtEpoch):
        def on_train_epoch_end(self) -> None:
            with torch.no_grad():
                self.model.head.bias[0] = self.current_epoch  # type: ignore[union-attr,index,operator]

        def logits(self, given: Any) -> torch.Tensor:
            if self.training:
                return super().logits(given)
            bright = given.mean(dim=(1, 2, 3)) > -0.1
            right = functional.one_hot(bright.long(), 2).float()
            return right if self.current_epoch == 1 else 1 - right

    training = Training(epochs=5, batch=4, patience=patience, choose="balanced_accuracy")
    one = Marked(network(), training, None)
    one.epoch = None
    fit(one, training, tmp_path)
    epochs = [0, 1, 2, 3] if patience else [0, 1, 2, 3, 4]
    assert epochs_in(tmp_path / "log") == epochs, "patience ends it, else it runs to the end"
    with (tmp_path / "log" / "metrics.csv").open() as text:
        told = [row["stop_balanced_accuracy"] for row in csv.DictReader(text)]
    assert [float(one) for one in told if one] == [float(epoch == 1) for epoch in epochs]
    kept = load_network(network(), tmp_path / WEIGHTS)
    assert float(kept.state_dict()["head.bias"][0]) == 1


def test_training_learns_and_repeats(tmp_path: Path) -> None:
    training = Training(epochs=12, batch=4, rate=2e-2)
    nets = []
    for name in ("one", "other"):
        one = task(training)
        fit(one, training, tmp_path / name)
        nets.append(load_network(network(), tmp_path / name / WEIGHTS))
    logits, features = predict(nets[0], data(), CPU, batch=5)
    assert (logits.shape, features.shape) == ((12, 2), (12, 4))
    assert (logits.argmax(axis=1) == TARGETS).mean() > 0.9
    again = predict(nets[1], data(), CPU)[0]
    np.testing.assert_array_equal(again.argmax(axis=1), logits.argmax(axis=1))
    before = predict(network(), data(), CPU)[0]
    assert (before.argmax(axis=1) == TARGETS).mean() < 0.9, "else the check above says nothing"


def test_a_saved_network_comes_back(tmp_path: Path) -> None:
    one, other = network(), nn.Identity()
    save_network(one, tmp_path / "w.safetensors")
    back = load_network(Member(SmallSE(4), 16, classes=2, se_width=2, features=4, dropout=0.0),
                        tmp_path / "w.safetensors")  # fmt: skip
    image = torch.randn(1, 3, 16, 16)
    assert torch.equal(back(image)[0], one.eval()(image)[0])
    with pytest.raises(RuntimeError, match="Unexpected key"):
        load_network(other, tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    "machine", [Machine(accelerator="gpu", devices=999), Machine(accelerator="cpu", devices=0)]
)
def test_hardware_that_is_not_there(machine: Machine) -> None:
    check_machine(CPU)
    with pytest.raises(UsageError, match="cannot train") as caught:
        check_machine(machine)
    assert "--devices" in str(caught.value.remedy)


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "steps"), [(6, 2), (16, 1)])
def test_two_processes_train_one_network(batch: int, steps: int, tmp_path: Path) -> None:
    """In as many steps as one would. Six of the twelve images are fewer than half of 16: they must
    not drop them all."""
    training = Training(epochs=1, batch=batch, rate=1e-2, choose="balanced_accuracy")
    one = MemberTask(network(), training, torch.tensor([1.0, 2.0]))
    two = Machine(accelerator="cpu", devices=2, precision="32-true", workers=0)
    fit(one, training, tmp_path, two)
    trained = load_network(network(), tmp_path / WEIGHTS).state_dict()
    assert not torch.equal(trained["neck.weight"], network().state_dict()["neck.weight"])
    assert int(trained["trunk.stem.1.num_batches_tracked"]) == steps
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log", WEIGHTS]
