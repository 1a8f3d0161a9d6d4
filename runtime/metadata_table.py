"""`infer --metadata`: a CSV file with age, sex and site of the images, checked before the scan.

    image,age,sex,site
    visit 3/IMG_0001.jpg,54,female,back
    IMG_0002,,male,

The first column is named `image` or `source`: a path below the scanned folder, a file name, or a
name without its suffix, as long as only one image answers to it. An empty cell is "not known".
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from runtime.decode import printable
from runtime.errors import InputError
from runtime.metadata import NumberField

if TYPE_CHECKING:
    from runtime.metadata import MetadataSpec

KEYS = ("image", "source")
USUAL_FIELDS = ("age", "sex", "site")  # recorded where the bundle itself takes no metadata
AGE = NumberField(name="age", low=0, high=130)
UNKNOWN = frozenset({"", "unknown", "na", "n/a", "nan", "none", "null"})
SHOWN_PROBLEMS = 8


@dataclass
class MetadataTable:
    values: dict[str, dict[str, object]] = field(default_factory=dict)
    unknown_columns: tuple[str, ...] = ()
    without_image: list[tuple[int, str]] = field(default_factory=list)  # line and name

    def of(self, file: str) -> Mapping[str, object]:
        return self.values.get(file, {})


def load_metadata(path: Path, spec: MetadataSpec | None, files: Sequence[str]) -> MetadataTable:
    """Read the table for these files. Every bad row is named, in one message."""
    header, rows = _rows(path)
    key = next((name for name in KEYS if name in header), None)
    known = USUAL_FIELDS if spec is None else tuple(item.name for item in spec.fields)
    if key is None or len(set(header)) < len(header):
        raise InputError(
            f"The first line of {printable(str(path))} is not the header it should have.",
            got=", ".join(header) or "an empty file",
            expected=f"image, then any of {', '.join(known)}, each once",
            remedy="Add the header line, or rename the columns.",
        )
    columns = tuple(name for name in header if name != key and name in known)
    others = tuple(name for name in header if name != key and name not in known)
    table = MetadataTable(unknown_columns=others)
    finder, problems, lines = _Finder(files), list[str](), dict[str, int]()
    for line, cells in rows:
        try:
            file = finder.find(cells.get(key, ""))
            if file is None:
                table.without_image.append((line, cells.get(key, "")))
                continue
            if lines.setdefault(file, line) != line:
                raise InputError(f"{file} again, first in line {lines[file]}")
            values = {name: _value(cells.get(name, ""), name, spec) for name in columns}
            if spec is not None:
                spec.encode(values)
            elif "age" in values:
                AGE.encode(values["age"])
            table.values[file] = values
        except InputError as exc:
            problems.append(f"line {line}: {exc.one_line}")
    _raise_if_any(path, problems)
    return table


def _raise_if_any(path: Path, problems: list[str]) -> None:
    if not problems:
        return
    more = len(problems) - SHOWN_PROBLEMS
    shown = problems[:SHOWN_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])
    raise InputError(
        f"{printable(str(path))} has rows that cannot be used.",
        got="\n       ".join(shown),
        expected="one row an image, with values that the bundle knows",
        remedy="Correct these rows; leave a cell empty where a value is not known.",
    )


def _rows(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as exc:
        raise InputError(
            f"{printable(str(path))} cannot be read.",
            got=exc.strerror or str(exc),
            expected="a CSV file",
            remedy="Check the name and the file's permissions.",
        ) from exc
    except UnicodeDecodeError as exc:
        raise InputError(
            f"{printable(str(path))} is not UTF-8 text.",
            got=f"byte 0x{exc.object[exc.start]:02x} at {exc.start}",
            expected="CSV text in UTF-8",
            remedy='In a spreadsheet, save it as "CSV UTF-8".',
        ) from exc
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header: list[str] = []
    rows: list[tuple[int, dict[str, str]]] = []
    problems: list[str] = []
    try:
        for record in reader:
            cells = [cell.strip() for cell in record]
            if not header:
                header = [cell.lower() for cell in cells]
            elif any(cells[len(header) :]):
                problems.append(f"line {reader.line_num}: more cells than the header has")
            elif any(cells):
                rows.append((reader.line_num, dict(zip(header, cells, strict=False))))
    except csv.Error as exc:
        problems.append(f"line {reader.line_num}: {exc}")
    _raise_if_any(path, problems)
    return header, rows


def _value(text: str, name: str, spec: MetadataSpec | None) -> object:
    """The cell as the bundle's encoder takes it. Categories are found whatever their case."""
    if text.lower() in UNKNOWN:
        return None
    found = next((item for item in spec.fields if item.name == name), None) if spec else None
    if found is not None and found.kind == "category":
        return next((word for word in found.words if word.lower() == text.lower()), text)
    try:
        return float(text)
    except ValueError:
        return text


class _Finder:
    """Images by path, by file name, and by name without suffix."""

    def __init__(self, files: Sequence[str]) -> None:
        self._exact = frozenset(files)
        self._short: dict[str, list[str]] = defaultdict(list)
        for file in files:
            path = PurePosixPath(file)
            for short in {path.name, path.stem}:
                self._short[short].append(file)

    def find(self, text: str) -> str | None:
        name = str(PurePosixPath(text.replace("\\", "/"))) if text else ""
        if text in self._exact:
            return text
        if name in self._exact:
            return name
        found = self._short.get(name, [])
        if len(found) > 1:
            raise InputError(
                f"{text!r} is the name of {len(found)} images",
                got=", ".join(found[:3]),
                expected="the path below the folder",
            )
        return found[0] if found else None
