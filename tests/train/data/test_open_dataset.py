"""One door: it knows what lies at a path, and says what it looked for when it does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.errors import UsageError
from tests.train.data import trees
from tests.train.data.pictures import isic_part, picture, save, text
from train.data.open_dataset import PUBLISHED, open_dataset

LABELS = "image,label\na.png,nevus\n"


def test_isic2017(tmp_path: Path) -> None:
    isic_part(tmp_path, "Validation", {"ISIC_0000001": "1.0,0.0"})
    assert open_dataset(tmp_path).name == "isic2017"


TREES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "isic2016": (trees.isic2016, "ISIC 2016"),
    "isic2018 classes": (trees.isic2018_task3, "ISIC 2018"),
    "isic2018 masks": (trees.isic2018_task1, "ISIC 2018"),
    "isic2019": (trees.isic2019, "ISIC 2019"),
    "isic2020 of Kaggle": (trees.isic2020_kaggle, "ISIC 2020"),
    "isic2020 of the ISIC": (trees.isic2020_official, "ISIC 2020"),
    "ham10000": (trees.ham10000, "HAM10000"),
    "ph2": (trees.ph2, "PH2"),
}


@pytest.mark.parametrize("what", TREES)
def test_every_published_layout_is_known_as_one(tmp_path: Path, what: str) -> None:
    write, name = TREES[what]
    write(tmp_path)
    assert [known.name for known in PUBLISHED if known.recognises(tmp_path)] == [name]
    table = open_dataset(tmp_path)
    assert table.name == what.partition(" ")[0]
    assert {s.dataset for s in table} == {table.name}
    assert all(s.image.is_file() for s in table)
    table.to_csv(tmp_path / "table.csv")
    assert open_dataset(tmp_path / "table.csv", table.classes).samples == table.samples


def test_two_sets_in_one_folder(tmp_path: Path) -> None:
    trees.ham10000(trees.isic2016(tmp_path))
    with pytest.raises(UsageError, match="more than one data set") as caught:
        open_dataset(tmp_path)
    assert "ISIC 2016 and HAM10000" in str(caught.value)


def test_a_csv_and_the_folder_it_lies_in(tmp_path: Path) -> None:
    save(tmp_path / "a.png", picture(0, 16))
    for name in ("labels.csv", "mine.csv"):
        text(tmp_path / name, LABELS)
        assert open_dataset(tmp_path / name).ids == ("a",)
    assert open_dataset(tmp_path, ("melanoma", "nevus")).targets.tolist() == [1]


def test_a_folder_whose_csv_is_something_else(tmp_path: Path) -> None:
    text(tmp_path / "labels.csv", "id,dx\n1,nv\n")
    with pytest.raises(UsageError, match=r"a folder with labels\.csv; labels\.csv has no column"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("what", ["nothing", "empty", "many", "file"])
def test_what_was_looked_for_is_said(tmp_path: Path, what: str) -> None:
    path = tmp_path / "data"
    if what == "file":
        save(tmp_path / "data.png", picture(0, 16))
        path = tmp_path / "data.png"
    elif what != "nothing":
        path.mkdir()
        for number in range(8 if what == "many" else 0):
            text(path / f"{number}.txt", "")
    with pytest.raises(UsageError) as caught:
        open_dataset(path)
    expected = {
        "nothing": "no such file or folder",
        "empty": "an empty folder",
        "many": "0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 3 more",
        "file": "a file data.png",
    }
    assert expected[what] in str(caught.value)
    assert "ISIC-2017_Training_Data" in str(caught.value)
