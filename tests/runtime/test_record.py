"""The record's fields and their order are a contract: the golden line must come out unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from runtime.record import Result, flatten

LINE = (Path(__file__).parents[1] / "golden" / "result.json").read_text(encoding="utf-8").strip()


def test_the_golden_line_comes_out_unchanged() -> None:
    assert Result.model_validate_json(LINE).to_json() == LINE


def test_an_empty_record_has_every_key_in_the_same_order() -> None:
    assert list(json.loads(Result(status="error").to_json())) == list(json.loads(LINE))


def test_a_record_is_one_line_and_keeps_other_alphabets() -> None:
    line = Result(status="ok", source="Läsion\n皮膚.jpg").to_json()
    assert "\n" not in line
    assert "皮膚" in line


@pytest.mark.parametrize("spoilt", [{"status": "fine"}, {"score": float("nan")}, {"extra": 1}])
def test_refused(spoilt: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Result(**({"status": "ok"} | spoilt))  # type: ignore[arg-type]


def test_a_flat_row_has_dotted_columns() -> None:
    row = dict(flatten(json.loads(LINE)))
    assert row["probabilities.melanoma"] == 0.25
    assert row["lesion.box"] == "[1, 2, 3, 4]"
    assert row["members.a.nevus"] == 0.75
    assert row["ood"] is None
    assert not any(isinstance(value, (dict, list)) for value in row.values())


def test_what_is_empty_is_an_empty_cell() -> None:
    assert dict(flatten({"members": {}, "lesion": None})) == {"members": None, "lesion": None}
