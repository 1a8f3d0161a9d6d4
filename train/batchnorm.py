"""Batch normalisation whose statistics were folded away, made fit for training again, and
statistics measured anew when a network is trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn


def has_folded_batchnorm(trunk: nn.Module) -> bool:
    """Whether every layer says mean 0 and variance 1: statistics lost on the file's way here."""
    norms = _norms(trunk)
    return bool(norms) and all(
        bool((mean == 0).all()) and float((variance - 1).abs().max()) < 0.01
        for mean, variance in map(_statistics, norms)
    )


@torch.inference_mode()
def restore_batchnorm(trunk: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Give folded batch normalisation its statistics back, without changing what the trunk says.

    Frozen at mean 0 and variance 1 the layers work in evaluation, but in training they would
    divide by the true deviations and turn pretrained features into noise. So the true statistics
    are measured, and weight and bias chosen such that the evaluated output stays the same.
    """
    sums = {norm: torch.zeros(2, norm.num_features, dtype=torch.float64) for norm in _norms(trunk)}
    pixels = dict.fromkeys(sums, 0)

    def measure(norm: nn.Module, inputs: tuple[torch.Tensor], _: torch.Tensor) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        x = inputs[0].double()
        sums[norm] += torch.stack([x.sum(dim=(0, 2, 3)), x.square().sum(dim=(0, 2, 3))])
        pixels[norm] += x.numel() // x.shape[1]

    hooks = [norm.register_forward_hook(measure) for norm in sums]
    training = trunk.training
    trunk.eval()
    for batch in batches:
        trunk(batch)
    trunk.train(training)  # nobody else would: Lightning trains a network in the mode it is in
    for hook in hooks:
        hook.remove()
    for norm, total in sums.items():
        if pixels[norm] == 0:
            continue  # a layer that the trunk holds and does not use
        mean, squares = total / pixels[norm]
        _rebase(norm, mean, (squares - mean.square()).clamp_min(0))


@torch.no_grad()
def measure_batchnorm(net: nn.Module, batches: Iterable[Sequence[torch.Tensor]]) -> None:
    """Each layer's mean and variance anew, over all batches alike. Weights stay as they are, and so
    do the statistics of layers that are frozen."""
    learned = [norm for norm in _norms(net) if norm.weight.requires_grad]
    net.eval()
    momenta = [norm.momentum for norm in learned]
    for norm in learned:
        norm.reset_running_stats()
        norm.momentum = None  # PyTorch then takes the mean over the batches
        norm.train()
    for batch in batches:
        net(*batch)
    net.eval()
    for norm, momentum in zip(learned, momenta, strict=True):
        norm.momentum = momentum


def _rebase(norm: nn.BatchNorm2d, mean: torch.Tensor, variance: torch.Tensor) -> None:
    old_mean, old_variance = _statistics(norm)
    scale = norm.weight / torch.sqrt(old_variance + norm.eps)
    shift = norm.bias - old_mean * scale
    norm.weight.copy_(scale * torch.sqrt(variance + norm.eps))
    norm.bias.copy_(shift + scale * mean)
    old_mean.copy_(mean)
    old_variance.copy_(variance)


def _statistics(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var


def _norms(trunk: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in trunk.modules() if isinstance(module, nn.BatchNorm2d)]
