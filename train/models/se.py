"""Squeeze-and-excitation: each channel is weighed by what all channels say on average."""

from __future__ import annotations

import torch
from torch import nn


class SqueezeExcite(nn.Module):
    """Two bias-free layers of `hidden` units and a sigmoid: Ding's equations 1 to 3."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, hidden, bias=False)
        self.excite = nn.Linear(hidden, channels, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        summary = features.mean(dim=(2, 3))
        weight = torch.sigmoid(self.excite(torch.relu(self.squeeze(summary))))
        return features * weight[:, :, None, None]
