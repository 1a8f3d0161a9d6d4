"""From a recipe to its networks and to how their inputs are prepared. Export builds them too."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from torch import nn

from runtime.specs import PreprocessSpec
from train.models.member import Member, build_trunk
from train.models.unet import UNet
from train.recipe import EncoderUNetSpec, Recipe, SegmenterNetwork
from train.weights import hub_access

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def build_segmenter(recipe: Recipe, *, fresh: bool = False) -> nn.Module:
    """`fresh` starts from a hub's weights where the recipe says so; else they are loaded later."""
    network = recipe.segmenter.network
    if not isinstance(network, EncoderUNetSpec):
        return UNet(network.width)
    import segmentation_models_pytorch as smp

    pretrained = fresh and recipe.pretrained
    with hub_access(network.backbone, wanted=pretrained):
        return smp.Unet(
            f"tu-{network.backbone}",
            encoder_weights="imagenet" if pretrained else None,
            decoder_channels=network.decoder,
            classes=1,
            **network.options,
        )


def encoder_of(net: nn.Module, network: SegmenterNetwork) -> tuple[nn.Module, str] | None:
    if not isinstance(network, EncoderUNetSpec):
        return None
    return net.encoder, network.backbone  # type: ignore[return-value]


def segmenter_preprocess(recipe: Recipe) -> PreprocessSpec:
    part = recipe.segmenter
    return PreprocessSpec(size=part.size, mean=part.mean, std=part.std)


def build_member(recipe: Recipe, name: str, *, fresh: bool = False) -> Member:
    part = recipe.members[name]
    pretrained = fresh and recipe.pretrained and part.backbone != "small_se"
    with hub_access(part.backbone, wanted=pretrained):
        trunk, channels = build_trunk(part.backbone, part.cut, part.options, pretrained)
    return Member(
        trunk,
        channels,
        classes=len(recipe.classes),
        se_width=part.se_width,
        features=part.features,
        dropout=part.dropout,
    )


def member_preprocess(recipe: Recipe, name: str) -> PreprocessSpec:
    """Mean and deviation are the backbone's own, unless the recipe says otherwise."""
    part = recipe.members[name]
    import timm

    known = timm.get_pretrained_cfg(part.backbone, allow_unregistered=True)
    return PreprocessSpec(
        size=part.size,
        mean=part.mean or (tuple(known.mean) if known else IMAGENET_MEAN),
        std=part.std or (tuple(known.std) if known else IMAGENET_STD),
    )


def start_of(recipe: Recipe, weights: dict[str, Path]) -> dict[str, Any]:
    """What the first weights depend on, for a stage's key."""
    hashes = {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in weights.items()}
    return {"pretrained": recipe.pretrained, "weights": hashes}
