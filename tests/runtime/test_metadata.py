"""Numbers and categories as places in a row, with "unknown" as a place of its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runtime.errors import InputError
from runtime.metadata import CategoryField, MetadataSpec, NumberField

SPEC = MetadataSpec(
    fields=(
        NumberField(name="age", low=0, high=100),
        CategoryField(name="sex", categories=("female", "male")),
    )
)


@pytest.mark.parametrize(
    ("values", "row"),
    [
        ({"age": 25, "sex": "male"}, [0.25, 0, 0, 1, 0]),
        ({"age": "25", "sex": "female"}, [0.25, 0, 1, 0, 0]),
        ({}, [0, 1, 0, 0, 1]),
        ({"age": None, "sex": ""}, [0, 1, 0, 0, 1]),
        ({"age": "unknown", "sex": "unknown"}, [0, 1, 0, 0, 1]),
        ({"age": 130, "sex": None}, [1, 0, 0, 0, 1]),
        ({"age": -5}, [0, 0, 0, 0, 1]),
        ({"age": 25, "site": "back"}, [0.25, 0, 0, 0, 1]),
    ],
)
def test_rows(values: dict[str, object], row: list[float]) -> None:
    encoded = SPEC.encode(values)
    assert encoded.dtype == np.float32
    np.testing.assert_allclose(encoded, [row])


def test_an_unknown_age_is_not_the_lowest() -> None:
    assert not np.array_equal(SPEC.encode({"age": 0}), SPEC.encode({"age": None}))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"age": "old"}, "age is not a number"),
        ({"age": float("nan")}, "not a finite number"),
        ({"age": "inf"}, "not a finite number"),
        ({"age": [1]}, "not a number"),
        ({"sex": "m"}, "sex has a value the bundle does not know"),
        ({"sex": 1}, "sex has a value"),
    ],
)
def test_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        SPEC.encode(values)


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["female", "male", None]))
def test_a_row_is_always_as_wide_and_within_0_and_1(age: float, sex: str | None) -> None:
    row = SPEC.encode({"age": age, "sex": sex})
    assert row.shape == (1, SPEC.width)
    assert ((row >= 0) & (row <= 1)).all()


def test_a_range_needs_a_width() -> None:
    with pytest.raises(ValidationError, match="not below high"):
        NumberField(name="age", low=5, high=5)


def test_there_is_a_field_and_it_has_categories() -> None:
    with pytest.raises(ValidationError):
        MetadataSpec(fields=())
    with pytest.raises(ValidationError):
        CategoryField(name="sex", categories=())


def test_a_finer_word_counts_as_its_category() -> None:
    site = CategoryField(name="site", categories=("torso", "ear"), includes={"torso": ("back",)})
    assert site.encode("back") == site.encode("torso") == [1, 0, 0]
    assert site.words == ("torso", "ear", "back")
    with pytest.raises(InputError, match="does not know"):
        site.encode("chest")
    for wrong in ({"nose": ("tip",)}, {"torso": ("ear",)}, {"torso": ("back", "back")}):
        with pytest.raises(ValidationError):
            CategoryField(name="site", categories=("torso", "ear"), includes=wrong)
