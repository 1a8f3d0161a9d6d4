"""Ding's ensemble: two locally connected layers, each class seeing only its own probabilities.

A locally connected layer over classes is a grouped 1×1 convolution with one group a class: with
five members, three classes and 20 filters, 3·(5·20 + 20) + 3·(20 + 1) = 423 parameters.
"""

from __future__ import annotations

import torch
from torch import nn

KNOT_FLOOR = 3e-3  # a probability of nought has no logarithm; this one's stands in for it


class LocallyConnected(nn.Module):
    def __init__(self, members: int, classes: int, filters: int) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(classes * members, classes * filters, 1, groups=classes)
        self.out = nn.Conv2d(classes * filters, classes, 1, groups=classes)

    @torch.no_grad()
    def start_as_mean(self) -> None:
        """The plain mean of the members, to which fitting then has to add something.

        Each filter averages the members and looks at what is above a knot of its own; together
        they draw the logarithm in straight pieces, and the softmax of logarithms is what went in.
        """
        classes, filters = self.out.out_channels, self.out.in_channels // self.out.out_channels
        knots = torch.cat([torch.zeros(1), torch.logspace(-2, 0, filters)])
        heights = knots.clamp_min(KNOT_FLOOR).log()
        slopes = heights.diff() / knots.diff()
        assert self.hidden.bias is not None
        assert self.out.bias is not None
        self.hidden.weight.fill_(1 / self.hidden.in_channels * classes)
        self.hidden.bias.copy_(-knots[:-1].repeat(classes))
        bends = torch.cat([slopes[:1], slopes.diff()])
        self.out.weight.copy_(bends.repeat(classes).view_as(self.out.weight))
        self.out.bias.fill_(float(heights[0]))

    def logits(self, probabilities: torch.Tensor) -> torch.Tensor:
        """batch × members × classes → batch × classes."""
        by_class = probabilities.transpose(1, 2).flatten(1)[:, :, None, None]
        return self.out(torch.relu(self.hidden(by_class)))[:, :, 0, 0]

    def forward(self, probabilities: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.logits(probabilities), dim=1)
