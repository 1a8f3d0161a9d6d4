"""A member of the ensemble: trunk → SE block → global pooling → 128-d layer → classes."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn

from runtime.errors import UsageError
from train.models.se import SqueezeExcite
from train.models.small_se import SmallSE

OWN_TRUNKS: dict[str, Callable[..., SmallSE]] = {"small_se": SmallSE}
"""Trunks that are on no hub: they start from random weights, and have their channels as a field."""

HEAD_SCALE = 0.1  # a head that starts small starts at log(classes), not at a cross-entropy of 3.4


class Member(nn.Module):
    """Gives logits and the feature vector; export adds the softmax."""

    def __init__(
        self,
        trunk: nn.Module,
        channels: int,
        *,
        classes: int,
        se_width: int,
        features: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.se = SqueezeExcite(channels, se_width)
        self.neck = nn.Linear(channels, features)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(features, classes)
        with torch.no_grad():
            self.head.weight.mul_(HEAD_SCALE)
            self.head.bias.zero_()

    def features(self, image: torch.Tensor) -> torch.Tensor:
        pooled = self.se(self.trunk(image)).mean(dim=(2, 3))
        return torch.relu(self.neck(pooled))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.features(image)
        return self.head(self.dropout(features)), features


class CutTrunk(nn.Module):
    """A timm backbone up to one of its stages; the layers behind are not even built."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.net(image)[0]


def build_trunk(
    backbone: str, cut: int | None, options: dict[str, Any], pretrained: bool
) -> tuple[nn.Module, int]:
    """The trunk, giving a map of features, and the number of its channels."""
    if backbone in OWN_TRUNKS:
        if cut is not None:
            raise UsageError(
                f"{backbone} has no stages to cut at.",
                got=f"cut: {cut}",
                expected="no `cut`",
                remedy="make it smaller by its options, such as {width: 16}",
            )
        own = OWN_TRUNKS[backbone](**options)
        return own, own.channels
    import timm

    if not timm.is_model(backbone):
        close = get_close_matches(backbone, timm.list_models(), n=5)
        hint = f", perhaps {', '.join(close)}" if close else ""
        raise UsageError(
            "timm has no backbone of this name.",
            got=backbone,
            expected=f"{', '.join(OWN_TRUNKS)} or a timm model{hint}",
        )
    if cut is None:
        net: Any = timm.create_model(
            backbone, pretrained=pretrained, num_classes=0, global_pool="", **options
        )
        return net, net.num_features
    stages: Any = timm.create_model(
        backbone,
        pretrained=pretrained,
        features_only=True,
        feature_cls="getter",
        out_indices=(cut,),
        **options,
    )
    return CutTrunk(stages), stages.feature_info.channels()[0]
