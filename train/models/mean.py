"""The plain mean of what the members say."""

from __future__ import annotations

import torch
from torch import nn


class Mean(nn.Module):
    def forward(self, probabilities: torch.Tensor) -> torch.Tensor:
        """batch × members × classes → batch × classes."""
        return probabilities.mean(dim=1)
