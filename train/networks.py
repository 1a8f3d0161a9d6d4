"""From a recipe to its networks and to how their inputs are prepared. Export builds them too."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from runtime.errors import UsageError
from runtime.specs import CHANNELS, PreprocessSpec
from train.models.dilated_unet import DilatedUNet
from train.models.locally_connected import LocallyConnected
from train.models.logistic import LogisticCombiner
from train.models.mean import Mean
from train.models.member import Member
from train.models.purification import PurificationNet
from train.models.svm import SvmCombiner
from train.models.trunks import OWN_TRUNKS, CutTrunk, build_trunk
from train.models.unet import UNet
from train.models.unlikeness import REDUCTIONS, PooledDepths, Unlikeness, numbers_of
from train.models.zoome import ZooMe, build_zoome
from train.recipe import Recipe
from train.recipe_parts.combiners import LogisticRecipe, MeanRecipe, SvmRecipe
from train.recipe_parts.members import PooledRecipe, ZooMeRecipe
from train.recipe_parts.purifiers import ModelPurifier
from train.recipe_parts.segmenters import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    DilatedUNetSpec,
    EncoderUNetSpec,
    SegmenterNetwork,
    SegmenterRecipe,
)
from train.weights import hub_access

Classifier = Member | ZooMe
Combiner = LocallyConnected | LogisticCombiner | Mean | SvmCombiner


def from_hub(recipe: Recipe, weights: Collection[str], backbone: str | None) -> bool:
    """A file given by hand takes the hub's place; networks of our own are on no hub."""
    ours = backbone is None or backbone in OWN_TRUNKS
    return recipe.pretrained and not ours and backbone not in weights


def check_frozen(recipe: Recipe, weights: Collection[str]) -> None:
    """What stays as it is must be worth keeping."""
    for name, member in recipe.members.items():
        known = member.backbone in weights or from_hub(recipe, weights, member.backbone)
        if member.frozen != "none" and not known:
            raise UsageError(
                f"The backbone of {name} stays frozen, but starts from random weights.",
                got=f"frozen: {member.frozen}, {member.backbone} without weights",
                expected="a backbone that has been trained before",
                remedy=f"--weights {member.backbone}=FILE, or --pretrained",
            )


def backbones(recipe: Recipe) -> list[str]:
    """Of all networks that classify or find the lesion, each once."""
    encoder = encoder_name(recipe)
    names = [*([encoder] if encoder else []), *(own.backbone for own in recipe.members.values())]
    return list(dict.fromkeys(names))


def starts_from(recipe: Recipe, weights: Collection[str], backbone: str) -> str:
    """In words, for those who compare."""
    if backbone in weights:
        return "from a file of weights"
    return "from ImageNet" if from_hub(recipe, weights, backbone) else "from random weights"


def fetch_weights(
    recipe: Recipe, weights: Mapping[str, Path], *, segmenter: bool, members: Iterable[str]
) -> None:
    """Build what starts from the hub once, and drop it: the hub's files then are in its cache.

    The segmenters are trained first. Without this a hub out of reach would show up hours later.
    """
    builds = {
        recipe.members[name].backbone: partial(build_member, recipe, name) for name in members
    }
    encoder = encoder_name(recipe)
    with torch.random.fork_rng(devices=[]):  # a network starts the same, fetched before or not
        for backbone, build in builds.items():
            if from_hub(recipe, weights, backbone):
                build(hub=True)
        if segmenter and from_hub(recipe, weights, encoder):
            build_segmenter(recipe, hub=True)


def encoder_name(recipe: Recipe) -> str | None:
    """The backbone that the segmenter is built around, if it is one of those."""
    part = recipe.segmenter
    network = None if part is None else part.network
    return network.backbone if isinstance(network, EncoderUNetSpec) else None


def build_segmenter(recipe: Recipe, *, hub: bool = False) -> nn.Module:
    """`hub` fetches the encoder's ImageNet weights; without it they are random, or loaded later."""
    part = segmenter_of(recipe)
    network, channels = part.network, CHANNELS[part.colour]
    if isinstance(network, DilatedUNetSpec):
        return DilatedUNet(network.width, channels)
    if not isinstance(network, EncoderUNetSpec):
        return UNet(network.width, channels, batch_norm=network.batch_norm)
    import segmentation_models_pytorch as smp

    with hub_access(network.backbone, wanted=hub):
        return smp.Unet(
            f"tu-{network.backbone}",
            encoder_weights="imagenet" if hub else None,
            decoder_channels=network.decoder,
            classes=1,
            **network.options,
        )


