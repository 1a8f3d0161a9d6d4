"""ISIC 2016: the three archives that hold its images, and labels as words or numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import InputError
from tests.train.data.trees import isic2016, masks, photographs, table
from train.data.isic2016 import CLASSES, read, recognises

TRUTH = "ISBI2016_ISIC_Part3_Training_GroundTruth.csv"


def test_reads_labels_splits_and_masks(tmp_path: Path) -> None:
    found = read(isic2016(tmp_path))
    assert recognises(tmp_path)
    assert found.classes == CLASSES
    assert found.ids == ("ISIC_0000000", "ISIC_0000002", "ISIC_0000003")
    assert found.labels == ("benign", "malignant", "malignant")
    assert [s.split for s in found] == ["train", "train", "test"]
    assert all(s.mask is not None and s.mask.name == f"{s.id}_Segmentation.png" for s in found)
    assert (found.warnings, found[0].dataset, found[0].age) == ((), "isic2016", None)


def test_part_3b_has_masks_among_the_images(tmp_path: Path) -> None:
    data = tmp_path / "ISBI2016_ISIC_Part3B_Training_Data"
    photographs(data, ["ISIC_0000000"])
    masks(data, ["ISIC_0000000"], "_Segmentation.png")
    table(tmp_path / "ISBI2016_ISIC_Part3B_Training_GroundTruth.csv", "ISIC_0000000,malignant")
    (only,) = read(tmp_path)
    assert recognises(tmp_path)
    assert only.image == data / "ISIC_0000000.jpg"
    assert (only.label, only.mask) == ("malignant", data / "ISIC_0000000_Segmentation.png")


def test_part_1_alone_has_masks_and_no_labels(tmp_path: Path) -> None:
    photographs(tmp_path / "ISBI2016_ISIC_Part1_Test_Data", ["ISIC_0000003"])
    masks(tmp_path / "ISBI2016_ISIC_Part1_Test_GroundTruth", ["ISIC_0000003"])
    found = read(tmp_path)
    assert [(s.label, s.mask is None) for s in found] == [(None, False)]
    assert found.warnings == ("isic2016 test: 1 images have masks and no labels, as published",)


def test_a_test_set_may_come_without_labels_a_training_set_not(tmp_path: Path) -> None:
    isic2016(tmp_path)
    (tmp_path / TRUTH.replace("Training", "Test")).unlink()
    found = read(tmp_path)
    assert found.labels == ("benign", "malignant", None)
    assert "so 1 images have no label" in found.warnings[0]
    (tmp_path / TRUTH).unlink()
    with pytest.raises(InputError, match=f"{TRUTH} is missing"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["ISIC_0000000,0"], "ISIC_0000002 is in .*Part3_Training_Data but has no truth row"),
        (["ISIC_0000000,maybe"], "line 1: the label is 'maybe', not benign, malignant, 0 or 1"),
        (["ISIC_0000000,0.5"], "line 1: the label is '0.5'"),
        (["ISIC_0000000"], "line 1: the label is ''"),
        (["ISIC_0000000,0", "ISIC_0000000,0"], "line 2: a second row for ISIC_0000000"),
        ([",benign"], "line 1: no image is named"),
        (["ISIC_0000009,1"], "ISIC_0000009 has a truth row but no image"),
        (["ISIC_0000000,benign,1"], "line 1: 3 cells under 2 headers"),
    ],
)
def test_broken_truth(tmp_path: Path, lines: list[str], message: str) -> None:
    isic2016(tmp_path)
    table(tmp_path / TRUTH, *lines)
    with pytest.raises(InputError, match=message):
        read(tmp_path)
