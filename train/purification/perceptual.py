"""VGG16 as a judge of pictures, where its weights can be had."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from train.recipe_parts.segmenters import IMAGENET_MEAN, IMAGENET_STD
from train.weights import hub_access, load_trunk

VGG = "vgg16"
STAGES = (0, 1, 2)


class Perceptual(nn.Module):
    """What leaves the first three poolings of a trunk that is not trained any more."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk.eval().requires_grad_(False)
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)

    def forward(self, picture: torch.Tensor) -> list[torch.Tensor]:
        maps = self.trunk((picture - self.mean) / self.std)
        return [functional.max_pool2d(each, 2) for each in maps]


def open_perceptual(weights: Mapping[str, Path], pretrained: bool) -> Perceptual | str:
    """Or the reason why none is wanted."""
    if VGG in weights:
        trunk = _trunk(pretrained=False)
        load_trunk(trunk, weights[VGG])
        return Perceptual(trunk)
    if not pretrained:
        return f"no --weights {VGG}=FILE, and --no-pretrained asks no hub"
    with hub_access(VGG, wanted=True):
        return Perceptual(_trunk(pretrained=True))


def _trunk(*, pretrained: bool) -> nn.Module:
    import timm

    trunk: nn.Module = timm.create_model(
        VGG, pretrained=pretrained, features_only=True, out_indices=STAGES
    )
    return trunk
