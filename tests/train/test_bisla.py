"""Bisla's recipe is the paper's, and a small one of its form for other tests."""

from __future__ import annotations

from typing import Any

from tests.train.test_recipe import SEVEN, made
from tests.train.tiny import tiny_recipe
from train.data.vocabulary import VOCABULARY
from train.recipe_files import load_recipe
from train.recipe_parts.training import Augmentation


def bisla() -> dict[str, Any]:
    """Its parts in the smallest sizes they have, generators and all."""
    fields = tiny_recipe()
    network = {"kind": "dilated_unet", "width": 2}
    segmenter = {"network": network, "size": [228, 228], "loss": "bce"} | SEVEN
    member = {"backbone": "resnet10t", "view": "whole", "size": [64, 64]}
    gan = {"latent": 3, "width": 2, "size": 32}
    return fields | {
        "segmenter": segmenter | {"training": dict(fields["training"])},
        "ensemble": None,
        "views": {"whole": {"area": "frame"}},
        "purifier": {"method": "classical"},
        "synthetic": gan | made(melanoma=3, seborrheic_keratosis=2),
        "members": {"resnet": member | {"se_width": None, "features": None}},
    }


def test_bisla_is_the_paper() -> None:
    recipe = load_recipe("bisla")
    segmenter, made_up = recipe.segmenter, recipe.synthetic
    assert segmenter is not None
    assert (segmenter.network.kind, segmenter.network.width) == ("dilated_unet", 64)
    assert (segmenter.size, segmenter.colour, segmenter.loss) == ((380, 380), "rgb_hsv_l", "bce")
    assert segmenter.mean == segmenter.std == (0.5,) * 7
    assert (segmenter.training.optimizer, segmenter.training.rate) == ("adam", 1e-4)
    assert made_up is not None
    assert (made_up.kind, made_up.latent, made_up.width, made_up.size) == ("dcgan", 10, 8, 256)
    assert made_up.images == {"melanoma": 350, "seborrheic_keratosis": 750}
    assert made_up.training.rate == 2e-4
    (member,) = recipe.members.values()
    assert (member.backbone, member.se_width, member.features) == ("resnet50", None, None)
    assert recipe.views[member.view].area == "frame"
    assert recipe.training.sampling == "balanced"
    assert recipe.purifier is not None
    assert (recipe.purifier.method, recipe.purifies_always) == ("classical", False)
    seven = load_recipe("bisla/seven")
    assert seven.synthetic is not None
    assert (seven.synthetic.kind, seven.synthetic.latent) == ("coupled_dcgan", 100)
    assert len(seven.classes) == 7
    assert seven.purifier is not None
    assert (seven.purifier.method, seven.purifies_always) == ("model", True)
    course = seven.purifier.training
    assert (course.rate, course.late_rate) == (2e-4, 1e-4)
    assert seven.views["whole"].source == "purified"
    assert set(seven.classes) <= set(VOCABULARY)
    plain = load_recipe("bisla/baseline")
    assert (plain.synthetic, plain.segmenter, plain.purifier) == (None, None, None)
    assert plain.training.sampling == "natural"
    assert plain.training.augmentation == Augmentation()
