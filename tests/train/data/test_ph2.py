"""PH2: a spreadsheet or a text of labels, and pictures in whatever folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runtime.errors import InputError
from tests.train.data.trees import PH2_HEADER, PH2_ROWS, ph2, ph2_text, photographs, sheet, table
from train.data.ph2 import read, recognises


@pytest.mark.parametrize("folder", ["PH2 Dataset images", "PH2_Dataset_images"])
@pytest.mark.parametrize("kind", ["xlsx", "txt"])
def test_reads_labels_and_masks(tmp_path: Path, folder: str, kind: str) -> None:
    ph2(tmp_path, folder)
    if kind == "txt":
        (tmp_path / "PH2_dataset.xlsx").unlink()
        ph2_text(tmp_path)
    found = read(tmp_path)
    assert recognises(tmp_path)
    assert found.ids == tuple(PH2_ROWS)
    assert found.labels == found.classes == ("nevus", "atypical_nevus", "melanoma")
    assert all(s.mask is not None and s.mask.name == f"{s.id}_lesion.bmp" for s in found)
    assert (found.warnings, found[0].age, found[0].split) == ((), None, "")


def test_flat_copies(tmp_path: Path) -> None:
    """All files beside the table, and names in lower case."""
    ph2(tmp_path)
    for path in list((tmp_path / "PH2 Dataset images").rglob("*.bmp")):
        path.rename(tmp_path / path.name.lower())
    shutil.rmtree(tmp_path / "PH2 Dataset images")
    found = read(tmp_path)
    assert found.ids == tuple(PH2_ROWS)
    assert found[0].image == tmp_path / "imd003.bmp"


def test_two_classes(tmp_path: Path) -> None:
    assert read(ph2(tmp_path), ("melanoma", "nevus")).labels == ("nevus", "nevus", "melanoma")


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        (("X", "", "X"), "line 2: marked as common nevus and as melanoma; it must be one class"),
        (("", "", ""), "line 2: marked as nothing"),
        (("", "yes", ""), "line 2: 'yes' under atypical nevus, where an X or nothing is expected"),
    ],
)
def test_broken_marks(tmp_path: Path, marks: tuple[str, ...], message: str) -> None:
    sheet(ph2(tmp_path) / "PH2_dataset.xlsx", [PH2_HEADER, ("IMD003", "", *marks)])
    with pytest.raises(InputError, match=message):
        read(tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("|| IMD003 || || 3 ||", "line 2: the clinical diagnosis is '3', not one of 0, 1, 2"),
        ("|| IMD003 ||", "line 2: the clinical diagnosis is ''"),
        ("|| IMD003 || || 0 ||\n|| IMD003 || || 0 ||", "line 3: a second row for IMD003"),
        ("|| IMD999 || || 0 ||", "IMD999 has a truth row but no image"),
        ("", "IMD003 is in the folder but has no truth row"),
    ],
)
def test_broken_text(tmp_path: Path, line: str, message: str) -> None:
    (ph2(tmp_path) / "PH2_dataset.xlsx").unlink()
    table(tmp_path / "PH2_dataset.txt", "|| Name || Histological || Clinical Diagnosis ||", line)
    with pytest.raises(InputError, match=message):
        read(tmp_path)


def test_missing_tables_and_headers(tmp_path: Path) -> None:
    (ph2(tmp_path) / "PH2_dataset.xlsx").unlink()
    assert recognises(tmp_path)
    with pytest.raises(InputError, match=r"PH2_dataset\.xlsx or PH2_dataset\.txt is missing"):
        read(tmp_path)
    sheet(tmp_path / "PH2_dataset.xlsx", [("Image", "Melanoma"), ("IMD003", "X")])
    with pytest.raises(InputError, match="no header that is known") as caught:
        read(tmp_path)
    assert "a line with a cell 'image name'" in str(caught.value)


def test_two_pictures_of_one_name(tmp_path: Path) -> None:
    photographs(ph2(tmp_path) / "mine", ["IMD003"], ".png", seed=99)
    with pytest.raises(InputError, match="IMD003 is two different files"):
        read(tmp_path)
