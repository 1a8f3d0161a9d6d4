"""Some rows of a table, where not all are wanted."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from train import reproduce
from train.reproducing.papers import TABLES


def test_some_rows_may_be_asked_for() -> None:
    """Each table that has one of them keeps its first row: others are held against it."""
    found = reproduce._picked(list(TABLES["edge"]), "edge", ("one+focal", "one_wide"), False)
    assert [[row.variants for row in table.rows] for table in found] == [
        [("one",), ("one+focal",), ("one_wide",)]
    ]
    (system,) = reproduce._picked(list(TABLES["edge"]), "edge", ("edge",), False)
    assert {row.variants for row in system.rows} == {("",)}
    assert len(system.rows) > 1, "its members alone are rows of the same run"


def test_a_row_that_there_is_not_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    words = ["edge", "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--row", "one+focl"]
    done = CliRunner().invoke(reproduce.command, words)
    assert done.exit_code == 2
    assert "No row of edge is of one+focl." in done.output
    assert "one+focal" in done.output
    assert not (tmp_path / "out").exists()


def test_picked_rows_leave_the_whole_tables_alone(tmp_path: Path) -> None:
    table = {"title": "T", "columns": [], "rows": [], "ours are": ""}
    reproduce._write(tmp_path, "tables", [table])
    reproduce._write(tmp_path, "rows", [table | {"title": "of one row"}])
    assert "## T" in (tmp_path / "tables.md").read_text()
    assert "of one row" in (tmp_path / "rows.md").read_text()
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "rows.json", "rows.md", "tables.json", "tables.md"
    ]  # fmt: skip
