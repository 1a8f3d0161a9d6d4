"""Goel et al.: both U-Nets at the paper's sizes, the classifier, and every row of table 1."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from runtime.errors import UsageError
from runtime.specs import ViewSpec
from tests.train.test_networks import META, parameters, unet_parameters
from train import networks
from train.models.member import Member
from train.recipe import Recipe
from train.recipe_files import load_recipe

# As table 1 prints them: weights, data, augmentation, rate, weight decay, class weights.
TABLE_1 = {
    "row1_frozen_original": ("base froz.", "orig.", "no", 1e-3, 0, "no"),
    "row2_frozen_segmented": ("base froz.", "seg.", "no", 1e-3, 0, "no"),
    "row3_finetuned_original": ("finetun.", "orig.", "no", 1e-3, 0, "no"),
    "row4_finetuned_segmented": ("finetun.", "seg.", "no", 1e-3, 0, "no"),
    "row5_layer": ("fc layers", "seg.", "no", 1e-3, 0, "no"),
    "row6_last_block": ("dense-bl.", "seg.", "no", 1e-3, 0, "no"),
    "row7_augmented": ("finetun.", "seg.", "yes", 1e-3, 0, "no"),
    "row8_fast": ("finetun.", "seg.", "no", 1e-2, 0, "no"),
    "row9_frozen_fast": ("base froz.", "seg.", "no", 1e-2, 0, "no"),
    "row10_decayed": ("finetun.", "seg.", "no", 1e-3, 1e-3, "no"),
    "row11_weighted": ("finetun.", "seg.", "no", 1e-3, 0, "2-1"),
}


def row_of(recipe: Recipe) -> tuple[object, ...]:
    """A recipe in the words of table 1."""
    (member,) = recipe.members.values()
    training, how = recipe.training, recipe.training.augmentation
    weights = {"trunk": "base froz.", "all_but_last_block": "dense-bl."}.get(member.frozen)
    layers = "fc layers" if member.features else "finetun."
    (view,) = recipe.views.values()
    original = recipe.segmenter is None and view == ViewSpec(area="middle")
    assert original or view == ViewSpec(area="lesion", background="black")
    augmented = (how.rotate, how.shear, how.zoom, how.flip) == (90, 20, 0.2, True)
    assert augmented or how == type(how)()
    return (
        weights or layers,
        "orig." if original else "seg.",
        "yes" if augmented else "no",
        training.rate,
        training.weight_decay,
        {"none": "no"}.get(str(training.class_weights))
        or ("2-1" if training.class_weights == {"melanoma": 2} else "?"),
    )


@pytest.mark.parametrize("start", ["", "light+"])
@pytest.mark.parametrize("row", TABLE_1)
def test_table_1(row: str, start: str) -> None:
    recipe = load_recipe(f"goel/{start}{row}")
    assert row_of(recipe) == TABLE_1[row]
    training = recipe.training
    assert (training.optimizer, training.sampling) == ("adam", "balanced")
    assert (training.choose, training.patience) == ("balanced_accuracy", None)
    (member,) = recipe.members.values()
    if not start:
        assert (member.backbone, member.size, training.epochs) == ("densenet121", (224, 224), 15)


def test_row_4_is_the_recipe_itself() -> None:
    row, recipe = load_recipe("goel/row4_finetuned_segmented"), load_recipe("goel")
    assert row.model_copy(update={"name": "goel"}) == recipe


def test_the_shares_of_section_4_3() -> None:
    recipe = load_recipe("goel")
    rest = 1 - 1 / recipe.folds
    for training in (recipe.training, recipe.segmenter.training):
        assert rest * training.stop_fraction == pytest.approx(0.15, abs=0.01)
        assert rest * (1 - training.stop_fraction) == pytest.approx(0.70, abs=0.01)


def test_variants_are_put_over_each_other() -> None:
    assert load_recipe("goel/light+row1_frozen_original").name == "goel-light-row1_frozen_original"
    with pytest.raises(UsageError, match="no such variant") as caught:
        load_recipe("goel/light+row12")
    assert "row11_weighted" in str(caught.value.expected)


@pytest.mark.parametrize(
    ("name", "size", "parameters_of"),
    [("goel", (448, 576), 13_607_633), ("goel/unet_scratch", (448, 592), 31_037_633)],
)
def test_both_unets_at_the_sizes_of_the_paper(
    name: str, size: tuple[int, int], parameters_of: int
) -> None:
    recipe = load_recipe(name)
    part = recipe.segmenter
    assert part.size == size
    assert (part.loss, part.training.epochs, part.training.batch) == ("dice", 10, 4)
    assert (part.training.optimizer, part.training.rate) == ("adam", 1e-3)
    assert part.training.choose == "loss", "which is one minus Dice"
    with META:
        net = networks.build_segmenter(recipe).eval()
        mask = net(torch.zeros(1, 3, *size))
    assert mask.shape == (1, 1, *size)
    assert parameters(net) == parameters_of


def test_the_unet_from_scratch_is_counted_from_the_drawing() -> None:
    assert unet_parameters(64, batch_norm=True) == 31_037_633
    with META:
        net = networks.build_segmenter(load_recipe("goel/unet_scratch"))
    rises = [layer for layer in net.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert len(rises) == 4
    assert not [layer for layer in net.modules() if isinstance(layer, nn.Upsample)]


@pytest.mark.parametrize(
    ("name", "behind"),
    [
        ("goel", 1024 * 2 + 2),
        ("goel/row5_layer", 1024 * 1024 + 1024 + 1024 * 2 + 2),
    ],
)
def test_the_classifier_is_densenet121_with_two_outputs(name: str, behind: int) -> None:
    with META:
        net = networks.build_member(load_recipe(name), "classifier").eval()
        logits, features = net(torch.zeros(1, 3, 224, 224))
    assert isinstance(net, Member)
    assert (logits.shape, features.shape) == ((1, 2), (1, 1024))
    assert parameters(net.trunk) == 6_953_856
    assert parameters(net) == 6_953_856 + behind


def test_a_backbone_of_random_weights_is_not_frozen(tmp_path: Path) -> None:
    light = load_recipe("goel/light+row2_frozen_segmented")
    with pytest.raises(UsageError, match="stays frozen") as caught:
        networks.check_frozen(light, {})
    assert "--weights mobilenetv2_100=FILE" in str(caught.value.remedy)
    networks.check_frozen(light, {"mobilenetv2_100": tmp_path})
    networks.check_frozen(load_recipe("goel/row2_frozen_segmented"), {})  # from the hub
    networks.check_frozen(load_recipe("goel/light"), {})


def test_the_toned_set_is_seen_as_it_is() -> None:
    for start in ("", "light+"):
        recipe = load_recipe(f"goel/{start}toned")
        assert recipe.segmenter is None
        assert list(recipe.views.values()) == [ViewSpec()]
