"""Losses and class weights."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from train.models.member import Member
from train.models.small_se import SmallSE
from train.recipe_parts.segmenters import SegmenterLoss
from train.recipe_parts.training import Focal, Training
from train.tasks import (
    MemberTask,
    SegmenterTask,
    balanced_accuracy,
    class_weights,
    focal_loss,
    found_of_each,
)

TRAINING = Training(epochs=1)
TARGETS = st.lists(st.integers(0, 3), min_size=1, max_size=60)


@given(TARGETS, st.sampled_from(["sqrt", "balanced"]))
def test_class_weights_favour_the_rare_and_average_to_one(targets: list[int], how: str) -> None:
    weights = class_weights(targets, "abcd", how)
    assert weights is not None
    counts = torch.bincount(torch.tensor(targets), minlength=4)
    assert bool((weights > 0).all())
    assert bool(torch.isfinite(weights).all())
    assert float(weights[torch.tensor(targets)].mean()) == pytest.approx(1, rel=1e-3)
    power = 1.0 if how == "balanced" else 0.5
    for one in set(targets):
        for other in set(targets):
            ratio = float(counts[other] / counts[one]) ** power
            assert float(weights[one] / weights[other]) == pytest.approx(ratio, rel=1e-4)


def test_no_class_weights() -> None:
    assert class_weights([0, 0, 1], "ab", "none") is None


def test_class_weights_by_name() -> None:
    weights = class_weights([0, 0, 1], ("melanoma", "benign"), {"melanoma": 2})
    assert weights is not None
    assert weights.tolist() == [2, 1]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
def test_balanced_accuracy_is_the_mean_of_what_is_found(cases: list[tuple[int, int]]) -> None:
    targets, said = (torch.tensor(column) for column in zip(*cases, strict=True))
    logits = functional.one_hot(said, 3).float()
    halves = [slice(0, len(cases) // 2), slice(len(cases) // 2, None)]  # two batches
    counts = sum(found_of_each(logits[half], targets[half]) for half in halves)
    shares = [float((said[targets == c] == c).float().mean()) for c in set(targets.tolist())]
    assert float(balanced_accuracy(counts)) == pytest.approx(sum(shares) / len(shares))


def test_balanced_classes_weigh_the_same_in_the_loss() -> None:
    class Constant(nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return images.flatten(1)[:, :2], images

    targets = [0] * 9 + [1]
    logits = torch.randn(10, 2, 1, 1)
    task = MemberTask(Constant(), TRAINING, class_weights(targets, "ab", "balanced"))
    each = functional.cross_entropy(logits[:, :, 0, 0], torch.tensor(targets), reduction="none")
    expected = (each[:9].mean() + each[9]) / 2
    assert torch.allclose(task.loss(logits, torch.tensor(targets)), expected)
    assert not any("class_weights" in name for name in task.state_dict())


def test_what_stands_behind_the_trunk_learns_faster() -> None:
    trunk = SmallSE(4)
    model = Member(trunk, trunk.channels, classes=2, se_width=4, features=8, dropout=0.0)
    training = Training(epochs=1, rate=1e-3)
    optimizer = MemberTask(model, training, None, head_rate=8).configure_optimizers()
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert len(rates) == sum(len(group["params"]) for group in optimizer.param_groups)
    assert {rates[id(p)] for p in trunk.parameters()} == {1e-3}
    behind = [*model.se.parameters(), *model.neck.parameters(), *model.head.parameters()]
    assert {rates[id(p)] for p in behind} == {8e-3}
    assert len(rates) == len(list(model.parameters()))


# --- segmentation --------------------------------------------------------------------------------


def loss_of(
    probabilities: torch.Tensor, masks: torch.Tensor, loss: SegmenterLoss = "bce_dice"
) -> float:
    """The loss of a network that says exactly these probabilities."""
    task = SegmenterTask(nn.Identity(), TRAINING, loss)
    return float(task.loss(torch.logit(probabilities, eps=1e-7), masks))


def mask(*pixels: int) -> torch.Tensor:
    flat = torch.zeros(1, 1, 16, 16)
    flat.view(-1)[list(pixels)] = 1
    return flat


def test_a_perfect_mask_costs_nothing() -> None:
    for truth in (mask(*range(90)), mask()):
        assert loss_of(truth, truth) == pytest.approx(0, abs=1e-3)


def test_a_wrong_mask_costs_more_the_further_it_is() -> None:
    truth = mask(*range(90))
    costs = [loss_of(mask(*range(start, start + 90)), truth) for start in (0, 30, 60, 90)]
    assert costs == sorted(costs)
    assert costs[-1] > 1


def test_the_dice_part_by_hand() -> None:
    truth, said = mask(*range(100)), torch.full((1, 1, 16, 16), 0.25)
    dice = (2 * 0.25 * 100 + 1) / (0.25 * 256 + 100 + 1)
    entropy = -(100 * math.log(0.25) + 156 * math.log(0.75)) / 256
    assert loss_of(said, truth) == pytest.approx(entropy + 1 - dice, rel=1e-5)


def test_each_part_alone() -> None:
    truth, said = mask(*range(100)), torch.full((1, 1, 16, 16), 0.25)
    bce, dice = loss_of(said, truth, "bce"), loss_of(said, truth, "dice")
    assert bce == pytest.approx(-(100 * math.log(0.25) + 156 * math.log(0.75)) / 256, rel=1e-5)
    assert bce + dice == pytest.approx(loss_of(said, truth), rel=1e-5)


def test_images_count_alike_whatever_their_lesions_size() -> None:
    """Dice is taken image by image: a large lesion does not drown a small one."""
    truth = torch.cat([mask(*range(200)), mask(0, 1)])
    said = torch.cat([mask(*range(200)), mask()])
    pixel_part = functional.binary_cross_entropy_with_logits(torch.logit(said, eps=1e-7), truth)
    assert loss_of(said, truth) - float(pixel_part) == pytest.approx((1 - 1 / 3) / 2, abs=1e-3)


@given(st.floats(0.05, 0.95), st.floats(0, 4), st.integers(0, 2**31))
def test_the_focal_loss_is_its_formula(alpha: float, gamma: float, seed: int) -> None:
    logits = torch.randn(7, 2, generator=torch.Generator().manual_seed(seed)) * 3
    targets = torch.arange(7) % 2
    got = focal_loss(logits, targets, Focal(alpha=alpha, gamma=gamma), [True, False])
    each = []
    for row, target in zip(torch.softmax(logits.double(), 1), targets, strict=True):
        p = float(row[target])
        weight = alpha if target == 0 else 1 - alpha
        each.append(-weight * (1 - p) ** gamma * math.log(p))
    assert float(got) == pytest.approx(sum(each) / 7, rel=1e-3, abs=1e-6)


def test_a_member_is_told_of_the_patient() -> None:
    class Told(nn.Module):
        def forward(
            self, images: torch.Tensor, known: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            return known, images

    training = Training(epochs=1, focal=Focal())
    task = MemberTask(Told(), training, None, positive=[True, False])
    known, targets = torch.randn(4, 2), torch.tensor([0, 1, 1, 0])
    loss = task.loss([torch.zeros(4, 3, 2, 2), known], targets)
    torch.testing.assert_close(loss, focal_loss(known, targets, Focal(), [True, False]))
