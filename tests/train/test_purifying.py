"""Which pictures purifiers learn from, who makes which, and what members are shown of them.

With a stand-in for the training itself. Each purifier is saved so that it paints one colour, which
says whose it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset

from runtime.lesion import find_lesion
from runtime.preprocess import resample
from runtime.purify import purify
from tests.train.stand_in import FOLDS, Run, pipeline, runner
from tests.train.tiny import SIDE, tiny_recipe
from train.data.table import Table
from train.datasets import ViewDataset
from train.models.purification import PurificationNet
from train.stages.segmenting import Segmenting

GREY = {"0": 0.2, "1": 0.4, "final": 0.9}
MODEL = {"method": "model", "width": 2, "training": {"epochs": 1, "late_epochs": 1, "batch": 4}}


def fields(method: str = "classical", at: str = "training") -> dict[str, Any]:
    """A member that sees the whole frame and one that sees the lesion."""
    made = tiny_recipe()
    made["members"]["second"].pop("training")
    made["purifier"] = {"method": "classical"} if method == "classical" else dict(MODEL)
    if method == "model":
        made["purifier"]["size"] = [SIDE, SIDE]
    if at == "always":
        made["views"]["lesion"]["source"] = "purified"
    return made | {"purify_at": at}


def paint(task: Any, folder: Path) -> None:
    if isinstance(task.model, PurificationNet):
        part = folder.name if folder.name in GREY else folder.parent.name
        with torch.no_grad():
            task.model.last.conv.weight[:] = 0
            task.model.last.conv.bias[:] = GREY[part]


@pytest.fixture
def run(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    # An untrained segmenter's masks are anything: the experts' stand in for them.
    experts = property(lambda segmenting: segmenting.expert_masks)
    monkeypatch.setattr(Segmenting, "masks", experts)
    return runner(table, tmp_path / "run", monkeypatch, paint)


def forms(data: Any) -> tuple[ViewDataset, ViewDataset]:
    """What a member is trained on: what a device will show it, and the other form."""
    assert isinstance(data, ConcatDataset)
    first, second = data.datasets
    assert isinstance(first, ViewDataset)
    assert isinstance(second, ViewDataset)
    return first, second


def frame_of(table: Table, row: int) -> np.ndarray:
    return cv2.imread(str(table[row].image))


def at_size(picture: np.ndarray) -> np.ndarray:
    return np.rint(resample(picture, SIDE, SIDE)).astype(np.uint8)


def purified(table: Table, run_folder: Path, row: int) -> np.ndarray:
    frame = frame_of(table, row)
    masks = np.load(run_folder / "views" / "masks" / "pixels.npy")
    lesion = find_lesion(masks[row], *frame.shape[:2])
    return purify(frame, lesion.mask if lesion else None).picture


def test_copies_of_what_the_classical_method_changes(
    run: Run, table: Table, tmp_path: Path
) -> None:
    trained = run(fields())
    first, copies = forms(trained["first fold 1"].train)
    changed = {
        row
        for row in range(len(table))
        if not np.array_equal(purified(table, tmp_path / "run", row), frame_of(table, row))
    }
    assert 3 < len(changed) < len(table)
    assert set(first.rows) == {row for row in range(len(table)) if row % 2 == 1}
    assert set(copies.rows) == changed & set(first.rows)
    for row in copies.rows:
        np.testing.assert_array_equal(first.pixels[row], at_size(frame_of(table, row)))
        np.testing.assert_array_equal(
            copies.pixels[row], at_size(purified(table, tmp_path / "run", row))
        )
    assert copies.augmentation == first.augmentation
    np.testing.assert_array_equal(copies.targets, first.targets)


def test_always_is_the_other_way_round_for_who_looks_at_it(run: Run, table: Table) -> None:
    trained = run(fields(at="always"))
    first, copies = forms(trained["first on all images"].train)
    pure, raw = forms(trained["second on all images"].train)
    assert set(raw.rows) < set(copies.rows), "what lies beside the lesion changes no crop of it"
    same = [r for r in range(len(table)) if np.array_equal(pure.pixels[r], raw.pixels[r])]
    assert not set(same) & set(raw.rows)
    assert len(same) + len(raw.rows) == len(table)
    for row in copies.rows[:3]:
        np.testing.assert_array_equal(first.pixels[row], at_size(frame_of(table, row)))


def test_a_network_purifies_what_it_has_not_seen(run: Run, table: Table, tmp_path: Path) -> None:
    trained = run(fields("model", "always"))
    for fold, part in enumerate(FOLDS[:2]):
        for later in ("", ", later"):
            rows = trained[f"purifier {part}{later}"].train.rows
            assert set(rows) == {row for row in range(len(table)) if row % 2 != fold}
    assert set(trained["purifier on all images"].train.rows) == set(range(len(table)))
    pure, raw = forms(trained["second on all images"].train)
    assert set(pure.rows) == set(raw.rows) == set(range(len(table)))
    for row in range(len(table)):
        maker = str(row % 2)  # the one of its own fold, not the one that ships
        assert (pure.pixels[row] == round(255 * GREY[maker])).all()
        assert (raw.pixels[row] != pure.pixels[row]).any()
    first, copies = forms(trained["first on all images"].train)
    assert (copies.pixels[0] == round(255 * GREY["0"])).all()
    np.testing.assert_array_equal(first.pixels[0], at_size(frame_of(table, 0)))


def test_pairs_are_before_and_after(run: Run, table: Table, tmp_path: Path) -> None:
    pairs = run(fields("model", "always"))["purifier fold 1"].train.pairs
    for row in range(len(table)):
        np.testing.assert_array_equal(pairs.before[row], at_size(frame_of(table, row)))
        after = at_size(purified(table, tmp_path / "run", row))
        np.testing.assert_array_equal(pairs.after[row], after)
        untouched = pairs.occlusions[row] == 0
        np.testing.assert_array_equal(pairs.before[row][untouched], after[untouched])


@pytest.mark.parametrize(("method", "columns"), [("classical", 3), ("model", 4)])
def test_a_sheet_to_look_at(run: Run, tmp_path: Path, method: str, columns: int) -> None:
    run(fields(method))
    sheet = cv2.imread(str(tmp_path / "run" / "purified" / "shown" / "sheet.png"))
    side = 256 if method == "classical" else SIDE
    assert sheet.shape[1] == columns * side
    assert sheet.shape[0] % side == 0
    raw, shown, pure = (sheet[:, side * n : side * (n + 1)] for n in range(3))
    painted = (shown == (0, 255, 0)).all(axis=2)
    assert painted.any()
    np.testing.assert_array_equal(raw[~painted], shown[~painted])
    assert (raw[painted] != pure[painted]).any()


def test_only_what_depends_on_a_change_is_done_again(run: Run) -> None:
    again = fields("model", "always")
    members = {f"{name} {part}" for name in ("first", "second") for part in FOLDS}
    purifiers = {f"purifier {part}{more}" for part in FOLDS for more in ("", ", later")}
    segmenters = {f"segmenter {part}" for part in FOLDS}
    assert set(run(again)) == members | purifiers | segmenters
    assert run(again) == {}
    again["purifier"]["width"] = 3
    assert set(run(again)) == members | purifiers
    again["members"]["first"]["features"] = 8
    assert set(run(again)) == {f"first {part}" for part in FOLDS}
    again["segmenter"]["threshold"] = 0.4  # what may be painted over depends on it
    assert set(run(again)) == members | purifiers | segmenters


def test_without_a_segmenter(run: Run, table: Table) -> None:
    alone = fields() | {"segmenter": None, "ensemble": None}
    alone["views"] = {"whole": {"area": "frame"}}
    alone["members"] = {"first": alone["members"]["first"]}
    _, copies = forms(run(alone)["first fold 1"].train)
    for row in copies.rows:
        pure = purify(frame_of(table, row)).picture
        np.testing.assert_array_equal(copies.pixels[row], at_size(pure))


def test_a_network_learns_and_the_rest_follows(
    table: Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the stand-in: both parts of its training, and what it then makes."""
    recipe = fields("model", "always") | {"segmenter": None, "ensemble": None}
    recipe["views"] = {"whole": {"source": "purified"}}
    recipe["members"] = {"first": recipe["members"]["first"]}
    figures = pipeline(recipe, table, tmp_path / "run").run()
    assert "no --weights vgg16=FILE" in capsys.readouterr().err
    assert figures["auc"]["all"]["images"] == len(table)
    painted = np.load(tmp_path / "run" / "purified" / "painted" / "pixels.npy")
    before = np.load(tmp_path / "run" / "purified" / "pairs" / "before.npy")
    difference = np.abs(painted.astype(int) - before).mean()
    assert 0 < difference < 20, "it starts from the picture itself"
