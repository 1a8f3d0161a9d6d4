"""What a table's row says of one picture: who it belongs to, how old, where on the body."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from train.data.artefacts import ARTEFACTS, Artefacts
from train.data.reader import BadRow, Row

SEXES = {"m": "male", "male": "male", "f": "female", "female": "female"}
OLDEST = 120
_FLAGS = {
    **dict.fromkeys(("1", "1.0", "yes", "true"), True),
    **dict.fromkeys(("0", "0.0", "no", "false"), False),
}


@dataclass(frozen=True, slots=True)
class Facts:
    patient: str | None = None
    lesion: str | None = None
    age: float | None = None
    sex: str | None = None
    site: str | None = None
    source: str | None = None


def facts_of(row: Row, columns: Mapping[str, str]) -> Facts:
    """`columns` says which column holds which fact; what is empty or unknown is None."""
    told = {fact: row.get(column) for fact, column in columns.items()}
    site = told.get("site")
    return Facts(
        patient=told.get("patient"),
        lesion=told.get("lesion"),
        age=age_of(told.get("age")),
        sex=sex_of(told.get("sex")),
        site=None if site is None else site.lower(),
        source=told.get("source"),
    )


def age_of(text: str | None) -> float | None:
    if text is None:
        return None
    age = number_in(text.replace(",", "."))
    if 0 <= age <= OLDEST:
        return age
    raise BadRow(f"age is {text!r}, not a number of years from 0 to {OLDEST}")


def sex_of(text: str | None) -> str | None:
    if text is None:
        return None
    if text.lower() not in SEXES:
        raise BadRow(f"sex is {text!r}, not one of {', '.join(SEXES)}")
    return SEXES[text.lower()]


def artefacts_of(row: Row) -> Artefacts:
    return Artefacts(**{name: _flag(row, name) for name in ARTEFACTS})


def _flag(row: Row, column: str) -> bool | None:
    text = row.get(column)
    if text is None:
        return None
    if text.lower() not in _FLAGS:
        raise BadRow(f"{column} is {text!r}, not 0 or 1")
    return _FLAGS[text.lower()]


def number_in(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan  # equal to nothing and within no range
