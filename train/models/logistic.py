"""Logistic regression on what the members say and on what is known of the patient."""

from __future__ import annotations

import torch
from torch import nn

LEAST = 1e-6
"""Of a probability, before its logarithm: a member that is sure does not silence the others."""


class LogisticCombiner(nn.Module):
    """`told`: how many numbers of the patient it is given; none leaves the members alone."""

    def __init__(self, classes: int, told: int) -> None:
        super().__init__()
        # Fitted as a whole, and not by gradients through this.
        self.weights = nn.Parameter(torch.zeros(classes, classes + told), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(classes), requires_grad=False)

    def forward(self, members: torch.Tensor, metadata: torch.Tensor | None = None) -> torch.Tensor:
        """batch × members × classes → batch × classes."""
        point = mean_logarithm(members)
        if metadata is not None:
            point = torch.cat([point, metadata], dim=1)
        return torch.softmax(point @ self.weights.T + self.bias, dim=1)


def mean_logarithm(members: torch.Tensor) -> torch.Tensor:
    """batch × members × classes → batch × classes."""
    return torch.log(members.clamp_min(LEAST)).mean(dim=1)
