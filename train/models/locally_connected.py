"""Ding's ensemble: two locally connected layers, each class seeing only its own probabilities.

A locally connected layer over classes is a grouped 1×1 convolution with one group a class: with
five members, three classes and 20 filters, 3·(5·20 + 20) + 3·(20 + 1) = 423 parameters.
"""

from __future__ import annotations

import torch
from torch import nn


class LocallyConnected(nn.Module):
    def __init__(self, members: int, classes: int, filters: int) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(classes * members, classes * filters, 1, groups=classes)
        self.out = nn.Conv2d(classes * filters, classes, 1, groups=classes)

    def logits(self, probabilities: torch.Tensor) -> torch.Tensor:
        """batch × members × classes → batch × classes."""
        by_class = probabilities.transpose(1, 2).flatten(1)[:, :, None, None]
        return self.out(torch.relu(self.hidden(by_class)))[:, :, 0, 0]

    def forward(self, probabilities: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.logits(probabilities), dim=1)
