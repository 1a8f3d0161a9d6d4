"""The first sheet of an .xlsx file: what was written is read, and what is none is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InputError
from tests.train.data.trees import sheet
from train.data import spreadsheet
from train.data.spreadsheet import read_sheet

# What XML can hold: no control characters, no halves of surrogate pairs, no end of a plane.
LETTERS = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff")
TEXTS = st.text(LETTERS, max_size=12).map(str.strip)


@given(st.lists(st.lists(TEXTS, max_size=5), max_size=8))
def test_cells_come_back(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    path = sheet(tmp_path_factory.mktemp("sheet") / "a.xlsx", rows)
    expected = [
        (number, {chr(65 + column): cell for column, cell in enumerate(row) if cell})
        for number, row in enumerate(rows, start=1)
    ]
    assert read_sheet(path) == [(number, cells) for number, cells in expected if cells]


def write(path: Path, sheet_xml: str, strings: str | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", sheet_xml)
        if strings is not None:
            archive.writestr("xl/sharedStrings.xml", strings)
    return path


def test_every_kind_of_cell(tmp_path: Path) -> None:
    cells = (
        '<c r="A2"><v>3</v></c><c r="B2" t="inlineStr"><is><t>in</t></is></c>'
        '<c r="C2" t="s"><v>0</v></c><c r="AA2" t="str"><v>formula</v></c><c r="AB2" s="4"/>'
    )
    strings = "<sst><si><r><t>in </t></r><r><t>runs</t></r><rPh><t>hint</t></rPh></si></sst>"
    path = write(tmp_path / "a.xlsx", f'<w><row r="2">{cells}</row></w>', strings)
    assert read_sheet(path) == [(2, {"A": "3", "B": "in", "C": "in runs", "AA": "formula"})]


@pytest.mark.parametrize("what", ["no zip", "no sheet", "no xml", "string", "cut", "large"])
def test_what_is_no_spreadsheet(tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sheet(tmp_path / "a.xlsx", [("text" * 100,)])
    if what == "no zip":
        path.write_text("IMD003")
    elif what == "no sheet":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("other.xml", "<a/>")
    elif what == "no xml":
        write(path, "<row")
    elif what == "string":
        write(path, '<row r="1"><c r="A1" t="s"><v>7</v></c></row>')
    elif what == "cut":
        path.write_bytes(path.read_bytes()[:200])
    else:
        monkeypatch.setattr(spreadsheet, "_LARGEST", 10)
    with pytest.raises(InputError, match=r"a\.xlsx cannot be read as a spreadsheet"):
        read_sheet(path)