def segmenter_of(recipe: Recipe) -> SegmenterRecipe:
    """For those who know that there is one."""
    assert recipe.segmenter is not None
    return recipe.segmenter


def encoder_of(net: nn.Module, network: SegmenterNetwork) -> tuple[nn.Module, str] | None:
    if not isinstance(network, EncoderUNetSpec):
        return None
    return net.encoder, network.backbone  # type: ignore[return-value]


def segmenter_preprocess(recipe: Recipe) -> PreprocessSpec:
    part = segmenter_of(recipe)
    return PreprocessSpec(size=part.size, colour=part.colour, mean=part.mean, std=part.std)


def build_unlikeness(net: Classifier) -> Unlikeness:
    return Unlikeness(numbers_of(cut_trunk(net)))


def check_unlikeness(recipe: Recipe) -> None:
    """Before hours of training: not every backbone's maps are where they are looked for."""
    for name in recipe.unlikeness:
        trunk = cut_trunk(build_member(recipe, name)).eval()
        try:
            with torch.inference_mode():
                found = PooledDepths(trunk)(torch.zeros(1, 3, *recipe.members[name].size)).shape[1]
        except (AttributeError, IndexError, RuntimeError, ValueError):
            found = 0
        if not found or found != numbers_of(trunk):
            raise UsageError(
                f"The trunk of {name} cannot say how unlike a picture is.",
                got=f"{recipe.members[name].backbone}, cut where it is",
                expected=f"maps {' and '.join(map(str, REDUCTIONS))} times smaller than the "
                "picture before the cut, as the MobileNets and ResNets have them",
                remedy="cut it later, or leave the member out of `unlikeness`",
            )


def cut_trunk(net: Classifier) -> CutTrunk:
    """Of a member that a recipe's `unlikeness` may name."""
    assert isinstance(net.trunk, CutTrunk)
    return net.trunk


def build_purifier(recipe: Recipe) -> PurificationNet:
    return PurificationNet(purifier_of(recipe).width)


def purifier_of(recipe: Recipe) -> ModelPurifier:
    """For those who know that there is one and that it is a network."""
    assert isinstance(recipe.purifier, ModelPurifier)
    return recipe.purifier


def purifier_preprocess(recipe: Recipe) -> PreprocessSpec:
    """Red, green and blue as they are: that is what it gives as well."""
    return PreprocessSpec(size=purifier_of(recipe).size, mean=(0.0,) * 3, std=(1.0,) * 3)


def build_member(recipe: Recipe, name: str, *, hub: bool = False) -> Classifier:
    part = recipe.members[name]
    with hub_access(part.backbone, wanted=hub):
        if isinstance(part, ZooMeRecipe):
            return build_zoome(
                part.backbone, part.options, zoom_se=part.zoom_se, reduction=part.reduction,
                metadata=metadata_width(recipe, name), pretrained=hub,
            )  # fmt: skip
        trunk, channels = build_trunk(part.backbone, part.cut, part.options, hub)
    return Member(
        trunk,
        channels,
        classes=len(recipe.classes),
        se_width=part.se_width,
        features=part.features,
        dropout=part.dropout,
        zoom_se=part.zoom_se,
    )


def build_combiner(recipe: Recipe, supports: int = 0) -> Combiner:
    """`supports`: how many support vectors were found, which only the fitted one knows."""
    how = recipe.ensemble
    assert how is not None
    if isinstance(how, MeanRecipe):
        return Mean()
    if isinstance(how, LogisticRecipe):
        return LogisticCombiner(len(recipe.classes), combiner_told(recipe))
    if isinstance(how, SvmRecipe):
        return SvmCombiner(combiner_input(recipe)[1], len(recipe.classes), supports)
    return LocallyConnected(len(recipe.members), len(recipe.classes), how.filters)


def combiner_input(recipe: Recipe) -> tuple[int, int]:
    """Members × what is taken of each."""
    assert recipe.ensemble is not None
    widths = [m.features for m in recipe.members.values() if isinstance(m, PooledRecipe)]
    width = widths[0] if recipe.ensemble.takes == "features" else len(recipe.classes)
    assert width is not None
    return len(recipe.members), width


def combiner_told(recipe: Recipe) -> int:
    """How many numbers of a patient it is told."""
    how, metadata = recipe.ensemble, recipe.metadata
    if not isinstance(how, LogisticRecipe) or not how.metadata or metadata is None:
        return 0
    return metadata.width


def metadata_width(recipe: Recipe, name: str) -> int:
    """How many numbers of a patient the member is told."""
    member = recipe.members[name]
    if recipe.metadata is None or not isinstance(member, ZooMeRecipe) or not member.metadata:
        return 0
    return recipe.metadata.width


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
