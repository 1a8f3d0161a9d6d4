"""Captures as files for others: a table, records one a line, or a ZIP with the pictures too."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import UsageError
from runtime.record import flatten
from runtime.results import writing

if TYPE_CHECKING:
    from runtime.store.store import Capture, Store

README = """Captures of dermedge.

records.jsonl has one result record a line, captures.csv the same as a table, pictures/ what was
judged. Decision support for a trained clinician, not a diagnosis: a score says how much a picture
looks like those of its class in the training data.
"""


def write_export(store: Store, session: str | None, out: Path) -> int:
    """How many captures were written. What retention has removed is left out."""
    kinds = {".csv": _csv, ".jsonl": _jsonl}
    kind = out.suffix.lower()
    captures = [each for each in store.captures(session) if each.record is not None]
    if kind not in (*kinds, ".zip"):
        raise UsageError(
            f"{out} has an ending that says nothing.",
            got=kind or "no ending",
            expected=".csv, .jsonl or .zip",
        )
    with writing(out):
        if kind == ".zip":
            with out.open("xb") as file:
                write_zip(store, captures, file)
        else:
            with out.open("x", encoding="utf-8", newline="") as text:
                text.write(kinds[kind](captures))
    return len(captures)


def write_zip(store: Store, captures: list[Capture], file: Any) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", README)
        archive.writestr("records.jsonl", _jsonl(captures))
        archive.writestr("captures.csv", _csv(captures))
        for each in captures:
            if each.image is not None:
                archive.writestr(
                    f"pictures/{each.number:06d}.png",
                    store.picture(each.image),
                    zipfile.ZIP_STORED,  # PNG is packed already
                )


def _rows(captures: list[Capture]) -> Iterator[dict[str, Any]]:
    for each in captures:
        yield {
            "capture": each.number,
            "session": each.session,
            "time": each.time,
            "patient": each.patient or {},
            "result": each.record,
        }


def _jsonl(captures: list[Capture]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in _rows(captures))


def _csv(captures: list[Capture]) -> str:
    flat = [dict(flatten(row)) for row in _rows(captures)]
    columns = list(dict.fromkeys(name for row in flat for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    writer.writerows({name: _harmless(value) for name, value in row.items()} for row in flat)
    return text.getvalue()


def _harmless(value: object) -> object:
    """A note that begins like a formula is a formula to a spreadsheet."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + value
    return value
