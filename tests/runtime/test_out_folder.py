"""A results folder belongs to one run: it carries on, is replaced on request, or is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import UsageError
from runtime.out_folder import default_folder, open_folder
from runtime.overlay import overlay_name
from runtime.record import Result
from runtime.results import ResultLog

IDENTITY = {"bundle": "aa", "backend": "fake", "input": "/x", "metadata": None, "every": None}
OTHER = {**IDENTITY, "bundle": "bb"}


def ran(path: Path) -> Path:
    with open_folder(path, IDENTITY, resume=True) as out:
        out.save(started="then")
        with ResultLog(out.records) as log:
            log.append(Result(source="a.png", sha256="12", status="ok"))
    (out.overlays / overlay_name("a.png", "12")).write_bytes(b"jpeg")
    return path


def test_the_same_run_carries_on(tmp_path: Path) -> None:
    with open_folder(ran(tmp_path / "out"), IDENTITY, resume=True) as out:
        assert len(out.done) == 1
        assert out.facts["started"] == "then"


def test_two_scans_at_once_are_refused(tmp_path: Path) -> None:
    path = ran(tmp_path / "out")
    for resume in (True, False):
        with (
            open_folder(path, IDENTITY, resume=True),
            pytest.raises(UsageError, match="Another scan"),
        ):
            open_folder(path, IDENTITY, resume)
    with open_folder(path, IDENTITY, resume=True) as out:
        assert len(out.done) == 1


@pytest.mark.parametrize("changed", IDENTITY)
def test_another_run_is_refused_and_changes_nothing(tmp_path: Path, changed: str) -> None:
    path = ran(tmp_path / "out")
    before = (path / "results.jsonl").read_bytes()
    with pytest.raises(UsageError, match="another run") as caught:
        open_folder(path, {**IDENTITY, changed: "else"}, resume=True)
    assert changed in str(caught.value)
    assert "--no-resume" in str(caught.value)
    assert (path / "results.jsonl").read_bytes() == before


@pytest.mark.parametrize("identity", [IDENTITY, OTHER])
def test_starting_afresh_removes_our_files_only(
    tmp_path: Path, identity: dict[str, object]
) -> None:
    path = ran(tmp_path / "out")
    (path / "my notes.txt").write_text("x")
    (path / "overlays" / "mine.jpg").write_text("x")
    with open_folder(path, identity, resume=False) as out:
        assert out.done == set()
    left = sorted(p.relative_to(path).as_posix() for p in path.rglob("*"))
    assert left == ["my notes.txt", "overlays", "overlays/mine.jpg"]


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("name", ["report.html", "results.csv", "results.jsonl"])
def test_files_of_somebody_else_are_never_replaced(tmp_path: Path, resume: bool, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="another run"):
        open_folder(tmp_path, IDENTITY, resume)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_folder_with_other_things_is_fine(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("x")
    with open_folder(tmp_path, IDENTITY, resume=True) as out:
        assert out.done == set()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="cannot be written"):
        open_folder(tmp_path / "file" / "out", IDENTITY, resume=True)


def test_the_default_folder_is_one_per_run() -> None:
    path = Path("/data/visit 3")
    first = default_folder(path, IDENTITY)
    assert first == default_folder(path, dict(reversed(IDENTITY.items())))
    assert first != default_folder(path, OTHER)
    assert first.parent == Path("dermedge-results")
    assert first.name.startswith("visit 3-")
