"""ISIC 2018: the task with classes, the task with masks, and both in one folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import InputError
from tests.train.data.trees import (
    HEADER_2018,
    isic2018_task1,
    isic2018_task3,
    masks,
    photographs,
    table,
)
from train.data.isic2018 import COLUMNS, read, recognises

FOLDER = "ISIC2018_Task3_Training_GroundTruth"


def test_task_3_has_a_class_of_each_column_and_lesions(tmp_path: Path) -> None:
    found = read(isic2018_task3(tmp_path))
    assert recognises(tmp_path)
    assert found.where(split="train").labels == tuple(COLUMNS.values()) == found.classes
    assert [s.lesion for s in found[:3]] == ["HAM_0000000", "HAM_0000000", "HAM_0000001"]
    assert found[0].mask is None
    assert found.where(split="test").labels == (None,)
    truth = FOLDER.replace("Training", "Test")
    assert found.warnings == (f"isic2018 test: no {truth}.csv, so 1 images have no label",)


def test_the_table_may_lie_beside_its_folder(tmp_path: Path) -> None:
    isic2018_task3(tmp_path)
    (tmp_path / FOLDER / f"{FOLDER}.csv").rename(tmp_path / f"{FOLDER}.csv")
    assert read(tmp_path)[0].label == "melanoma"


def test_without_lesion_groups_that_is_told(tmp_path: Path) -> None:
    isic2018_task3(tmp_path)
    (tmp_path / "ISIC2018_Task3_Training_LesionGroupings.csv").unlink()
    assert "LesionGroupings.csv, so images have no lesion" in read(tmp_path).warnings[0]


def test_task_1_has_masks_and_no_labels(tmp_path: Path) -> None:
    found = read(isic2018_task1(tmp_path))
    assert recognises(tmp_path)
    assert found.labels == (None, None)
    assert all(s.mask is not None for s in found)
    assert found.counts()["unlabelled"] == 2
    (tmp_path / "ISIC2018_Task1_Training_GroundTruth" / "ISIC_0000000_segmentation.png").unlink()
    assert "1 of 2 images have no lesion mask" in read(tmp_path).warnings[1]


def test_both_tasks_together(tmp_path: Path) -> None:
    """An image of both is one sample; the others have a label or a mask."""
    isic2018_task1(isic2018_task3(tmp_path))
    photographs(tmp_path / "ISIC2018_Task1-2_Training_Input", ["ISIC_0024306"])
    masks(tmp_path / "ISIC2018_Task1_Training_GroundTruth", ["ISIC_0024306"])
    found = read(tmp_path)
    assert len(found) == 7 + 2 + 1
    (both,) = [s for s in found if s.label is not None and s.mask is not None]
    assert (both.id, both.image.parent.name) == ("ISIC_0024306", "ISIC2018_Task3_Training_Input")


def test_an_image_in_two_splits(tmp_path: Path) -> None:
    isic2018_task3(tmp_path)
    photographs(tmp_path / "ISIC2018_Task1-2_Test_Input", ["ISIC_0024306"])
    with pytest.raises(InputError, match=r"ISIC_0024306 is in ISIC2018_Task3_T.*_Input and in I"):
        read(tmp_path)


def test_an_empty_folder(tmp_path: Path) -> None:
    isic2018_task3(tmp_path)
    (tmp_path / "ISIC2018_Task1-2_Test_Input").mkdir()
    with pytest.raises(InputError, match="ISIC2018_Task1-2_Test_Input holds no images"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("ISIC_0024306,1,1,0,0,0,0,0", "line 2: flagged as MEL and as NV; it must be one class"),
        ("ISIC_0024306,0,0,0,0,0,0,0", "line 2: flagged as nothing; it must be one class"),
        ("ISIC_0024306,0.9,0.1,0,0,0,0,0", "line 2: the flags 0.9, 0.1, .*; each must be 0 or 1"),
        ("ISIC_0024306,1,0,0", "line 2: the flags 1, 0, 0, , , , ; each must be 0 or 1"),
    ],
)
def test_broken_flags(tmp_path: Path, row: str, message: str) -> None:
    isic2018_task3(tmp_path)
    table(tmp_path / FOLDER / f"{FOLDER}.csv", HEADER_2018, row)
    with pytest.raises(InputError, match=message):
        read(tmp_path)
