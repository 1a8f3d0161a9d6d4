"""A network that is asked of a picture's mirror images as well, and says their average.

A lesion has no left and no upside, yet a network that has seen two thousand of them answers each
mirror image a little differently, by chance. One batch holds them all: an engine reads its weights
once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

ACROSS, DOWN = 3, 2  # the axes of a picture's width and height
AXES: dict[int, tuple[int, ...]] = {1: (), 2: (ACROSS,), 4: (ACROSS, DOWN)}
"""Which ways it is mirrored, by how many pictures that makes: each way doubles them."""


def ask_mirrored(net: nn.Module, image: torch.Tensor, images: int) -> tuple[torch.Tensor, ...]:
    """`net` takes pictures alone; what it says, numbers or maps as of the picture, is averaged."""
    for axis in AXES[images]:
        image = torch.cat([image, image.flip(axis)])
    said: Any = net(image)
    return tuple(_averaged(each, AXES[images]) for each in said)


def _averaged(said: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
    """A map is laid back onto the picture as it was, one axis after the other."""
    for axis in reversed(axes):
        both = said.reshape(2, -1, *said.shape[1:])
        said = (both[0] + both[1].flip(axis)) / 2 if said.ndim > axis else both.mean(dim=0)
    return said


class Mirrored(nn.Module):
    """Such a network as a network."""

    def __init__(self, net: nn.Module, images: int) -> None:
        super().__init__()
        self.net, self.images = net, images

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return ask_mirrored(self.net, image, self.images)
