"""A member of the ensemble: trunk → SE block → global pooling → 128-d layer → classes.

SE block and layer may each be left out, and the block be a Zoom-SE.
"""

from __future__ import annotations

import torch
from torch import nn

from train.models.se import SqueezeExcite
from train.models.zoom_se import ZoomSE

HEAD_SCALE = 0.1  # a head that starts small starts at log(classes), not at a cross-entropy of 3.4


class Member(nn.Module):
    """Gives logits and the feature vector; export adds the softmax."""

    def __init__(
        self,
        trunk: nn.Module,
        channels: int,
        *,
        classes: int,
        se_width: int | None,
        features: int | None,
        dropout: float,
        zoom_se: bool = False,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        gate = ZoomSE if zoom_se else SqueezeExcite
        self.se = gate(channels, se_width) if se_width else None
        self.neck = nn.Linear(channels, features) if features else None
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(features or channels, classes)
        with torch.no_grad():
            self.head.weight.mul_(HEAD_SCALE)
            self.head.bias.zero_()

    def features(self, image: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.trunk(image)
        pooled = (maps if self.se is None else self.se(maps)).mean(dim=(2, 3))
        return pooled if self.neck is None else torch.relu(self.neck(pooled))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.features(image)
        return self.head(self.dropout(features)), features
