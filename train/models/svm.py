"""Support vector machines as plain arithmetic: the members' average, a margin, Platt's sigmoid.

ONNX has operators for it, in a domain that TensorRT does not know. Distances, an exponential and
two products are the same numbers, and every engine has them. Of two classes one machine decides; of
more each has its own against the rest, and their probabilities are scaled to a sum of one.
"""

from __future__ import annotations

import torch
from torch import nn

LEAST = 1e-6
"""A class that every machine is sure against still has a share."""


class SvmCombiner(nn.Module):
    """`supports`: how many vectors a kernel is taken with; none makes the machines linear."""

    def __init__(self, width: int, classes: int, supports: int) -> None:
        super().__init__()
        machines = 1 if classes == 2 else classes
        self.register_buffer("middle", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("supports", torch.zeros(supports, width))
        self.register_buffer("gamma", torch.ones(()))
        self.register_buffer("weights", torch.zeros(machines, supports or width))
        self.register_buffer("bias", torch.zeros(machines))
        self.register_buffer("slope", torch.ones(machines))
        self.register_buffer("offset", torch.zeros(machines))
        self.middle: torch.Tensor
        self.scale: torch.Tensor
        self.supports: torch.Tensor
        self.gamma: torch.Tensor
        self.weights: torch.Tensor
        self.bias: torch.Tensor
        self.slope: torch.Tensor
        self.offset: torch.Tensor

    def says_yes(self, probabilities: torch.Tensor) -> torch.Tensor:
        """batch × machines, whether the margin is positive: told from the probability, and where
        Platt's slope is negative the other way round."""
        above = probabilities >= torch.sigmoid(self.offset)
        return above == (self.slope > 0)

    def margins(self, members: torch.Tensor) -> torch.Tensor:
        """batch × members × width → batch × machines; positive where a machine says yes."""
        point = (members.mean(dim=1) - self.middle) / self.scale
        if len(self.supports):
            point = self._likeness(point)
        return point @ self.weights.T + self.bias

    def _likeness(self, point: torch.Tensor) -> torch.Tensor:
        """exp(−γ |x − s|²) for every support vector s."""
        own = (point * point).sum(dim=1, keepdim=True)
        theirs = (self.supports * self.supports).sum(dim=1)
        squares = own + theirs - 2 * point @ self.supports.T
        return torch.exp(-self.gamma * torch.relu(squares))

    def forward(self, members: torch.Tensor) -> torch.Tensor:
        """batch × members × width → batch × classes."""
        sure = torch.sigmoid(self.slope * self.margins(members) + self.offset)
        if len(self.bias) == 1:
            return torch.cat([sure, 1 - sure], dim=1)
        sure = sure + LEAST
        return sure / sure.sum(dim=1, keepdim=True)
