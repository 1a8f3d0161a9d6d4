"""A small classifier trunk trained from scratch: inverted residuals, each with an SE gate.

It stands beside the pretrained trunks in the demo ensemble because it errs differently: it has
seen nothing but lesions.
"""

from __future__ import annotations

import torch
from torch import nn

from train.models.se import SqueezeExcite


def _conv(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]


class _Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        wide = 3 * inputs
        self.body = nn.Sequential(
            *_conv(inputs, wide, 1),
            nn.ReLU(inplace=True),
            *_conv(wide, wide, 3, stride, groups=wide),
            nn.ReLU(inplace=True),
            SqueezeExcite(wide, wide // 4),
            *_conv(wide, outputs, 1),
        )
        self.identity = inputs == outputs and stride == 1

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features + self.body(features) if self.identity else self.body(features)


class SmallSE(nn.Module):
    """Features at a sixteenth of the input's size, `4 * width` channels."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        stages = ((width, 1), (2 * width, 2), (2 * width, 1), (4 * width, 2), (4 * width, 1))
        blocks, inputs = [], width
        for outputs, stride in stages:
            blocks.append(_Residual(inputs, outputs, stride))
            inputs = outputs
        self.stem = nn.Sequential(
            *_conv(3, width // 2, 3, 2),
            nn.ReLU(inplace=True),
            *_conv(width // 2, width, 3, 2),
            nn.ReLU(inplace=True),
        )
        self.blocks = nn.Sequential(*blocks)
        self.channels = inputs

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.blocks(self.stem(image))
