"""Folded batch normalisation: the same answers in evaluation, and fit for training again."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from train.batchnorm import has_folded_batchnorm, measure_batchnorm, restore_batchnorm
from train.models.trunks import build_trunk


def norms(net: nn.Module) -> list[nn.BatchNorm2d]:
    return [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]


def images() -> torch.Tensor:
    return torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(5))


@torch.no_grad()
def trained_trunk() -> nn.Module:
    """A trunk whose statistics are far from 0 and 1, as after training."""
    torch.manual_seed(0)
    trunk, _ = build_trunk("mobilenetv2_100", 2, {}, False)
    for norm in norms(trunk):
        norm.weight.uniform_(0.5, 1.5)
        norm.bias.normal_(0, 0.3)
        norm.momentum = 1.0
    trunk.train()(images())
    return trunk.eval()


@torch.no_grad()
def fold(trunk: nn.Module) -> None:
    """What a converter leaves behind: the statistics moved into weight and bias."""
    for norm in norms(trunk):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        norm.bias.sub_(norm.running_mean * scale)
        norm.weight.copy_(scale * (1 + norm.eps) ** 0.5)
        norm.running_mean.zero_()
        norm.running_var.fill_(1)


@torch.no_grad()
def gap(trunk: nn.Module, wanted: torch.Tensor) -> float:
    """How far the output in training mode is from `wanted`, relative to its size."""
    got = trunk.train()(images())
    return float((got - wanted).norm() / wanted.norm())


def test_folded_statistics_are_recognised() -> None:
    trunk = trained_trunk()
    assert not has_folded_batchnorm(trunk)
    fold(trunk)
    assert has_folded_batchnorm(trunk)
    assert not has_folded_batchnorm(nn.Conv2d(3, 3, 1))


def test_restoring_changes_nothing_in_evaluation_and_much_in_training() -> None:
    trunk = trained_trunk()
    with torch.no_grad():
        original = trunk(images())
        fold(trunk)
        folded = trunk(images())
    assert torch.allclose(folded, original, atol=1e-4, rtol=1e-4)
    restore_batchnorm(trunk, images().split(8))
    assert not has_folded_batchnorm(trunk)
    with torch.no_grad():
        assert torch.allclose(trunk.eval()(images()), folded, atol=1e-4, rtol=1e-4)
    assert gap(trunk, folded) < 0.01


def test_without_restoring_training_starts_from_noise() -> None:
    """The negative control: what the check above would see had nothing been done."""
    trunk = trained_trunk()
    fold(trunk)
    with torch.no_grad():
        folded = trunk(images())
    assert gap(trunk, folded) > 0.3


@pytest.mark.parametrize("training", [True, False])
def test_a_trunk_is_left_in_the_mode_it_was_in(training: bool) -> None:
    """In evaluation the statistics just measured would never move again."""
    trunk = trained_trunk().train(training)
    restore_batchnorm(trunk, [images()])
    assert {module.training for module in trunk.modules()} == {training}


def test_a_restored_trunk_can_be_trained() -> None:
    trunk = trained_trunk()
    fold(trunk)
    restore_batchnorm(trunk, [images()])
    trunk.train()(images()).square().mean().backward()
    for norm in norms(trunk):
        assert norm.weight.grad is not None
        assert bool(torch.isfinite(norm.weight.grad).all())


def test_a_layer_that_is_never_reached_stays_as_it_is() -> None:
    class Spare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.used(image)

    net = Spare()
    restore_batchnorm(net, [images()])
    assert torch.equal(net.spare.weight, torch.ones(3))
    assert net.used.running_mean is not None
    assert net.used.running_mean.tolist() == pytest.approx(
        images().mean(dim=(0, 2, 3)).tolist(), abs=1e-6
    )


def test_measured_statistics_are_those_of_the_images_alone() -> None:
    """Nothing of what training left, and no batch counts more than another."""
    net = nn.Sequential(nn.BatchNorm2d(3))
    net(images() * 7 + 3)  # a training that has seen other images
    first, second = images()[:8] + 1, images()[8:] * 2
    measure_batchnorm(net, [[first], [second]])
    (norm,) = norms(net)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    both = torch.stack([batch.mean(dim=(0, 2, 3)) for batch in (first, second)])
    spread = torch.stack([batch.var(dim=(0, 2, 3)) for batch in (first, second)])
    assert norm.running_mean.tolist() == pytest.approx(both.mean(0).tolist(), rel=1e-4)
    assert norm.running_var.tolist() == pytest.approx(spread.mean(0).tolist(), rel=1e-4)
    assert norm.momentum == 0.1
    assert not norm.training


def test_measuring_changes_no_weight_and_nothing_frozen() -> None:
    trunk = trained_trunk()
    frozen, *learned = norms(trunk)
    frozen.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in trunk.state_dict().items()}
    held = {name: tensor.clone() for name, tensor in frozen.state_dict().items()}
    measure_batchnorm(trunk, [[images() * 3], [images() * 4]])
    changed = {
        name for name, tensor in trunk.state_dict().items() if not tensor.equal(before[name])
    }
    assert {name.rpartition(".")[2] for name in changed} == {
        "running_mean", "running_var", "num_batches_tracked",
    }  # fmt: skip
    assert len(changed) == 3 * len(learned)
    assert all(tensor.equal(held[name]) for name, tensor in frozen.state_dict().items())
