"""AlexNet as it was first drawn, in `paths` that do not see each other (Krizhevsky et al. 2012).

Bhardwaj and Rege's deep CNN: grouped convolutions in the second, fourth and fifth layer, so that
each path learns filters of its own; the third looks across. One path makes of it a plain CNN. Batch
normalisation stands where it once had local response normalisation.
"""

from __future__ import annotations

import torch
from torch import nn

WIDTHS = (96, 256, 384, 384, 256)


class GroupedAlexNet(nn.Module):
    """Features at a thirty-second of the input's size."""

    def __init__(self, paths: int = 2, share: float = 1.0) -> None:
        """`share`: of AlexNet's channels, for those who have no GPU."""
        super().__init__()
        widths = [paths * max(round(share * width / paths), 1) for width in WIDTHS]
        first, second, third, fourth, fifth = widths
        self.layers = nn.Sequential(
            *_layer(3, first, 11, 4),
            nn.MaxPool2d(3, 2),
            *_layer(first, second, 5, groups=paths),
            nn.MaxPool2d(3, 2),
            *_layer(second, third, 3),
            *_layer(third, fourth, 3, groups=paths),
            *_layer(fourth, fifth, 3, groups=paths),
            nn.MaxPool2d(3, 2),
        )
        self.channels = fifth

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.layers(image)
        return features


def _layer(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
