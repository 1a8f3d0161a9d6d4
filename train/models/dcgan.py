"""The DCGANs of Bisla et al.: pictures of a class from noise, and a judge of what is real.

Coupled ones share what is far from the picture (the generators' first layers, the discriminators'
last), and each class has the three layers at the picture for itself. A de-coupled DCGAN is the same
with a single class: the rows of both tables are the same.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

LEAKAGE = 0.2
OWN = 3  # layers at the picture's end that are a class's own
SMALLEST = 4  # the side of the map that noise becomes, and that is judged


class Gan(nn.Module):
    """`width` counts the channels of a generator's last map; all others follow from it."""

    def __init__(self, latent: int, width: int, size: int, classes: int) -> None:
        super().__init__()
        self.generator = Generator(latent, width, size, classes)
        self.discriminator = Discriminator(width, size, classes)
        for layer in self.modules():
            # As Radford et al. start a DCGAN.
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(layer.weight, 0.0, 0.02)
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1.0, 0.02)


class Generator(nn.Module):
    def __init__(self, latent: int, width: int, size: int, classes: int) -> None:
        super().__init__()
        self.latent = latent
        widths = [width * 2**level for level in reversed(range(_doublings(size)))]

        def layers() -> list[nn.Module]:
            first = _up(latent, widths[0], stride=1, padding=0)
            between = [_up(i, o) for i, o in pairwise(widths)]
            last = nn.Sequential(nn.ConvTranspose2d(widths[-1], 3, 4, 2, 1), nn.Tanh())
            return [first, *between, last]

        self.shared = nn.Sequential(*layers()[:-OWN])
        self.own = nn.ModuleList(nn.Sequential(*layers()[-OWN:]) for _ in range(classes))

    def forward(self, noise: torch.Tensor) -> list[torch.Tensor]:
        """A picture of each class from the same noise, RGB from −1 to 1."""
        maps = self.shared(noise[:, :, None, None])
        return [own(maps) for own in self.own]


class Discriminator(nn.Module):
    """Gives logits: the sigmoid is in the loss."""

    def __init__(self, width: int, size: int, classes: int) -> None:
        super().__init__()
        widths = [3, *(width * 2 ** (level + 1) for level in range(_doublings(size)))]

        def layers() -> list[nn.Module]:
            maps = [_down(i, o) for i, o in pairwise(widths)]
            return [*maps, nn.Sequential(nn.Conv2d(widths[-1], 1, SMALLEST), nn.Flatten())]

        self.own = nn.ModuleList(nn.Sequential(*layers()[:OWN]) for _ in range(classes))
        self.shared = nn.Sequential(*layers()[OWN:])

    def forward(self, pictures: list[torch.Tensor]) -> torch.Tensor:
        """Pictures of each class, in the classes' order, to pictures × classes."""
        judged = [self.shared(own(some)) for own, some in zip(self.own, pictures, strict=True)]
        return torch.cat(judged, dim=1)


def _doublings(size: int) -> int:
    return (size // SMALLEST).bit_length() - 1


def _up(inputs: int, outputs: int, stride: int = 2, padding: int = 1) -> nn.Sequential:
    # The normalisation behind it has a bias.
    conv = nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def _down(inputs: int, outputs: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.LeakyReLU(LEAKAGE, inplace=True))
