"""The CSV of --metadata: whose row is whose, and every bad row named before the scan."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InputError
from runtime.metadata import CategoryField, MetadataSpec, NumberField
from runtime.metadata_table import MetadataTable, load_metadata

SPEC = MetadataSpec(
    fields=(
        NumberField(name="age", low=0, high=100),
        CategoryField(name="sex", categories=("female", "male")),
    )
)
FILES = ("a.jpg", "visit 1/b.jpg", "visit 2/b.jpg", "visit 2/c.png")


def table(tmp_path: Path, text: str, spec: MetadataSpec | None = SPEC) -> MetadataTable:
    (tmp_path / "m.csv").write_text(text, encoding="utf-8")
    return load_metadata(tmp_path / "m.csv", spec, FILES)


def refused(tmp_path: Path, text: str) -> str:
    with pytest.raises(InputError) as caught:
        table(tmp_path, text)
    assert caught.value.remedy
    return str(caught.value)


@pytest.mark.parametrize("key", ["image", "source", "Image"])
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("a.jpg", "a.jpg"),
        ("./a.jpg", "a.jpg"),
        ("a", "a.jpg"),
        ("visit 1/b.jpg", "visit 1/b.jpg"),
        ("visit 1\\b.jpg", "visit 1/b.jpg"),
        ("c", "visit 2/c.png"),
        ("c.png", "visit 2/c.png"),
    ],
)
def test_rows_find_their_images(tmp_path: Path, key: str, name: str, file: str) -> None:
    got = table(tmp_path, f"{key},age,sex\n{name},41,Female\n")
    assert got.of(file) == {"age": 41.0, "sex": "female"}
    assert got.values.keys() == {file}


def test_what_is_not_known_is_none(tmp_path: Path) -> None:
    got = table(tmp_path, "image;age;sex\na;;unknown\nc;NA\n")
    assert got.of("a.jpg") == {"age": None, "sex": None}
    assert got.of("visit 2/c.png") == {"age": None, "sex": None}
    assert got.of("visit 1/b.jpg") == {}


def test_columns_and_rows_that_are_not_used_are_told(tmp_path: Path) -> None:
    got = table(tmp_path, "image,age,shoe size\na,41,42\n\nzzz,1,2\n")
    assert got.unknown_columns == ("shoe size",)
    assert got.without_image == [(4, "zzz")]
    assert got.of("a.jpg") == {"age": 41.0}


def test_without_metadata_in_the_bundle_the_usual_is_recorded(tmp_path: Path) -> None:
    got = table(tmp_path, "image,age,site,x\na,41,left arm,1\n", spec=None)
    assert got.of("a.jpg") == {"age": 41.0, "site": "left arm"}
    assert got.unknown_columns == ("x",)


def test_an_age_is_a_number_whatever_the_bundle(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be used") as caught:
        table(tmp_path, "image,age\na,old\n", spec=None)
    assert "line 2: age is not a number" in str(caught.value)


def test_every_bad_row_is_named_by_its_line(tmp_path: Path) -> None:
    text = refused(tmp_path, 'image,age,sex\na,old,male\n"b",1,male\nc,41,both\na,41,male\n')
    assert "line 2: age is not a number" in text
    assert "line 3: 'b' is the name of 2 images" in text
    assert "line 4: sex has a value the bundle does not know" in text
    assert "line 5: a.jpg again, first in line 2" in text


def test_many_bad_rows_are_summed_up(tmp_path: Path) -> None:
    text = refused(tmp_path, "image,age\n" + "a,x\n" * 20)
    assert "and 12 more" in text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "an empty file"),
        ("name,age\na,1\n", "image"),
        ("image,age,age\na,1,2\n", "each once"),
        ("image,age\na,1,2,3\n", "line 2: more cells"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, text: str, says: str) -> None:
    assert says in refused(tmp_path, text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_metadata(tmp_path / "none.csv", SPEC, FILES)
    (tmp_path / "latin.csv").write_bytes(b"image,sex\na,m\xe4nnlich\n")
    with pytest.raises(InputError, match="UTF-8"):
        load_metadata(tmp_path / "latin.csv", SPEC, FILES)


@given(st.text(max_size=120))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("csv") / "m.csv"
    path.write_bytes(("image,age\n" + text).encode("utf-8", "replace"))
    try:
        load_metadata(path, SPEC, FILES)
    except InputError as error:
        assert error.remedy  # noqa: PT017
