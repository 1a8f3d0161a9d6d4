"""What readers share: how a format is recognised, and CSV files as people really save them.

Spreadsheets write byte order marks, semicolons and blank lines; authors change the case of
headers. All of that is read. What is wrong is collected, with line numbers, and reported at once:
mending a table of 10,000 rows one error at a time is no way to spend an afternoon.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.errors import InputError
from train.data.content import read_bytes
from train.data.table import Table

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
_SHOWN = 10
_LONGEST_HEADER = 10_000


@dataclass(frozen=True)
class Format:
    """One line of the table by which `open_dataset` recognises what lies at a path."""

    name: str
    looks_for: str  # as told to a user whose path matched nothing
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Sequence[str] | None], Table]


class BadRow(ValueError):
    """What is wrong with one row; caught where its file and line are known, and collected."""


@dataclass
class Problems:
    """Collects what is wrong with a source and raises it as one error."""

    source: Path
    found: list[str] = field(default_factory=list)

    def add(self, text: str, line: int | None = None) -> None:
        self.found.append(text if line is None else f"line {line}: {text}")

    def raise_if_any(self, *, expected: str, remedy: str) -> None:
        if not self.found:
            return
        more = len(self.found) - _SHOWN
        shown = self.found[:_SHOWN] + ([f"… and {more} more"] if more > 0 else [])
        count = "1 problem" if len(self.found) == 1 else f"{len(self.found)} problems"
        raise InputError(
            f"{self.source} cannot be used as it is: {count}.",
            got="\n       ".join(shown),
            expected=expected,
            remedy=remedy,
        )


@dataclass(frozen=True)
class Row:
    line: int
    cells: dict[str, str]  # header (lower case) -> text without surrounding blanks

    def get(self, name: str) -> str | None:
        """The cell, or None where it is empty or says that the value is not known."""
        text = self.cells.get(name, "")
        return None if text.lower() in {"", "unknown", "na", "n/a", "nan", "none", "null"} else text


def read_rows(
    path: Path, required: Sequence[str], header: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], list[Row]]:
    """The header (lower case) and the rows that hold anything, each with its line number.

    `header` names the columns of a file that has no such line.
    """
    reader = _reader(_decode(path))
    problems = Problems(path)
    rows: list[Row] = []
    try:
        for record in reader:
            cells = [cell.strip() for cell in record]
            if not any(cells):
                continue
            if not header:
                header = _header(path, cells, required)
                continue
            if any(cells[len(header) :]):
                problems.add(f"{len(cells)} cells under {len(header)} headers", reader.line_num)
                continue
            rows.append(Row(reader.line_num, dict(zip(header, cells, strict=False))))
    except csv.Error as exc:
        problems.add(str(exc), reader.line_num)
    if not header:
        _header(path, [], required)
    problems.raise_if_any(
        expected=f"{len(header)} cells a line, as many as the header has",
        remedy="Quote cells that hold the separator.",
    )
    return header, rows


def header_of(path: Path) -> tuple[str, ...]:
    """The header in lower case: recognises a file, so what is wrong with it is left for later."""
    for record in _reader(read_bytes(path).decode("utf-8-sig", "replace")[:_LONGEST_HEADER]):
        if any(record):
            return tuple(cell.strip().lower() for cell in record)
    return ()


def _reader(text: str) -> Any:
    first = text.lstrip("\r\n").split("\n", 1)[0]
    if first.strip().lower().startswith("sep="):  # a hint that Excel writes and hides
        text = text.replace(first.strip(), "", 1)
        first = text.lstrip("\r\n").split("\n", 1)[0]
    return csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))


def _decode(path: Path) -> str:
    data = read_bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data[: exc.start].count(b"\n") + 1
        raise InputError(
            f"{path} is not UTF-8 text.",
            got=f"byte 0x{data[exc.start]:02x} in line {line}",
            expected="CSV text in UTF-8",
            remedy='In a spreadsheet, save it as "CSV UTF-8".',
        ) from exc


def _header(path: Path, cells: Sequence[str], required: Sequence[str]) -> tuple[str, ...]:
    header = [cell.lower() for cell in cells]
    while header and not header[-1]:
        header.pop()
    missing = [name for name in required if name not in header]
    if missing or len(set(header)) < len(header):
        raise InputError(
            f"The first line of {path} is not the header this file should have.",
            got=", ".join(header) or "an empty file",
            expected=f"the columns {', '.join(required)}, each column once",
            remedy="Add the header line, or rename the columns.",
        )
    return tuple(header)
