"""PH2 as published: common nevi, atypical nevi, melanomas, and lesion masks.

    PH2 Dataset images/IMD003/IMD003_Dermoscopic_Image/IMD003.bmp
    PH2 Dataset images/IMD003/IMD003_lesion/IMD003_lesion.bmp
    PH2_dataset.xlsx    under some lines: Image Name, Common Nevus, Atypical Nevus, Melanoma
                        with an X under one of the three
    PH2_dataset.txt     || Name || Histological Diagnosis || Clinical Diagnosis || …   (0, 1, 2)

The pictures are looked for by their names, as copies have other folders, or none. Of the tables
one is enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from runtime.errors import InputError
from train.data.content import read_bytes
from train.data.published import Part, PublishedSet
from train.data.reader import BadRow, Format, Row
from train.data.spreadsheet import read_sheet
from train.data.table import Table

NAME = "ph2"
COLUMNS = {
    "common nevus": "nevus",
    "atypical nevus": "atypical_nevus",
    "melanoma": "melanoma",
}
SHEET, TEXT = "PH2_dataset.xlsx", "PH2_dataset.txt"
_KEY = "id"  # a column of our own: the name in one spelling
_CODES = {"0": "nevus", "1": "atypical_nevus", "2": "melanoma"}
_FOLDERS = ("PH2 Dataset images", "PH2_Dataset_images")
_PICTURE = re.compile(r"(IMD\d+)(_lesion)?\.(bmp|png|jpe?g)", re.IGNORECASE)
_ID = re.compile(r"IMD\d+", re.IGNORECASE)


def recognises(path: Path) -> bool:
    folders = (path / name for name in _FOLDERS)
    return any(f.is_dir() for f in folders) or any((path / t).is_file() for t in (SHEET, TEXT))


def read(root: Path, classes: Sequence[str] | None = None) -> Table:
    found = PublishedSet(NAME, root)
    pictures = list(_pictures(root))
    images = found.one_each((name, path) for name, mask, path in pictures if not mask)
    masks = found.one_each((name, path) for name, mask, path in pictures if mask)
    labels = None
    if (table := found.file(SHEET)) is not None:
        rows = found.by_image(table, _below_header(table, _sheet_rows(table), "image name"), _KEY)
        labels = found.labels(table, rows, _marked)
    elif (table := found.file(TEXT)) is not None:
        rows = found.by_image(table, _below_header(table, _text_rows(table), "name"), _KEY)
        labels = found.labels(table, rows, _coded)
    found.add(Part("", "the folder", images, f"{SHEET} or {TEXT}", labels, masks, masked=True))
    remedy = "Unpack the archive again, or leave images and table together as they came."
    return found.table(tuple(COLUMNS.values()), classes, remedy)


def _pictures(root: Path) -> Iterator[tuple[str, bool, Path]]:
    """Image id, whether it is the lesion's mask, file. Masks of colours have other names."""
    for path in sorted(root.rglob("*")):
        named = _PICTURE.fullmatch(path.name)
        if named is not None and path.is_file():
            yield named[1].upper(), named[2] is not None, path


def _sheet_rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    for number, cells in read_sheet(table):
        yield number, {column: " ".join(text.split()) for column, text in cells.items()}


def _text_rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """What is not ASCII is no part of the table, so its encoding does not matter."""
    lines = read_bytes(table).decode("ascii", "replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if line.lstrip().startswith("||"):
            cells = enumerate(cell.strip() for cell in line.strip().split("||"))
            yield number, {str(column): text for column, text in cells if text}


def _below_header(
    table: Path, rows: Iterator[tuple[int, dict[str, str]]], first: str
) -> Iterator[Row]:
    """The rows of images. Titles stand above the header and legends below the last row."""
    header: dict[str, str] = {}
    for number, cells in rows:
        if not header:
            names = {column: text.lower() for column, text in cells.items()}
            header = names if first in names.values() else {}
            continue
        row = {header[column]: text for column, text in cells.items() if column in header}
        if _ID.fullmatch(row.get(first, "")):
            yield Row(number, row | {_KEY: row[first].upper()})
    if not header:
        raise InputError(
            f"{table} has no header that is known.",
            got="no line with it",
            expected=f"a line with a cell {first!r}",
            remedy="Take the table from the archive as it is.",
        )


def _marked(row: Row) -> str:
    marks = {name: row.cells.get(name, "") for name in COLUMNS}
    odd = [
        f"{mark!r} under {name}" for name, mark in marks.items() if mark.upper() not in ("", "X")
    ]
    told = [name for name, mark in marks.items() if mark]
    if odd:
        raise BadRow(f"{' and '.join(odd)}, where an X or nothing is expected")
    if len(told) != 1:
        raise BadRow(f"marked as {' and as '.join(told) or 'nothing'}; it must be one class")
    return COLUMNS[told[0]]


def _coded(row: Row) -> str:
    code = row.cells.get("clinical diagnosis", "")
    if code not in _CODES:
        raise BadRow(f"the clinical diagnosis is {code!r}, not one of {', '.join(_CODES)}")
    return _CODES[code]


FORMAT = Format(
    "PH2",
    f"a folder with PH2 Dataset images and {SHEET} or {TEXT}",
    recognises,
    read,
)
