"""Your own CSV: read as spreadsheets write it, refused with line numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runtime.errors import InputError, UsageError
from tests.train.data.pictures import picture, save, text
from train.data.artefacts import Artefacts
from train.data.own_csv import read, read_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        save(tmp_path / "pictures" / f"{name}.png", picture(ord(name), 16))
    save(tmp_path / "masks" / "a.png", picture(0, 16))
    return tmp_path


def csv(folder: Path, content: str) -> Path:
    return text(folder / "labels.csv", content)


def test_all_columns(folder: Path) -> None:
    path = csv(
        folder,
        "image,label,mask,patient,lesion,age,sex,site,split\n"
        "pictures/a.png,melanoma,masks/a.png,p1,l1,54,F,back,val\n"
        "pictures/b.png,nevus,,,,unknown,,,\n",
    )
    first, second = read(path)
    assert (first.id, first.dataset, first.label, first.split) == (
        "a",
        "labels",
        "melanoma",
        "validation",
    )
    assert first.mask == folder / "masks/a.png"
    assert (first.patient, first.lesion, first.age) == ("p1", "l1", 54.0)
    assert (first.sex, first.site) == ("female", "back")
    assert (second.mask, second.age, second.sex, second.split) == (None, None, None, "")


def test_sources_and_artefacts(folder: Path) -> None:
    path = csv(
        folder,
        "image,label,source,hair,ruler\n"
        "pictures/a.png,melanoma,room 2,1,no\n"
        "pictures/b.png,nevus,unknown,,0\n"
        "pictures/c.png,nevus,,,\n",
    )
    first, second, third = table = read(path)
    assert [s.source for s in table] == ["room 2", None, None]
    assert first.artefacts == Artefacts(hair=True, ruler=False)
    assert second.artefacts == Artefacts(ruler=False)
    assert third.artefacts == Artefacts()
    table.to_csv(folder / "again.csv")
    again = read(folder / "again.csv")
    assert [replace(s, dataset="labels") for s in again] == list(table)
    assert again.warnings == ()


def test_a_label_counts_as_the_broader_class(folder: Path) -> None:
    path = csv(folder, "image,label\npictures/a.png,nevus\npictures/b.png,Melanoma\n")
    assert read(path, ("malignant", "benign")).labels == ("benign", "malignant")


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffimage,label\npictures/a.png,nevus\n",
        "IMAGE, Label \r\n\r\npictures/a.png , nevus\r\n",
        "image;label;age\npictures/a.png;nevus;54,5\n;;\n",
        "sep=;\nimage;label\npictures/a.png;nevus\n",
        "image\tlabel\npictures/a.png\tnevus\n",
        "\nimage,label,\npictures\\a.png,nevus,\n",
        '"image","label"\n"pictures/a.png","nevus"\n',
        "image,label,site\npictures/a.png,nevus\n",
    ],
)
def test_what_spreadsheets_do_to_tables(folder: Path, content: str) -> None:
    (only,) = read(csv(folder, content))
    assert (only.image, only.label) == (folder / "pictures/a.png", "nevus")
    assert only.age in (None, 54.5)


def test_what_is_not_used_is_reported(folder: Path) -> None:
    table = read(csv(folder, "image,label,camera\npictures/a.png,,X\npictures/b.png,nevus,X\n"))
    assert table.warnings == ("columns that are not used: camera", "1 of 2 images have no label")
    assert table.labels == (None, "nevus")


def test_labels_match_the_classes_whatever_their_case(folder: Path) -> None:
    path = csv(folder, "image,label\npictures/a.png,Melanoma\npictures/b.png,NEVUS\n")
    assert read(path, ("nevus", "melanoma")).labels == ("melanoma", "nevus")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("pictures/z.png,nevus", "line 3: image file 'pictures/z.png' is not there"),
        (",nevus", "line 3: no image is named"),
        ("pictures/b.png,nevus,masks/z.png", "line 3: mask file 'masks/z.png' is not there"),
        ("pictures/b.png,nevus,,old", "line 3: age is 'old'"),
        ("pictures/b.png,nevus,,540", "line 3: age is '540'"),
        ("pictures/b.png,nevus,,54,x", "line 3: sex is 'x', not one of m, male, f, female"),
        ("pictures/b.png,nevus,,54,f,dev", "line 3: split is 'dev'"),
        ("pictures/a.png,nevus", "line 3: the id a again, first in line 2"),
        ("pictures/b.png,nevus,,54,f,test,2", "line 3: hair is '2', not 0 or 1"),
        ("pictures/b.png,nevus,,54,f,test,1,1", "line 3: 8 cells under 7 headers"),
        ("pictures/b.png,Nevus", "'Nevus' and 'nevus' differ only in case"),
        ("pictures/b.png,mole", "line 3: label 'mole' is not one of nevus, melanoma"),
    ],
)
def test_problems_are_named_with_their_line(folder: Path, row: str, message: str) -> None:
    path = csv(folder, f"image,label,mask,age,sex,split,hair\npictures/a.png,nevus\n{row}\n")
    with pytest.raises(InputError, match=message):
        read(path, ("nevus", "melanoma") if "mole" in row else None)


def test_all_problems_at_once_but_not_ten_thousand(folder: Path) -> None:
    rows = "".join(f"pictures/{n}.png,nevus\n" for n in range(30))
    with pytest.raises(InputError, match="30 problems") as caught:
        read(csv(folder, "image,label\n" + rows))
    assert "line 2:" in str(caught.value)
    assert "and 20 more" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "an empty file"),
        ("file,label\n", "file, label"),
        ("image,label,image\n", "image, label, image"),
        ("image,label\n", "no rows"),
        ('image,label\n"pictures/a.png,nevus', "line"),
    ],
)
def test_broken_files(folder: Path, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(csv(folder, content))


def test_other_encodings_are_named(folder: Path) -> None:
    path = folder / "labels.csv"
    path.write_bytes("image,label\npictures/a.png,Nävus\n".encode("cp1252"))
    with pytest.raises(InputError, match="byte 0xe4 in line 2"):
        read(path)


def test_a_folder_with_two_tables(folder: Path) -> None:
    csv(folder, "image,label\npictures/a.png,nevus\n")
    assert len(read_folder(folder)) == 1
    text(folder / "dataset.csv", "image,label\npictures/a.png,nevus\n")
    with pytest.raises(UsageError, match="more than one table"):
        read_folder(folder)
