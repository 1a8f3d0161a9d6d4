"""Reading predictions: what is wrong with a file is said with its line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.predictions import read_predictions
from runtime.errors import InputError
from tests.calibration.oof import CLASSES, rows, write


def refused(file: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_predictions(file, CLASSES)
    return str(caught.value)


def test_predictions_are_read_in_the_bundles_order(tmp_path: Path) -> None:
    content = rows(6)
    file = write(tmp_path / "oof.csv", content)
    one, turned = read_predictions(file, CLASSES), read_predictions(file, CLASSES[::-1])
    assert one.ids == tuple(row["id"] for row in content)
    assert one.targets.tolist() == [0, 1, 1, 0, 1, 1]
    assert turned.targets.tolist() == [1, 0, 0, 1, 0, 0]
    np.testing.assert_array_equal(one.probabilities, turned.probabilities[:, ::-1])
    assert one.folds.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    file = write(tmp_path / "oof.csv", rows(6))
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert len(read_predictions(file, CLASSES).ids) == 6


def test_some_ids_can_be_left_out(tmp_path: Path) -> None:
    everything = read_predictions(write(tmp_path / "oof.csv", rows(6)), CLASSES)
    left = everything.without(["image0", "image4", "unheard of"])
    assert left.ids == ("image1", "image2", "image3", "image5")
    np.testing.assert_array_equal(left.probabilities, everything.probabilities[[1, 2, 3, 5]])
    assert (left.folds.tolist(), left.targets.tolist()) == ([0, 0, 1, 1], [1, 1, 0, 1])
    nothing = everything.without(everything.ids)
    assert nothing.ids == ()
    assert nothing.probabilities.shape == (0, 2)


@pytest.mark.parametrize("column", ["id", "fold", "label", "p.melanoma"])
def test_a_missing_column_is_named(column: str, tmp_path: Path) -> None:
    content = rows(6)
    for row in content:
        del row[column]
    said = refused(write(tmp_path / "oof.csv", content))
    assert f"no column {column}" in said
    assert "oof.csv of the run" in said


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("p.nevus", "high", "high"),
        ("p.nevus", "", "not a prediction"),
        ("p.nevus", "nan", "not probabilities"),
        ("p.nevus", "inf", "not probabilities"),
        ("p.nevus", "0.999999", "not probabilities"),
        ("fold", "1.5", "1.5"),
        ("fold", "one", "one"),
        ("label", "mole", "melanoma, nevus"),
        ("label", "", "melanoma, nevus"),
    ],
)
def test_a_bad_value_is_named_with_its_line(
    column: str, value: str, said: str, tmp_path: Path
) -> None:
    content = rows(6)
    content[2] |= {"p.melanoma": "0.5", "p.nevus": "0.5"} | {column: value}
    message = refused(write(tmp_path / "oof.csv", content))
    assert "oof.csv, line 4" in message
    assert said in message


def test_numbers_that_add_up_but_are_no_probabilities(tmp_path: Path) -> None:
    content = rows(6)
    content[0] |= {"p.melanoma": "-0.5", "p.nevus": "1.5"}
    assert "line 2: these are not probabilities" in refused(write(tmp_path / "oof.csv", content))


def test_an_id_twice(tmp_path: Path) -> None:
    content = rows(6)
    content[3]["id"] = content[1]["id"]
    assert "an id twice" in refused(write(tmp_path / "oof.csv", content))


@pytest.mark.parametrize("content", [b"", b"id,fold,label,p.melanoma,p.nevus\n", b"\xff\xfe\x00"])
def test_a_file_without_predictions(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "oof.csv"
    file.write_bytes(content)
    assert "oof.csv" in refused(file)


def test_no_file(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / "oof.csv")
    assert "cannot be read" in refused(tmp_path)


@given(content=st.binary(max_size=80))
def test_any_bytes_end_in_our_own_error(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.csv"
    file.write_bytes(b"id,fold,label,p.melanoma,p.nevus\na,0,nevus,0.5,0.5\n" + content)
    with suppress(InputError):  # anything else would end in a traceback
        assert len(read_predictions(file, CLASSES).ids) >= 1
