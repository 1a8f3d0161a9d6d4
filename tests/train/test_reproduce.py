"""A paper's tables beside ours: what rows are judged by, and the whole command on phantoms."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from runtime.preprocess import to_tensor
from tests.train.test_recipe import bhardwaj, zoome
from tests.train.tiny import SIDE, tiny_recipe, write_data
from train import reproduce
from train.fit import command as train
from train.models.visual_backprop import VisualBackProp
from train.networks import build_member, member_preprocess, starts_from
from train.pipeline import Pipeline
from train.recipe_files import parse_recipe
from train.reproducing.costs import COSTS, costs
from train.reproducing.heat_figure import PaperFigure, evenly
from train.reproducing.judges import (
    by_area,
    by_balance,
    by_class,
    by_largest,
    by_specificity,
    by_youden,
    of_one_class,
    over_folds,
    paired,
    pooled,
)
from train.reproducing.other_combiners import OTHERS, joined
from train.reproducing.papers import FIGURES, TABLES
from train.reproducing.said import Flags, Said, said_by, youden
from train.reproducing.segmented import SEGMENTED, segmented
from train.reproducing.tables import PaperTable, Row, printed
from train.stages.classifying import PURIFICATION
from train.trainer import WEIGHTS, load_network


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=60))
def test_no_threshold_is_better_than_youdens(cases: list[tuple[int, bool]]) -> None:
    scores = np.array([score for score, _ in cases], dtype=np.float64)
    positive = np.array([truth for _, truth in cases])
    if positive.all() or not positive.any():
        return

    def index(threshold: float) -> float:
        called = scores >= threshold
        return float(called[positive].mean() - called[~positive].mean())

    best = max(index(threshold) for threshold in np.unique(scores))
    assert index(youden(scores, positive)) == pytest.approx(max(best, index(scores.min())))


def test_a_folds_threshold_is_not_its_own() -> None:
    """Fold 1 scores everything higher: by a threshold of its own it would be without a fault."""
    scores = np.array([0.1, 0.2, 0.8, 0.9, 0.91, 0.92, 0.98, 0.99])
    truth = np.array([1, 1, 0, 0] * 2)
    folds = np.repeat([0, 1], 4)
    said = Said(np.stack([scores, 1 - scores], axis=1), truth, folds, score=0)
    each = [by_youden(said, np.flatnonzero(folds == fold)) for fold in (0, 1)]
    assert [found["auc"] for found in each] == [1, 1]
    # Fold 0 is asked at .98 and finds nothing; fold 1 at .8 and calls everything.
    assert [found["sensitivity"] for found in each] == [0, 1]
    assert [found["specificity"] for found in each] == [1, 0]


def test_the_figures_of_a_table_by_hand() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
    said = Said(probabilities, np.array([0, 0, 1, 2]), np.zeros(4, int), score=0)
    rows = np.arange(4)
    found = by_largest(said, rows)
    assert found["accuracy"] == 0.75
    assert found["precision"] == pytest.approx((2 / 3 + 0 + 1) / 3)  # nothing was called class 1
    assert found["recall"] == pytest.approx((1 + 0 + 1) / 3)
    assert found["f1"] == pytest.approx((0.8 + 0 + 1) / 3)
    assert found["auc"] == pytest.approx((0.75 + 5 / 6 + 1) / 3)
    assert found["auc of labels"] == pytest.approx((0.75 + 0.5 + 1) / 3)
    classes = by_class(said, rows)
    assert classes["sensitivity"] == found["recall"]
    assert classes["specificity"] == pytest.approx((0.5 + 1 + 1) / 3)
    one = of_one_class(said, rows)
    assert (one["precision"], one["recall"]) == (pytest.approx(2 / 3), 1)
    assert one["loss"] == pytest.approx(-np.log([0.8, 0.5, 0.3, 0.6]).mean())
    assert by_largest(said, rows[:2])["accuracy"] == 1


def test_both_classes_count_the_same_in_their_balance() -> None:
    scores = np.array([0.9, 0.4, 0.6, 0.2, 0.1, 0.3])
    said = Said(
        np.stack([scores, 1 - scores], axis=1), np.array([0, 0, 1, 1, 1, 1]), np.zeros(6), score=0
    )
    found = by_balance(said, np.arange(6))
    assert (found["malignant accuracy"], found["benign accuracy"]) == (0.5, 0.75)
    assert found["balanced accuracy"] == 0.625
    assert (found["precision"], found["f1"]) == (0.5, 0.5)
    assert found["accuracy"] == pytest.approx(4 / 6)


def test_areas_and_specificities_by_hand() -> None:
    melanoma = np.array([0.9, 0.8, 0.6, 0.3, 0.7, 0.5, 0.4, 0.2])
    targets = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    keratosis = (1 - melanoma) * np.array([0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.2, 0.2])
    probabilities = np.stack([melanoma, keratosis, 1 - melanoma - keratosis], axis=1)
    said = Said(probabilities, targets, np.zeros(8, int), score=0)
    rows = np.arange(8)
    areas = by_area(said, rows)
    assert areas["melanoma"] == pytest.approx((4 + 4 + 3 + 1) / 16)
    assert areas["mean"] == pytest.approx((12 / 16 + 1) / 2)
    found = by_specificity("0.5", "0.75", "0.76", "1.0")(said, rows)
    assert found == {"0.5": 1.0, "0.75": 0.75, "0.76": 0.25, "1.0": 0.25}
    assert math.isnan(by_specificity("0.5")(said, rows[4:])["0.5"])


def test_a_system_may_decide_by_a_rule_of_its_own() -> None:
    scores = np.array([0.3, 0.1, 0.4, 0.2])
    probabilities = np.stack([scores, 1 - scores], axis=1)
    said = Said(probabilities, np.array([0, 1, 0, 0]), np.zeros(4), 0, np.array([0, 1, 1, 0]))
    assert of_one_class(said, np.arange(4))["recall"] == pytest.approx(2 / 3)
    assert Said(probabilities, said.targets, said.folds, 0).chosen.tolist() == [1, 1, 1, 1]


def clouds() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    targets, folds = np.arange(90) % 3, np.arange(90) // 3 % 3
    logits = rng.normal(0, 1, (90, 2, 3))
    logits[np.arange(90), :, targets] += 2
    said = np.exp(logits)
    return said / said.sum(axis=2, keepdims=True), targets, folds


@pytest.mark.parametrize("how", OTHERS)
def test_other_ways_to_join_members(how: str) -> None:
    members, targets, folds = clouds()
    said = joined(how, members, targets, folds, seed=0)
    np.testing.assert_allclose(said.sum(axis=1), 1)
    assert (said.argmax(axis=1) == targets).mean() > 0.75
    mixed = np.where(folds == 0, (targets + 1) % 3, targets)
    again = joined(how, members, mixed, folds, seed=0)
    np.testing.assert_array_equal(again[folds == 0], said[folds == 0])  # its own labels unseen
    if how != "average":
        assert not np.array_equal(again, said)


def test_a_dash_is_no_figure() -> None:
    assert printed(("accuracy", "auc"), "77.6% –") == {"accuracy": "77.6%"}


def test_every_paper_is_asked_for_by_its_name() -> None:
    assert tuple(TABLES) == reproduce.PAPERS


def test_rows_name_variants_that_there_are() -> None:
    for name, tables in TABLES.items():
        for table in tables:
            for row in table.rows:
                assert len(row.variants) >= len(row.light)
                assert set(row.paper) <= set(table.columns)
                for variant in (*row.variants, *row.light):
                    recipe = reproduce._recipe(name, variant)
                    assert recipe.name.startswith(name)
                    assert row.system in ("together", *OTHERS, *recipe.members)
                    assert recipe.ensemble is not None or row.system not in OTHERS


def asked(monkeypatch: pytest.MonkeyPatch, recipes: dict[str, Any], *tables: PaperTable) -> None:
    """Let a paper have these tables and its recipe these variants."""
    monkeypatch.setitem(TABLES, "zoome", tables)
    parsed = {name: parse_recipe(yaml.safe_dump(own), "tiny") for name, own in recipes.items()}
    monkeypatch.setattr(reproduce, "_recipe", lambda name, variant: parsed[variant])


def reproduced(place: Path, *words: str) -> tuple[list[dict[str, Any]], str]:
    data = str(write_data(place / "data")) if not (place / "data").exists() else place / "data"
    words = ("zoome", "--data", str(data), "--out", str(place / "out"), *words, "--workers", "0")
    done = CliRunner(catch_exceptions=False).invoke(reproduce.command, words)
    assert done.exit_code == 0, done.output
    return json.loads((place / "out" / "tables.json").read_text()), done.output


def text_of(place: Path) -> str:
    return (place / "out" / "tables.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_tables_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = PaperTable(
        "Table I",
        ("accuracy", "auc"),
        over_folds(by_youden),
        (
            Row("ours", ("",), {"accuracy": "84.59±2.94"}),
            Row("nothing known", ("",), {}, without=("age",), note="what it costs"),
            Row("theirs", (), {"accuracy": "77.77±5.04"}, note="another network"),
        ),
    )
    again = Row("the same again", ("",), {})
    rows = (*table.rows[:2], again)
    fine = PaperTable("Table II", ("loss",), pooled(of_one_class), rows, paired(of_one_class))
    asked(monkeypatch, {"": zoome()}, table, fine)
    (found, finer), said = reproduced(tmp_path, "--split", "paper")
    assert "epoch 1/1" in said
    ours, unknown, theirs = found["rows"]
    assert ours["ours"].keys() == {"accuracy", "sensitivity", "specificity", "auc"}
    assert unknown["ours"].keys() == ours["ours"].keys()
    assert len({row["ours"]["loss"] for row in finer["rows"]}) == 2  # what it is told counts
    first, without, same = (row.get(reproduce.AGAINST) for row in finer["rows"])
    assert first is None
    assert same is not None
    assert same["loss"] == "+0.000 (+0.000 to +0.000)"
    assert without is not None
    assert without["loss"] != same["loss"]
    assert f"| loss, ours | loss, {reproduce.AGAINST} |" in text_of(tmp_path)
    assert "ours" not in theirs
    assert "from random weights; 2 folds by image" in found["ours are"]
    assert "1 epoch in batches of 4, adam at 0.001" in found["ours are"]
    assert (ours["differs"], unknown["differs"]) == ("", "what it costs")
    assert "±" in ours["ours"]["auc"]
    assert "(" in ours["validation"]["auc"]
    text = text_of(tmp_path)
    assert "| theirs | 77.77±5.04 | – | – | – | – | – | another network |" in text
    assert not (tmp_path / "out" / "tiny" / "members" / "zoome" / "final").exists()
    _, again = reproduced(tmp_path, "--split", "paper")
    assert "epoch 1/1" not in again  # nothing is trained twice
    run = tmp_path / "out" / "tiny"
    words = ["--recipe", run / "recipe.json", "--data", tmp_path / "data", "--out", run]
    done = CliRunner().invoke(train, [*map(str, words), "--split", "paper", "--workers", "0"])
    assert done.exit_code == 0, done.output
    assert "on all images, epoch 1/1" in done.output  # what ships is all that was left
    assert "fold 1" not in done.output


@pytest.mark.slow
def test_one_system_is_asked_with_and_without_purification(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = (Row("purified", ("",), {}), Row("as they are", ("",), {}, without=(PURIFICATION,)))

    def in_full(pipelines: Sequence[Pipeline], row: Row, _: Flags) -> dict[str, str]:
        return {"scores": str(said_by(pipelines[0], row).scores.tolist())}

    table = PaperTable("Table 6", ("scores",), in_full, rows)
    recipe = tiny_recipe() | {"purifier": {"method": "classical"}, "purify_at": "always"}
    recipe["views"] = {"whole": {"area": "frame", "source": "purified"}}
    recipe["members"] = {"first": recipe["members"]["first"]}
    asked(monkeypatch, {"": recipe | {"ensemble": None, "segmenter": None}}, table)
    (found,), _ = reproduced(tmp_path)
    purified, raw = (row["ours"]["scores"] for row in found["rows"])
    assert purified != raw
    assert [run.name for run in (tmp_path / "out").iterdir() if run.is_dir()] == ["tiny"]


@pytest.mark.slow
def test_where_networks_look_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = tiny_recipe() | {"segmenter": None, "ensemble": None}
    one["views"] = {"whole": {"area": "frame"}}
    one["members"] = {"first": one["members"]["first"]}
    wide = one["members"]["first"] | {"size": [96, 64]}
    other = one | {"name": "other", "members": {"first": wide}}
    rows = (Row("one", ("",), {}), Row("other", ("other",), {}))
    runs: list[Pipeline] = []

    def caught(pipelines: Sequence[Pipeline], *_: Any) -> dict[str, str]:
        runs.extend(pipelines)
        return {}

    asked(monkeypatch, {"": one, "other": other}, PaperTable("Table", (), caught, rows))
    monkeypatch.setitem(FIGURES, "zoome", (PaperFigure("looks", "Where they look", rows),))
    _, said = reproduced(tmp_path)
    assert "Where they look: " in said
    drawn = cv2.imread(str(tmp_path / "out" / "looks.png"))
    assert drawn is not None
    height, width = drawn.shape[:2]
    assert width > height > 400
    assert drawn.std() > 20, "not a blank page"
    run = runs[0]
    chosen = np.array([0, 5, 9, 14])
    seen, heats = run.classifying.looks("first", chosen)
    for row, picture, heat in zip(chosen, seen, heats, strict=True):
        fold = str(run.folds[row])
        weights = tmp_path / "out" / "tiny" / "members" / "first" / fold / WEIGHTS
        net = load_network(build_member(run.recipe, "first"), weights)
        tensor = torch.from_numpy(to_tensor(picture, member_preprocess(run.recipe, "first")))
        expected = VisualBackProp(net, (SIDE, SIDE))(tensor)[2]
        np.testing.assert_allclose(heat, expected[0, 0].detach().numpy(), atol=1e-5)


def test_the_images_of_a_figure_are_picked_by_nobody() -> None:
    scores = np.array([0.9, 0.1, 0.2, 0.8, 0.4, 0.3, 0.7, 0.5, 0.6, 0.0, 1.0, 0.05])
    assert evenly(scores, np.arange(1, 12), 3).tolist() == [10, 4, 9]
    assert evenly(scores, np.array([1, 2, 0]), 8).tolist() == [0, 2, 1], "all, where there are few"


@pytest.mark.slow
def test_rows_of_one_run_are_its_members_and_ways_to_join_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mean = bhardwaj() | {"ensemble": {"kind": "mean"}, "name": "mean"}
    figures = PaperTable(
        "Table 3",
        ("accuracy", "auc"),
        pooled(of_one_class),
        (
            Row("machine", ("",), {}),
            Row("mean", ("mean",), {}),
            Row("average", ("",), {}, system="average"),
            Row("one", ("",), {}, system="deep_cnn"),
            Row("both", ("", "mean"), {}),
        ),
    )
    not_run = PaperTable("Table 2", ("accuracy",), pooled(of_one_class), (Row("theirs", (), {}),))
    spent = PaperTable("Table 4", COSTS, costs, (Row("one", ("",), {}, system="deep_cnn"),))
    asked(monkeypatch, {"": bhardwaj(), "mean": mean}, not_run, figures, spent)
    (found, cost), _ = reproduced(tmp_path)
    ours = {row["what"]: row["ours"] for row in found["rows"]}
    assert ours["mean"] == ours["average"]
    assert len({json.dumps(each) for each in ours.values()}) == 4
    accuracy = {what: float(each["accuracy"].split()[0]) for what, each in ours.items()}
    assert accuracy["both"] == pytest.approx(
        (accuracy["machine"] + accuracy["mean"]) / 2, abs=0.001
    )
    own, taken = (tmp_path / "out" / run / "members/deep_cnn/0" for run in ("tiny", "mean"))
    assert (own / WEIGHTS).samefile(taken / WEIGHTS)  # nobody trained it twice
    (row,) = cost["rows"]
    assert row["ours"]["parameters"].replace(",", "").isdigit()
    assert float(row["ours"]["seconds"]) >= 0


@pytest.mark.slow
def test_masks_are_judged_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = PaperTable("Table 3", SEGMENTED, segmented, (Row("U-Net", ("",), {}),))
    asked(monkeypatch, {"": tiny_recipe()}, table)
    (only,), _ = reproduced(tmp_path)
    (found,) = only["rows"]
    loss, dice, right = (float(found["ours"][name].split()[0]) for name in SEGMENTED)
    assert loss == pytest.approx(1 - dice, abs=1e-3)
    figures = json.loads((tmp_path / "out" / "tiny" / "figures.json").read_text())
    assert dice == pytest.approx(figures["segmentation"]["dice"], abs=1e-3)
    assert 0 < right <= 1


@pytest.mark.slow
def test_rows_that_these_images_are_not_for_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = zoome() | {"classes": ["melanoma", "vascular_lesion"]}
    table = PaperTable(
        "Table I",
        ("auc",),
        over_folds(by_youden),
        (Row("ours", ("",), {}), Row("others", ("other",), {}, note="a note")),
    )
    none = PaperTable("Table 0", ("auc",), over_folds(by_youden), table.rows[1:])
    asked(monkeypatch, {"": zoome(), "other": other}, none, table)
    (_, found), _ = reproduced(tmp_path)
    ours, others = found["rows"]
    assert "auc" in ours["ours"]
    assert "resnet10t" in found["ours are"]
    assert "ours" not in others
    assert others["differs"].startswith("a note; not run: ")
    asked(
        monkeypatch,
        {"": other},
        PaperTable("Table I", ("auc",), over_folds(by_youden), (table.rows[0],)),
    )
    words = ["zoome", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    refused = CliRunner().invoke(reproduce.command, words)
    assert refused.exit_code == 2


def test_what_each_backbone_starts_from_is_told() -> None:
    recipe = parse_recipe(yaml.safe_dump(bhardwaj() | {"pretrained": True}), "tiny")
    starts = {
        own.backbone: starts_from(recipe, {"resnet10t": Path("file")}, own.backbone)
        for own in recipe.members.values()
    }
    assert starts == {
        "resnet10t": "from a file of weights",
        "mobilenetv2_050": "from ImageNet",
        "grouped_alexnet": "from random weights",
    }
