"""A recipe is checked before anything is trained: a misspelt one must not cost a night."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.errors import UsageError
from tests.train.tiny import tiny_recipe
from train.models.member import Member
from train.models.zoom_se import ZoomSE
from train.networks import build_member, combiner_told
from train.recipe import Recipe
from train.recipe_files import load_recipe, parse_recipe, shipped_recipes, variants_of

Change = Callable[[dict[str, Any]], object]


def made(**images: int) -> dict[str, Any]:
    return {"images": images, "training": {"epochs": 1}}


def refused(fields: object) -> UsageError:
    with pytest.raises(UsageError) as caught:
        parse_recipe(yaml.safe_dump(fields), "mine.yaml")
    assert "mine.yaml" in caught.value.what
    return caught.value


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_load_and_bear_their_name(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.score in recipe.positive
    assert "not a diagnosis" in recipe.intended_use


def test_ding_is_the_paper() -> None:
    recipe = load_recipe("ding")
    backbones = [member.backbone for member in recipe.members.values()]
    assert backbones == [
        "inception_v3", "densenet169", "resnet50", "inception_resnet_v2", "legacy_xception",
    ]  # fmt: skip
    assert recipe.pretrained
    assert recipe.segmenter.size == (256, 256)
    assert recipe.ensemble.filters == 20
    for name, member in recipe.members.items():
        training = recipe.training_of(name)
        assert (member.size, member.se_width, member.features) == ((224, 224), 128, 128)
        assert recipe.views[member.view].area == "lesion"
        assert (training.optimizer, training.rate, training.epochs) == ("adam", 1e-4, 100)
        assert (training.augmentation.rotate, training.augmentation.shift) == (180, 0.1)


def test_demo_is_dings_shape_in_a_small_size() -> None:
    recipe = load_recipe("demo")
    assert len(recipe.members) == 5
    assert recipe.ensemble.filters == 20
    assert {"frame", "lesion"} == {recipe.views[m.view].area for m in recipe.members.values()}
    assert len({(m.cut, m.view, m.size) for m in recipe.members.values()}) == 5


def test_edges_members_differ_and_its_last_step_is_told_of_the_patient() -> None:
    recipe = load_recipe("edge")
    assert len({m.view for m in recipe.members.values()}) == len(recipe.members) == 3
    assert combiner_told(recipe) == 5  # age and sex, each with a place for unknown
    assert combiner_told(load_recipe("edge/not_told")) == 0
    one = load_recipe("edge/one+no_ema")
    assert (list(one.members), one.ensemble, one.training.ema) == (["whole"], None, None)


def test_a_member_may_be_trained_in_a_way_of_its_own() -> None:
    recipe = Recipe.model_validate(tiny_recipe())
    assert recipe.training_of("first") == recipe.training
    assert recipe.training_of("second").patience == 2


def test_a_path_is_a_recipe_too(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(tiny_recipe()))
    assert load_recipe(str(file)).name == "tiny"


def purifier(**own: Any) -> dict[str, Any]:
    return {"method": "model", "training": {"epochs": 1, "late_epochs": 1}} | own


SEVEN = {"colour": "rgb_hsv_l", "mean": [0.5] * 7, "std": [0.5] * 7}
ENCODER = {"kind": "encoder_unet", "backbone": "resnet18", "decoder": [8] * 5}
BAD: list[tuple[str, Change]] = [
    ("training.epoch", lambda r: r["training"].update(epoch=3)),
    ("training.rate", lambda r: r["training"].update(rate=0)),
    ("training.optimizer", lambda r: r["training"].update(optimizer="sgd")),
    ("training.augmentation.rotation", lambda r: r["training"]["augmentation"].update(rotation=9)),
    ("class_weights has 'mole'", lambda r: r["training"].update(class_weights={"mole": 2})),
    (
        "would do it twice",
        lambda r: r["training"].update(sampling="balanced", class_weights="sqrt"),
    ),
    ("training.class_weights", lambda r: r["training"].update(class_weights={"nevus": 0})),
    ("members.first.view", lambda r: r["members"]["first"].update(view="hole")),
    ("members.first.sizes", lambda r: r["members"]["first"].update(sizes=[8, 8])),
    ("members.a/b", lambda r: r["members"].update({"a/b": r["members"]["first"]})),
    ("members.segmenter", lambda r: r["members"].update(segmenter=r["members"]["first"])),
    ("members", lambda r: r.update(members={})),
    ("segmenter.network", lambda r: r["segmenter"].update(network={"kind": "vnet"})),
    ("segmenter", lambda r: r["segmenter"].update(size=[64, 72])),
    ("rgb_hsv_l has 7 channels", lambda r: r["segmenter"].update(colour="rgb_hsv_l")),
    ("228 and a multiple of 8", lambda r: r["segmenter"].update(network={"kind": "dilated_unet"})),
    ("a timm encoder takes rgb", lambda r: r["segmenter"].update(SEVEN | {"network": ENCODER})),
    ("views.whole.source", lambda r: r["views"]["whole"].update(source="purified")),
    ("purify_at", lambda r: r.update(purifier={"method": "classical"}, purify_at="always")),
    ("purify_at", lambda r: r.update(purify_at="sometimes")),
    ("purifier.width", lambda r: r.update(purifier={"method": "classical", "width": 4})),
    ("purifier.training", lambda r: r.update(purifier={"method": "model"})),
    ("no multiples of 32", lambda r: r.update(purifier=purifier(size=[96, 112]))),
    ("members.purifier", lambda r: r["members"].update(purifier=r["members"]["first"])),
    ("'melanom' is not one of the classes", lambda r: r.update(score="melanom")),
    ("'mole' is not one of the classes", lambda r: r.update(positive=["mole"])),
    ("classes has a name twice", lambda r: r["classes"].append("melanoma")),
    ("members.second looks at the lesion", lambda r: r.update(synthetic=made(melanoma=9))),
    ("synthetic.images.mole is not", lambda r: r.update(synthetic=made(mole=9))),
    ("synthetic.images", lambda r: r.update(synthetic=made())),
    ("synthetic.size", lambda r: r.update(synthetic=made(melanoma=9) | {"size": 100})),
    ("folds", lambda r: r.update(folds=1)),
    ("about", lambda r: r.pop("about")),
]


@pytest.mark.parametrize(("field", "change"), BAD, ids=[field for field, _ in BAD])
def test_what_does_not_fit_is_refused_by_name(field: str, change: Change) -> None:
    fields = tiny_recipe()
    parse_recipe(yaml.safe_dump(fields), "mine.yaml")
    change(fields)
    assert field in str(refused(fields).got)


@pytest.mark.parametrize("text", ["", "just words", "- a\n- list\n"])
def test_something_else_than_fields(text: str) -> None:
    with pytest.raises(UsageError, match="does not fit"):
        parse_recipe(text, "mine.yaml")


@pytest.mark.parametrize("content", [b"name: [", b"a: b: c", b"name: \xff\xfe", b"a: \x00"])
def test_not_yaml(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=r"not valid YAML|cannot be read"):
        load_recipe(str(file))


def test_yaml_that_names_a_python_object_is_not_built() -> None:
    with pytest.raises(UsageError, match="not valid YAML"):
        parse_recipe("!!python/object/apply:os.getcwd []", "mine.yaml")


def test_an_unknown_name_lists_the_shipped_ones(tmp_path: Path) -> None:
    for name in ("dign", str(tmp_path), str(tmp_path / "none.yaml")):
        with pytest.raises(UsageError) as caught:
            load_recipe(name)
        assert caught.value.got == name
        assert "ding" in str(caught.value.expected)


def test_every_shipped_recipe_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert [name for name in shipped_recipes() if f"`{name}.yaml`" not in text] == []


def zoome() -> dict[str, Any]:
    fields = tiny_recipe()
    member = {"kind": "zoome", "backbone": "resnet10t", "view": "whole", "size": [64, 64]}
    return fields | {
        "classes": ["melanoma", "benign"],
        "segmenter": None,
        "ensemble": None,
        "views": {"whole": {"area": "frame"}},
        "metadata": {"fields": [{"kind": "number", "name": "age", "low": 0, "high": 90}]},
        "members": {"zoome": member},
    }


def bhardwaj() -> dict[str, Any]:
    """Three members without SE whose features are averaged, and a machine on them."""
    fields = tiny_recipe()
    member = {"view": "whole", "size": [64, 64], "se_width": None, "features": 16}
    mobilenet = {"backbone": "mobilenetv2_050", "options": {"depth_multiplier": 0.1}}
    return fields | {
        "classes": ["melanoma", "not_melanoma"],
        "segmenter": None,
        "views": {"whole": {"area": "frame"}},
        "training": fields["training"] | {"schedule": "cyclical", "class_weights": "balanced"},
        "members": {
            "inception": {**member, "backbone": "resnet10t"},
            "mobilenet": {**member, **mobilenet},
            "deep_cnn": {**member, "backbone": "grouped_alexnet", "options": {"share": 0.1}},
        },
        "ensemble": {"kind": "svm"},
    }


def test_bhardwaj_is_the_paper() -> None:
    recipe = load_recipe("bhardwaj")
    assert [(m.backbone, m.size, m.se_width, m.features) for m in recipe.members.values()] == [
        ("inception_v3", (299, 299), None, 128),
        ("mobilenetv1_100", (224, 224), None, 128),
        ("grouped_alexnet", (224, 224), None, 128),
    ]
    assert (recipe.ensemble.kind, recipe.ensemble.takes) == ("svm", "features")
    assert recipe.folds == 5  # a split of 80:20 each
    assert (recipe.training.epochs, recipe.training.optimizer) == (50, "adam")
    assert (recipe.training.schedule, recipe.training.class_weights) == ("cyclical", "balanced")
    eight = load_recipe("bhardwaj/eight")
    assert len(eight.classes) == 8
    assert list(load_recipe("bhardwaj/eight_cnn").members) == ["deep_cnn"]
    assert load_recipe("bhardwaj/average").ensemble.kind == "mean"


def test_features_are_averaged_only_where_they_are_alike() -> None:
    for change in ({"features": 8}, {"features": None}):
        fields = bhardwaj()
        fields["members"]["mobilenet"] |= change
        assert "same `features`" in refused(fields).got


def test_zoome_is_the_paper() -> None:
    recipe = load_recipe("zoome")
    (member,) = recipe.members.values()
    training = recipe.training
    assert (member.backbone, member.size) == ("resnext50_32x4d", (224, 224))
    assert (recipe.segmenter, recipe.ensemble, recipe.folds) == (None, None, 10)
    assert (training.optimizer, training.rate, training.batch) == ("adam", 1e-4, 64)
    assert training.focal is not None
    assert (training.focal.alpha, training.focal.gamma) == (0.25, 2)
    how = training.augmentation
    assert (how.crop, how.rotate, how.mirror, how.flip) == (0.2, 30, True, False)


def test_every_variant_of_a_shipped_recipe_loads() -> None:
    found = []
    for name in shipped_recipes():
        for variant in variants_of(name):
            assert load_recipe(f"{name}/{variant}").name == f"{name}-{variant}"
            found.append(f"{name}/{variant}")
    assert "zoome/resnet50_zoom_se" in found
    with pytest.raises(UsageError, match="no such variant") as caught:
        load_recipe("zoome/none")
    assert "no_metadata" in str(caught.value.expected)


def test_a_variant_changes_what_it_names() -> None:
    whole, plain = load_recipe("zoome"), load_recipe("zoome/resnet50")
    assert plain.members["zoome"].backbone == "resnet50"
    assert plain.members["zoome"].view == whole.members["zoome"].view
    assert plain.training == whole.training


def test_another_backbone_takes_none_of_the_options() -> None:
    """`edge` has `pad_type` for timm's MobileNetV2; the kit's own trunk knows no such thing."""
    before, after = (load_recipe(f"edge/one{v}").members["whole"] for v in ("", "+from_scratch"))
    assert (before.backbone, before.options) == ("mobilenetv2_100", {"pad_type": "same"})
    assert (after.backbone, after.options) == ("small_se", {})
    assert (after.view, after.size) == (before.view, before.size)


def test_zoom_se_needs_a_width() -> None:
    recipe = load_recipe("edge/one+zoom_se")
    member = build_member(recipe, "whole")
    assert isinstance(member, Member)
    assert isinstance(member.se, ZoomSE)
    assert member.se.squeeze.out_features == recipe.members["whole"].se_width == 32
    with pytest.raises(UsageError) as caught:
        load_recipe("edge/one+zoom_se+no_se")
    assert "zoom_se asks for a block" in str(caught.value.got)


WRONG: list[tuple[Change, str]] = [
    (lambda f: f.update(views={"whole": {"area": "lesion"}}), "segmenter is null"),
    (lambda f: f.update(metadata=None), "takes metadata"),
    (lambda f: f.update(positive=["benign"], score="benign"), "the positive first"),
    (lambda f: f["members"].update(other=dict(f["members"]["zoome"])), "several members"),
    (lambda f: f.update(synthetic=made(melanoma=9)), "synthetic pictures are of nobody"),
    (lambda f: f["members"]["zoome"].update(kind="zoom"), "members.zoome"),
    (lambda f: f["members"]["zoome"].update(cut=3), "members.zoome.cut"),
    (lambda f: f["members"]["zoome"].update(frozen="trunk"), "has all to learn"),
]


@pytest.mark.parametrize(("change", "told"), WRONG, ids=[told for _, told in WRONG])
def test_a_system_that_cannot_be_is_refused(change: Change, told: str) -> None:
    assert parse_recipe(yaml.safe_dump(zoome()), "fine.yaml").segmenter is None
    fields = zoome()
    change(fields)
    assert told in str(refused(fields).got)
