"""How far generated pictures are from real ones, without a network that was trained elsewhere.

The sliced Wasserstein distance of Karras et al. (2018): of every band of a Laplacian pyramid, small
patches are laid along random directions, where the distance between two distributions is that
of their sorted values. In the coarsest band a patch is nearly the whole picture, in the finest a
bit of texture: what is blurred is far away, and so is one picture made over and over.
"""

from __future__ import annotations

import torch
from torch.nn import functional

COARSEST = 8
PATCH = 7
PATCHES = 2048
DIRECTIONS = 128


def sliced_wasserstein(real: torch.Tensor, made: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """The mean over the bands; nothing for equal sets, about one for strangers. The same seed takes
    the same places and directions, so that two generators are judged alike."""
    rng = torch.Generator().manual_seed(seed)
    bands = zip(_bands(real), _bands(made), strict=True)
    return torch.stack([_distance(one, other, rng) for one, other in bands]).mean()


def _bands(pictures: torch.Tensor) -> list[torch.Tensor]:
    """What each halving of the size takes away, and at last what is left."""
    found = []
    while pictures.shape[-1] > COARSEST:
        small = functional.avg_pool2d(pictures, 2)
        found.append(pictures - functional.interpolate(small, scale_factor=2, mode="bilinear"))
        pictures = small
    return [*found, pictures]


def _distance(real: torch.Tensor, made: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    # By the real ones' mean and deviation: a wrong colour or a flat texture has to count.
    mean, deviation = real.mean(dim=(0, 2, 3), keepdim=True), real.std(dim=(0, 2, 3), keepdim=True)
    one, other = (
        _patches((pictures - mean) / deviation.clamp_min(1e-6), rng) for pictures in (real, made)
    )
    directions = torch.randn(DIRECTIONS, one.shape[1], generator=rng).to(one.device)
    directions = directions / directions.norm(dim=1, keepdim=True)
    one, other = ((directions @ rows.T).sort(dim=1).values for rows in (one, other))
    return (one - other).abs().mean()


def _patches(maps: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Patches × numbers, from anywhere in any of the pictures."""
    windows = maps.unfold(2, PATCH, 1).unfold(3, PATCH, 1)
    picture, row, column = (
        torch.randint(windows.shape[axis], (PATCHES,), generator=rng).to(maps.device)
        for axis in (0, 2, 3)
    )
    return windows[picture, :, row, column].flatten(1)
