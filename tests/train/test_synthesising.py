"""Which images a generator sees, what becomes of its pictures, and when it is asked again."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.data import ConcatDataset

from runtime.errors import DermedgeError, UsageError
from runtime.preprocess import resample
from tests.train.stand_in import FOLDS, Run, Trainings, runner
from tests.train.tiny import tiny_recipe
from train.data.table import Table
from train.stages import synthesising
from train.synthesis.adversaries import SideBySide

MELANOMA, KERATOSIS, NEVUS = 0, 1, 2


def fields(**synthetic: Any) -> dict[str, Any]:
    """One member that sees the whole frame, and pictures of two classes."""
    made = tiny_recipe()
    made |= {"segmenter": None, "ensemble": None}
    made["views"] = {"whole": {"area": "frame"}}
    made["members"] = {"first": made["members"]["first"]}
    gan = {
        "width": 2,
        "latent": 3,
        "size": 32,
        "images": {"melanoma": 4, "seborrheic_keratosis": 3},
    }
    return made | {"synthetic": gan | {"training": {"epochs": 1}} | synthetic}


@pytest.fixture
def run(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return runner(table, tmp_path / "run", monkeypatch)


def rows_of(data: SideBySide) -> list[list[int]]:
    return [each.rows for each in data.classes]


def test_generators_see_their_class_outside_the_fold(run: Run, table: Table) -> None:
    trained = run(fields())
    for code, name in ((MELANOMA, "melanoma"), (KERATOSIS, "seborrheic_keratosis")):
        for fold, label in enumerate(FOLDS):
            shown, watched = trained[f"pictures of {name} {label}"]
            mine = np.flatnonzero(table.targets == code)
            assert rows_of(shown) == [mine[mine % 2 != fold].tolist()]
            assert watched is None
    assert len(trained) == 3 * 3, "two generators and a member for each part"


def test_coupled_ones_see_every_class(run: Run, table: Table) -> None:
    trained = run(fields(kind="coupled_dcgan"))
    labels = [label for label in trained if label.startswith("pictures")]
    assert labels == [f"pictures of {', '.join(table.classes)} {fold}" for fold in FOLDS]
    (one, *_) = (rows_of(trained[label].train) for label in labels)
    rows = np.arange(len(table))
    assert one == [rows[(rows % 2 != 0) & (table.targets == code)].tolist() for code in range(3)]


def test_early_stopping_watches_images_of_its_own(run: Run, table: Table) -> None:
    training = {"epochs": 1, "patience": 3, "stop_fraction": 0.25}
    images = {"nevus": 2}
    shown, watched = run(fields(training=training, images=images))["pictures of nevus fold 1"]
    mine = np.flatnonzero(table.targets == NEVUS)
    assert watched is not None
    assert watched.classes[0].augmentation is None
    (used,), (held,) = rows_of(shown), rows_of(watched)
    assert not set(used) & set(held)
    assert {*used, *held} == set(mine[mine % 2 != 0].tolist())
    with pytest.raises(UsageError, match="too few images") as caught:  # one keratosis in a fold
        run(fields(training=training))
    assert "stop_fraction" in str(caught.value.remedy)


def test_members_are_trained_on_both(run: Run, table: Table, tmp_path: Path) -> None:
    shown, _ = run(fields())["first fold 1"]
    assert isinstance(shown, ConcatDataset)
    real, made = shown.datasets
    assert real.rows == [row for row in range(len(table)) if row % 2]
    assert made.targets.tolist() == [MELANOMA] * 4 + [KERATOSIS] * 3
    assert made.pixels.shape == (7, 64, 64, 3)
    assert made.augmentation == real.augmentation
    kept = np.load(tmp_path / "run" / "synthetic" / "0" / "pictures" / "pictures.npy")
    assert kept.shape == (7, 32, 32, 3)
    np.testing.assert_array_equal(made.pixels[4], np.rint(resample(kept[4], 64, 64)))
    assert run_without(fields(), run)["first fold 1"].train.rows == real.rows


def run_without(recipe: dict[str, Any], run: Run) -> Trainings:
    return run(recipe | {"synthetic": None})


def test_every_picture_is_looked_up_among_the_parts_images(
    run: Run, table: Table, tmp_path: Path
) -> None:
    run(fields())
    for part, unseen in (("0", 0), ("1", 1), ("final", 2)):
        folder = tmp_path / "run" / "synthetic" / part / "pictures"
        with (folder / "nearest.csv").open(encoding="utf-8") as text:
            found = list(csv.DictReader(text))
        assert [row["class"] for row in found] == ["melanoma"] * 4 + ["seborrheic_keratosis"] * 3
        rows = [table.ids.index(row["nearest"]) for row in found]
        assert all(row % 2 != unseen for row in rows)
        assert [table.labels[row] for row in rows] == [row["class of the nearest"] for row in found]
        assert (folder / "nearest.png").is_file()


def test_only_what_depends_on_a_change_is_done_again(run: Run) -> None:
    recipe = fields()
    run(recipe)
    assert run(recipe) == {}
    recipe["synthetic"]["images"]["melanoma"] = 2
    assert set(run(recipe)) == {f"first {fold}" for fold in FOLDS}, "the generators stay"
    recipe["synthetic"]["width"] = 4
    assert len(run(recipe)) == 9
    recipe["members"]["first"]["features"] = 8
    assert set(run(recipe)) == {f"first {fold}" for fold in FOLDS}


@pytest.mark.parametrize("times", [1, 99])
def test_a_copy_of_a_training_image_is_made_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    drawn, original = [], synthesising._pictures

    def copying(gan: Any, code: int, count: int, rng: Any) -> np.ndarray:
        pictures = original(gan, code, count, rng)
        drawn.append(count)
        if len(drawn) <= times:
            frames = np.load(tmp_path / "run" / "synthetic" / "frames" / "pixels.npy")
            pictures[-1] = frames[1]
        return pictures

    monkeypatch.setattr(synthesising, "_pictures", copying)
    if times > 1:
        with pytest.raises(DermedgeError, match="by heart") as caught:
            run(fields())
        assert "melanoma" in str(caught.value.got)
        return
    run(fields())
    assert drawn[:3] == [4, 1, 3]
    with (tmp_path / "run" / "synthetic" / "0" / "pictures" / "nearest.csv").open() as text:
        assert min(float(row["mse"]) for row in csv.DictReader(text)) > 0
