"""Zoom-SE (Xing et al.): channels are weighted by their most striking places, not by their mean.

The map is reduced to the maxima of 4 × 4 windows, those are averaged, and two layers make a weight
of each channel. Read literally the paper's equations drop the layers' output and end in a ReLU;
here the weight is the sigmoid of what the layers give, as the text around them says.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

WINDOWS = 4
OPEN = 4.0
"""Where the gate's bias starts: sigmoid(4) = 0.98. From zero each block would halve what it is
given, and sixteen of them in a row leave nothing to learn from."""


def windows(side: int, count: int) -> list[tuple[int, int]]:
    """First and last+1 of each, as adaptive pooling has them: they overlap where none divides."""
    return [(i * side // count, -(-(i + 1) * side // count)) for i in range(count)]


def zoomed(maps: torch.Tensor, count: int = WINDOWS) -> torch.Tensor:
    """Adaptive max pooling to count × count, by windows that are known when a graph is exported.

    PyTorch's own cannot be exported where the side is no multiple. Maxima of rows of maxima of
    columns are maxima, so that eight windows do for sixteen.
    """
    height, width = maps.shape[-2:]
    rows = [maps[..., a:b, :].amax(dim=-2, keepdim=True) for a, b in windows(height, count)]
    strips = torch.cat(rows, dim=-2)
    columns = [strips[..., a:b].amax(dim=-1, keepdim=True) for a, b in windows(width, count)]
    return torch.cat(columns, dim=-1)


class ZoomSE(nn.Module):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)
        nn.init.constant_(self.excite.bias, OPEN)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        striking = zoomed(maps).mean(dim=(2, 3))
        weights = torch.sigmoid(self.excite(torch.relu(self.squeeze(striking))))
        return maps * weights[:, :, None, None]


class Reweighted(nn.Module):
    """A residual block with Zoom-SE behind its last ReLU."""

    def __init__(self, block: nn.Module, channels: int, reduction: int) -> None:
        super().__init__()
        self.block = block
        self.zoom_se = ZoomSE(channels, max(channels // reduction, 1))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.zoom_se(self.block(maps))


def with_zoom_se(net: nn.Module, reduction: int = 16) -> int:
    """Put one behind every residual block of a ResNet of timm's. How many there are."""
    count = 0
    for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
        assert isinstance(stage, nn.Sequential)
        for place, block in enumerate(stage):
            last: Any = block.bn3 if hasattr(block, "bn3") else block.bn2
            stage[place] = Reweighted(block, last.num_features, reduction)
            count += 1
    return count
