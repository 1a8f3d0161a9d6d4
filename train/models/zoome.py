"""ZooME (Xing et al.): a backbone with Zoom-SE, its features weighted by who the patient is."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from runtime.errors import UsageError
from train.models.trunks import build_trunk
from train.models.zoom_se import with_zoom_se


class MetadataGate(nn.Module):
    """Two layers from what is known of a patient to a weight for each channel of the features."""

    def __init__(self, known: int, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(known, channels), nn.ReLU(), nn.Linear(channels, channels), nn.Sigmoid()
        )

    def forward(self, features: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
        return features * self.layers(row)


class ZooMe(nn.Module):
    """Gives logits and features. One number decides: the other class has a logit of zero, so that
    the softmax of both is the sigmoid of the one."""

    def __init__(self, trunk: nn.Module, channels: int, metadata: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.gate = MetadataGate(metadata, channels) if metadata else None
        self.head = nn.Linear(channels, 1)

    def forward(
        self, image: torch.Tensor, row: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        # The mean is linear and the gate a number for each channel: it may come before or after.
        features = self.trunk(image).mean(dim=(2, 3))
        if self.gate is not None:
            assert row is not None
            features = self.gate(features, row)
        logit = self.head(features)
        return torch.cat([logit, torch.zeros_like(logit)], dim=1), features


def build_zoome(
    backbone: str, options: dict[str, Any], *, zoom_se: bool, reduction: int, metadata: int,
    pretrained: bool,
) -> ZooMe:  # fmt: skip
    """`metadata`: how many numbers are known of a patient; none leaves the gate out."""
    trunk, channels = build_trunk(backbone, None, options, pretrained)
    if zoom_se:
        if not hasattr(trunk, "layer4"):
            raise UsageError(
                "Zoom-SE stands behind the residual blocks of a ResNet.",
                got=backbone,
                expected="a ResNet or ResNeXt of timm's, such as resnext50_32x4d",
            )
        with_zoom_se(trunk, reduction)
    return ZooMe(trunk, channels, metadata)
