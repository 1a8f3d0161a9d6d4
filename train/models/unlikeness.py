"""How unlike its training images a picture is, to a member that has learned from those.

What its trunk gives at two depths is averaged over the picture. Over the training images these
averages make a cloud, and a picture's distance from it is Mahalanobis's: in directions in which
skin lesions differ little from each other, little is far. Depths in the middle are taken because
what is no skin at all differs there; the last layers have learned to leave out all that tells no
disease from another, and call a page of print a lesion like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from train.models.trunks import CutTrunk

REDUCTIONS = (8, 16)  # of the picture's sides, at the depths that are looked at
SHRINK = 0.1  # of the correlations: as if so much of the cloud were round
FAR = 30.0  # deviations, beyond which it makes no difference; 16 bits hold its square


class Unlikeness(nn.Module):
    """batch × numbers → batch × 1: about one for an image like those that it was fitted on."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(numbers))
        self.register_buffer("whitening", torch.eye(numbers))
        self.centre: torch.Tensor
        self.whitening: torch.Tensor

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        most = FAR / pooled.shape[1] ** 0.5
        away = ((pooled - self.centre) @ self.whitening).clamp(-most, most)
        return away.square().sum(dim=1, keepdim=True).sqrt()


def fit_unlikeness(pooled: torch.Tensor) -> Unlikeness:
    """`pooled`: images × numbers, of the images that it is to know."""
    rows = pooled.double()
    deviation = rows.std(dim=0) + 1e-6
    correlation = torch.corrcoef(((rows - rows.mean(dim=0)) / deviation).T).nan_to_num()
    round_one = torch.eye(rows.shape[1], dtype=torch.float64)
    values, axes = torch.linalg.eigh((1 - SHRINK) * correlation + SHRINK * round_one)
    net = Unlikeness(rows.shape[1])
    net.centre.copy_(rows.mean(dim=0))
    net.whitening.copy_(axes / deviation[:, None] / (values * rows.shape[1]).sqrt())
    return net.eval()


def numbers_of(trunk: CutTrunk) -> int:
    return sum(channels for _, channels in trunk.depths(REDUCTIONS))


@contextmanager
def pooled_depths(trunk: CutTrunk) -> Iterator[list[torch.Tensor]]:
    """Filled by a pass through the trunk, which is made only once whoever else asks."""
    found: list[torch.Tensor] = []

    def note(module: nn.Module, given: object, made: torch.Tensor) -> None:
        found.append(made.mean(dim=(2, 3)))

    hooks = [module.register_forward_hook(note) for module, _ in trunk.depths(REDUCTIONS)]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


class PooledDepths(nn.Module):
    """A trunk's averages by themselves."""

    def __init__(self, trunk: CutTrunk) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        with pooled_depths(self.trunk) as found:
            self.trunk(image)
        return torch.cat(found, dim=1)
