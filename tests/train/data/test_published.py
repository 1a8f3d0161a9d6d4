"""What readers of published sets share: rows of flags, ids, artefacts, and one rule for all."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InputError
from tests.train.data.pictures import text
from tests.train.data.trees import isic2016, photographs, table
from train.data import isic2016 as reader
from train.data.artefacts import ARTEFACTS, Artefacts
from train.data.facts import OLDEST, Facts, age_of, facts_of
from train.data.published import PublishedSet, one_hot
from train.data.reader import BadRow, Row
from train.data.vocabulary import CODES

FLAGS = ",".join(("image_id", *ARTEFACTS))


@given(st.lists(st.sampled_from(["0", "1", "0.0", "1.0", "", "0.5", "x", "nan"]), max_size=10))
def test_exactly_one_flag_or_none_at_all(cells: list[str]) -> None:
    row = Row(1, dict(zip(map(str.lower, CODES), cells, strict=False)))
    parse = one_hot(CODES)
    flags = [cell for cell in cells if cell in {"1", "1.0"}]
    if len(cells) == 10 and set(cells) <= {"0", "1", "0.0", "1.0"} and len(flags) == 1:
        assert parse(row) == list(CODES.values())[cells.index(flags[0])]
    else:
        with pytest.raises(BadRow):
            parse(row)


@given(st.floats(0, OLDEST))
def test_ages_with_a_point_or_a_comma(age: float) -> None:
    assert (
        age_of(f"{age:.3f}")
        == age_of(f"{age:.3f}".replace(".", ","))
        == pytest.approx(age, abs=1e-3)
    )


@given(
    st.floats(max_value=0, exclude_max=True).map(str)
    | st.floats(min_value=OLDEST, exclude_min=True).map(str)
    | st.text(st.characters(categories=("L", "P")), min_size=4)
    | st.just("nan")
)
def test_what_is_no_age_is_refused(told: str) -> None:
    with pytest.raises(BadRow, match=re.escape(repr(told))):
        age_of(told)


@pytest.mark.parametrize("unknown", ["", "unknown", "Unknown", "NA", "nan", "None"])
def test_what_is_not_known_is_none(unknown: str) -> None:
    columns = {field.name: field.name for field in dataclasses.fields(Facts)}
    assert facts_of(Row(1, dict.fromkeys(columns, unknown)), columns) == Facts()
    assert facts_of(Row(1, {}), columns) == Facts()


def test_artefacts_beside_any_set(tmp_path: Path) -> None:
    table(
        isic2016(tmp_path) / "artefacts.csv", FLAGS, "ISIC_0000002,0,1,0,0,0,1,0", "gone" + 7 * ",1"
    )
    first, second, _ = found = reader.read(tmp_path)
    assert first.artefacts == Artefacts()
    assert second.artefacts == Artefacts(False, True, False, False, False, True, False)
    assert found.warnings == ("isic2016: artefacts.csv has 1 images that are not here",)
    table(tmp_path / "artefacts.csv", FLAGS, "ISIC_0000002,0,maybe,0,0,0,1,0")
    with pytest.raises(InputError, match=r"artefacts\.csv line 2: hair is 'maybe', not 0 or 1"):
        reader.read(tmp_path)
    table(tmp_path / "artefacts.csv", "image_id,hair", "ISIC_0000002,1")
    with pytest.raises(InputError, match="dark_corner"):
        reader.read(tmp_path)


def test_two_files_of_one_id(tmp_path: Path) -> None:
    data = isic2016(tmp_path) / "ISBI2016_ISIC_Part3_Training_Data"
    photographs(data, ["ISIC_0000002"], ".png")
    with pytest.raises(InputError, match=r"ISIC_0000002 is two different files: .*jpg and .*png"):
        reader.read(tmp_path)


def test_suffixes_in_any_case_and_what_is_no_picture(tmp_path: Path) -> None:
    data = isic2016(tmp_path) / "ISBI2016_ISIC_Part3_Training_Data"
    (data / "ISIC_0000002.jpg").rename(data / "ISIC_0000002.JPG")
    masks = tmp_path / "ISBI2016_ISIC_Part1_Training_GroundTruth"
    old = masks / "ISIC_0000002_Segmentation.png"
    old.rename(masks / "ISIC_0000002_segmentation.PNG")
    for name in ("LICENSE.txt", "._ISIC_0000000.jpg"):
        text(data / name, "")
    assert all(s.mask is not None for s in reader.read(tmp_path))


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    found = PublishedSet("set", tmp_path)
    found.problems.add("one thing")
    with pytest.raises(InputError, match="2 problems") as caught:
        found.table((), None, "Do this.")
    message = str(caught.value)
    assert "one thing" in message
    assert "none of its folders of images is there" in message
    assert "try: Do this." in message


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isic2016(tmp_path)

    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(InputError, match=r"Cannot list .*Data") as caught:
        reader.read(tmp_path)
    assert "Permission denied" in str(caught.value)
