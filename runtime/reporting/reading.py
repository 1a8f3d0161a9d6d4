"""results.jsonl and run.json as a report needs them: whatever is in there, it gets a report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from runtime.record import Result
from runtime.reporting.wording import plain


def read_results(path: Path) -> Iterator[Result | None]:
    """One record at a time; None for a line that is no record (a killed scan leaves a torn one).

    Names that are not UTF-8 come back as the surrogates they are on the file system.
    """
    with path.open("rb") as lines:
        for line in lines:
            if line.strip():
                yield _parse(line)


def _parse(line: bytes) -> Result | None:
    try:
        return Result.model_validate(json.loads(line.decode("utf-8", "surrogateescape")))
    except (ValueError, RecursionError):
        return None


class RunFacts:
    """run.json by dotted names. It may be missing or incomplete: the report then says less."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields

    @classmethod
    def read(cls, path: Path, first: Result | None) -> RunFacts:
        """What the first record says about bundle and backend stands in for what is missing."""
        try:
            fields = json.loads(path.read_bytes().decode("utf-8", "surrogateescape"))
        except (OSError, ValueError, RecursionError):
            fields = {}
        recorded = first.model_dump(include={"bundle", "backend"}) if first else {}
        recorded["first_record"] = first.time if first else None
        return cls({**recorded, **(fields if isinstance(fields, dict) else {})})

    def get(self, *names: str) -> object:
        """The value of the first name that has one."""
        for name in names:
            value: object = self._fields
            for key in name.split("."):
                value = value.get(key) if isinstance(value, Mapping) else None
            if value not in (None, "", [], {}):
                return value
        return None

    def text(self, *names: str) -> str | None:
        value = self.get(*names)
        return None if value is None else spelled(value)

    def number(self, *names: str) -> float | None:
        value = self.get(*names)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return float(value)


def spelled(value: object) -> str:
    """Nested facts in one line: `gpu Orin, memory 8 GB`."""
    if isinstance(value, Mapping):
        return ", ".join(f"{plain(str(key))} {spelled(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(spelled(item) for item in value)
    return str(value)
