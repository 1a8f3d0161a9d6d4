"""VisualBackProp: which part of a picture a member's layers answer to (Bojarski et al. 2016).

At every size of its maps, the last ReLU's maps are averaged over their channels. From the deepest
on, such an average is enlarged to the size of the one before and multiplied by it. What is left at
the picture's size is high where every depth answered. No gradient is taken and no class is asked
for: it shows where there was something to see for the network, not what spoke for which class.

The paper enlarges by a transposed convolution of ones, with the kernel and stride of the layer in
between; here it is bilinear, to the exact size. That differs by a blur, and leaves out the chess
board that such a convolution draws wherever its stride does not divide its kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional

from train.models.member import Member

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.GELU, nn.LeakyReLU, nn.ELU)
LEAST = 1e-6
"""What a map is divided by at least: one that is zero everywhere stays so."""

Maps = list[torch.Tensor]


class VisualBackProp(nn.Module):
    """A member that gives logits, features, and a heat map of 0 to 1 as large as its input."""

    def __init__(self, net: Member, size: tuple[int, int]) -> None:
        super().__init__()
        self.net = net
        self._layers = _last_of_each_size(net, size)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        with _averages(self._layers) as averages:
            logits, features = self.net(image)
        return logits, features, _projected(averages, image.shape[-2:])


def _last_of_each_size(net: Member, size: tuple[int, int]) -> list[nn.Module]:
    """Layers in the order of the pass: the activations before each reduction, what is pooled."""
    seen: dict[tuple[int, ...], nn.Module] = {}

    def note(module: nn.Module, given: object, made: torch.Tensor) -> None:
        if made.ndim == 4:
            seen.pop(made.shape[-2:], None)
            seen[made.shape[-2:]] = module

    layers = [each for each in net.trunk.modules() if isinstance(each, ACTIVATIONS)]
    pooled = net.trunk if net.se is None else net.se
    hooks = [layer.register_forward_hook(note) for layer in (*layers, pooled)]
    training = net.training
    try:
        with torch.no_grad():
            net.eval()(torch.zeros(1, 3, *size))
    finally:
        net.train(training)
        for hook in hooks:
            hook.remove()
    larger = [(shape, layer) for shape, layer in seen.items() if min(shape) > 1]
    return [layer for _, layer in sorted(larger, key=lambda pair: -pair[0][-1])]


@contextmanager
def _averages(layers: list[nn.Module]) -> Iterator[Maps]:
    """Taken while the pass goes on: later layers may write over a map in its place.

    A layer that runs several times counts as it was when it ran last.
    """
    found: dict[int, torch.Tensor] = {}

    def keep(module: nn.Module, given: object, made: torch.Tensor) -> None:
        found[id(module)] = torch.relu(made).mean(dim=1, keepdim=True)

    hooks = [layer.register_forward_hook(keep) for layer in layers]
    averages: Maps = []
    try:
        yield averages
        averages += [found[id(layer)] for layer in layers]
    finally:
        for hook in hooks:
            hook.remove()


def _projected(averages: Maps, size: torch.Size) -> torch.Tensor:
    heat = _to_one(averages[-1])
    for average in reversed(averages[:-1]):
        heat = _to_one(_enlarged(heat, average.shape[-2:]) * _to_one(average))
    heat = _enlarged(heat, size)
    heat = heat - heat.amin(dim=(2, 3), keepdim=True)
    return _to_one(heat)


def _enlarged(heat: torch.Tensor, size: torch.Size) -> torch.Tensor:
    return functional.interpolate(heat, size=tuple(size), mode="bilinear", align_corners=False)


def _to_one(heat: torch.Tensor) -> torch.Tensor:
    """By its largest value, which changes nothing of the result and keeps it within 16 bits."""
    return heat / heat.amax(dim=(2, 3), keepdim=True).clamp_min(LEAST)
