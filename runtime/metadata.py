"""Age, sex and site as numbers for a network. What is not known is a value of its own.

A missing age is never the mean age: the encoder gives every field its own "unknown" place, and a
network trained with it has seen that place used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from runtime.errors import InputError
from runtime.specs import Spec


class NumberField(Spec):
    """Two places: the number scaled to 0…1 over its range, and whether it is unknown."""

    kind: Literal["number"] = "number"
    name: str
    low: float
    high: float

    @model_validator(mode="after")
    def _low_below_high(self) -> NumberField:
        if not self.low < self.high:
            raise ValueError(f"{self.name}: low {self.low} is not below high {self.high}")
        return self

    @property
    def width(self) -> int:
        return 2

    def encode(self, value: object) -> list[float]:
        if value is None:
            return [0.0, 1.0]
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError) as exc:
            raise InputError(f"{self.name} is not a number", got=repr(value)) from exc
        if not np.isfinite(number):
            raise InputError(f"{self.name} is not a finite number", got=repr(value))
        return [(min(max(number, self.low), self.high) - self.low) / (self.high - self.low), 0.0]


class CategoryField(Spec):
    """One place a category, and a last one for unknown."""

    kind: Literal["category"] = "category"
    name: str
    categories: Annotated[tuple[str, ...], Field(min_length=1)]
    includes: dict[str, tuple[str, ...]] = {}  # finer words that count as a category

    @model_validator(mode="after")
    def _includes_are_of_categories(self) -> CategoryField:
        for name in self.includes:
            if name not in self.categories:
                raise ValueError(f"{self.name}: includes has {name!r}, which is no category")
        for word in self.words:
            if self.words.count(word) > 1:
                raise ValueError(f"{self.name}: {word!r} counts as more than one category")
        return self

    @property
    def words(self) -> tuple[str, ...]:
        """All that it understands."""
        return (*self.categories, *(word for finer in self.includes.values() for word in finer))

    @property
    def width(self) -> int:
        return len(self.categories) + 1

    def encode(self, value: object) -> list[float]:
        places = [0.0] * self.width
        broader = {word: name for name, words in self.includes.items() for word in words}
        known = broader.get(str(value), value)
        if value is None:
            places[-1] = 1.0
        elif known in self.categories:
            places[self.categories.index(str(known))] = 1.0
        else:
            raise InputError(
                f"{self.name} has a value the bundle does not know",
                got=repr(value),
                expected=", ".join(self.categories) + ", or nothing if it is unknown",
                remedy="Give it by one of these words.",
            )
        return places


MetadataField = Annotated[NumberField | CategoryField, Field(discriminator="kind")]


class MetadataSpec(Spec):
    fields: Annotated[tuple[MetadataField, ...], Field(min_length=1)]

    @property
    def width(self) -> int:
        return sum(field.width for field in self.fields)

    def encode(self, values: Mapping[str, object]) -> npt.NDArray[np.float32]:
        """One row, 1 × width. A field that is absent, null or empty is unknown."""
        row: list[float] = []
        for field in self.fields:
            value = values.get(field.name)
            row += field.encode(None if value in ("", "unknown") else value)
        return np.asarray([row], dtype=np.float32)
