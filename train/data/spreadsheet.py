"""The cells of an .xlsx file's first sheet, as text: all that one small table of labels takes.

Such a file is a zip of XML. A library for the whole of the format would be one more to install,
for 200 rows.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

from runtime.errors import InputError
from train.data.content import read_bytes

_SHEET, _STRINGS = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
_LARGEST = 50_000_000  # unpacked: far above any table of images, far below what fills a memory
Cells = dict[str, str]  # by column: A, B, …


def read_sheet(path: Path) -> list[tuple[int, Cells]]:
    """The rows that hold anything, each with its number."""
    data = read_bytes(path)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            strings = _strings(_parsed(archive, _STRINGS)) if _STRINGS in names else []
            rows = [_row(row, strings) for row in _inside(_parsed(archive, _SHEET), "row")]
    except (
        zipfile.BadZipFile, zlib.error, ET.ParseError,
        EOFError, LookupError, NotImplementedError, RuntimeError, ValueError,
    ) as exc:  # fmt: skip
        raise InputError(
            f"{path} cannot be read as a spreadsheet.",
            got=str(exc) or type(exc).__name__,
            expected="an .xlsx file with a sheet",
            remedy="Download it again, or open it in a spreadsheet program and save it as .xlsx.",
        ) from exc
    return [(number, cells) for number, cells in rows if cells]


def _parsed(archive: zipfile.ZipFile, name: str) -> ET.Element:
    size = archive.getinfo(name).file_size
    if size > _LARGEST:
        raise ValueError(f"{name} has {size:,} bytes")
    return ET.fromstring(archive.read(name))


def _inside(element: ET.Element, name: str) -> Iterator[ET.Element]:
    """Whatever the namespace: there are two for the same format."""
    return (e for e in element.iter() if e.tag.rpartition("}")[2] == name)


def _strings(root: ET.Element) -> list[str]:
    return [_text(item) for item in _inside(root, "si")]


def _text(item: ET.Element) -> str:
    """Formatted text is in several runs; hints on pronunciation are not part of it."""
    hints = {id(t) for hint in _inside(item, "rPh") for t in _inside(hint, "t")}
    return "".join(t.text or "" for t in _inside(item, "t") if id(t) not in hints)


def _row(row: ET.Element, strings: list[str]) -> tuple[int, Cells]:
    cells = {}
    for cell in _inside(row, "c"):
        text = _value(cell, strings).strip()
        if text:
            cells[re.sub(r"\d", "", cell.attrib["r"])] = text
    return int(row.attrib["r"]), cells


def _value(cell: ET.Element, strings: list[str]) -> str:
    if cell.get("t") == "inlineStr":
        return _text(cell)
    value = next(_inside(cell, "v"), None)
    text = "" if value is None else value.text or ""
    return strings[int(text)] if cell.get("t") == "s" and text else text
