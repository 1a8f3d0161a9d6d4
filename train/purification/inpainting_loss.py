"""The loss of Liu et al. (2018) for pictures that are filled in: each pixel for itself, and how
what was filled in goes together with what is around it.

`wanted` has four planes: red, green, blue, and 1 where something was to be filled in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

VALID, HOLE, PERCEPTUAL, STYLE, VARIATION = 1.0, 6.0, 0.05, 120.0, 0.1

Features = Callable[[torch.Tensor], Sequence[torch.Tensor]]
"""Maps of a network that knows pictures, for red, green and blue in 0…1."""


def inpainting_loss(
    painted: torch.Tensor, wanted: torch.Tensor, features: Features | None
) -> torch.Tensor:
    """Without `features` the terms that ask such a network are left out."""
    truth, holes = wanted[:, :3], wanted[:, 3:]
    composed = holes * painted + (1 - holes) * truth
    difference = (painted - truth).abs()
    loss = VALID * ((1 - holes) * difference).mean() + HOLE * (holes * difference).mean()
    loss = loss + VARIATION * variation(composed, holes)
    if features is None:
        return loss
    known = features(truth)
    for picture in (painted, composed):
        for got, expected in zip(features(picture), known, strict=True):
            loss = loss + PERCEPTUAL * functional.l1_loss(got, expected)
            loss = loss + STYLE * functional.l1_loss(gram(got), gram(expected))
    return loss


def gram(maps: torch.Tensor) -> torch.Tensor:
    """How the maps occur together, wherever in the picture."""
    flat = maps.flatten(2)
    return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


def variation(picture: torch.Tensor, holes: torch.Tensor) -> torch.Tensor:
    """Steps between neighbours, within the holes and over their edges."""
    near = functional.max_pool2d(holes, 3, stride=1, padding=1)
    down = (picture[:, :, 1:] - picture[:, :, :-1]).abs() * near[:, :, 1:] * near[:, :, :-1]
    along = (picture[..., 1:] - picture[..., :-1]).abs() * near[..., 1:] * near[..., :-1]
    return down.mean() + along.mean()
