"""The trunks a network may have: timm's, torchvision's AlexNet, and our own."""

from __future__ import annotations

from collections.abc import Callable, Collection
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn

from runtime.errors import UsageError
from train.models.grouped_alexnet import GroupedAlexNet
from train.models.small_se import SmallSE

OWN_TRUNKS: dict[str, Callable[..., SmallSE | GroupedAlexNet]] = {
    "small_se": SmallSE,
    "grouped_alexnet": GroupedAlexNet,
}
"""Trunks that are on no hub: they start from random weights, and have their channels as a field."""

ALEXNET, ALEXNET_CHANNELS = "alexnet", 256  # which timm does not have


class CutTrunk(nn.Module):
    """A timm backbone up to one of its stages; the layers behind are not even built."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.net(image)[0]

    def depths(self, reductions: Collection[int]) -> list[tuple[nn.Module, int]]:
        """The layers up to the cut whose maps are so many times smaller than the picture, and their
        channels."""
        net: Any = self.net
        there = net.feature_info.info[: net.feature_info.out_indices[-1] + 1]
        return [
            (net.model.get_submodule(stage["module"]), stage["num_chs"])
            for stage in there
            if stage["reduction"] in reductions
        ]


def build_trunk(
    backbone: str, cut: int | None, options: dict[str, Any], pretrained: bool
) -> tuple[nn.Module, int]:
    """The trunk, giving a map of features, and the number of its channels."""
    if backbone in (*OWN_TRUNKS, ALEXNET):
        if cut is not None:
            raise UsageError(
                f"{backbone} has no stages to cut at.",
                got=f"cut: {cut}",
                expected="no `cut`",
                remedy="take a backbone of timm's, or a smaller one by its options",
            )
        if backbone == ALEXNET:
            return _alexnet(pretrained), ALEXNET_CHANNELS
        own = OWN_TRUNKS[backbone](**options)
        return own, own.channels
    import timm

    if not timm.is_model(backbone):
        close = get_close_matches(backbone, timm.list_models(), n=5)
        hint = f", perhaps {', '.join(close)}" if close else ""
        raise UsageError(
            "timm has no backbone of this name.",
            got=backbone,
            expected=f"{', '.join((*OWN_TRUNKS, ALEXNET))} or a timm model{hint}",
        )
    if cut is None:
        net: Any = timm.create_model(
            backbone, pretrained=pretrained, num_classes=0, global_pool="", **options
        )
        # Some have layers between the last features and the classes: VGG, MobileNetV3.
        return net, net.head_hidden_size
    stages: Any = timm.create_model(
        backbone,
        pretrained=pretrained,
        features_only=True,
        feature_cls="getter",
        out_indices=(cut,),
        **options,
    )
    return CutTrunk(stages), stages.feature_info.channels()[0]


def _alexnet(pretrained: bool) -> nn.Module:
    from torchvision.models import AlexNet_Weights, alexnet

    net: Any = alexnet(weights=AlexNet_Weights.DEFAULT if pretrained else None)
    features: nn.Module = net.features
    return features
