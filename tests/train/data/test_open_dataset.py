"""One door: it knows what lies at a path, and says what it looked for when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import UsageError
from tests.train.data.pictures import isic_part, picture, save, text
from train.data.open_dataset import open_dataset

LABELS = "image,label\na.png,nevus\n"


def test_isic2017(tmp_path: Path) -> None:
    isic_part(tmp_path, "Validation", {"ISIC_0000001": "1.0,0.0"})
    assert open_dataset(tmp_path).name == "isic2017"


def test_a_csv_and_the_folder_it_lies_in(tmp_path: Path) -> None:
    save(tmp_path / "a.png", picture(0, 16))
    for name in ("labels.csv", "mine.csv"):
        text(tmp_path / name, LABELS)
        assert open_dataset(tmp_path / name).ids == ("a",)
    assert open_dataset(tmp_path, ("melanoma", "nevus")).targets.tolist() == [1]


def test_a_folder_whose_csv_is_something_else(tmp_path: Path) -> None:
    text(tmp_path / "labels.csv", "id,dx\n1,nv\n")
    with pytest.raises(UsageError, match=r"a folder with labels\.csv"):
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
