"""`dermedge sessions` as a user meets it."""

from __future__ import annotations

import csv
import json
import sqlite3
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from runtime.sessions import command
from runtime.store.store import Limits, Store
from tests.runtime.store.test_store import FACTS, ROOMY, result


def run(*words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Store(tmp_path / "s", limits=ROOMY) as store:
        for visit in range(2):
            session = store.begin(FACTS)
            for number in range(2):
                note = "=HYPERLINK(1)" if number else "left arm"
                who = {"patient": f"p{visit}", "note": note}
                store.add(session, b"png %d%d" % (visit, number), result(), who)
            if visit == 0:
                store.end(session)
    return tmp_path / "s"


def test_list(folder: Path) -> None:
    out = run("list", "--store", folder)
    assert out.exit_code == 0, out.output
    first, second = out.output.splitlines()
    assert "2 captures" in first
    assert "tiny 1" in first
    assert "not ended" not in first
    assert "not ended in order" in second


def test_exports(folder: Path, tmp_path: Path) -> None:
    first = run("list", "--store", folder).output[:8]
    assert run("export", "--store", folder, "--out", tmp_path / "a.csv").exit_code == 0
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["patient.patient"] for row in rows] == ["p0", "p0", "p1", "p1"]
    assert rows[1]["patient.note"] == "'=HYPERLINK(1)", "a spreadsheet would run it"
    assert rows[0]["result.score"] == "0.5"
    out = run("export", "--store", folder, "--session", first, "--out", tmp_path / "b.jsonl")
    assert "2 captures written" in out.output
    lines = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert {line["patient"]["patient"] for line in lines} == {"p0"}
    assert run("export", "--store", folder, "--out", tmp_path / "c.zip").exit_code == 0
    assert (tmp_path / "c.zip").stat().st_mode & 0o777 == 0o600, "patient data, unencrypted"
    with zipfile.ZipFile(tmp_path / "c.zip") as archive:
        assert archive.read("pictures/000003.png") == b"png 10"
        assert "missing.txt" not in archive.namelist()
        assert "not a diagnosis" in archive.read("README.txt").decode()


def test_what_export_refuses(folder: Path, tmp_path: Path) -> None:
    wrong = run("export", "--store", folder, "--out", tmp_path / "a.doc")
    assert (wrong.exit_code, ".csv, .jsonl, .zip" in wrong.output) == (2, True)
    (tmp_path / "there.csv").write_text("mine")
    there = run("export", "--store", folder, "--out", tmp_path / "there.csv")
    assert (there.exit_code, "there.csv is there already" in there.output) == (2, True)
    assert (tmp_path / "there.csv").read_text() == "mine"
    nobody = run("export", "--store", folder, "--session", "zz", "--out", tmp_path / "x.csv")
    assert (nobody.exit_code, "names no session" in nobody.output) == (2, True)
    assert run("list", "--store", tmp_path / "none").exit_code == 2


def test_verify(folder: Path) -> None:
    good = run("verify", "--store", folder)
    assert good.exit_code == 0, good.output
    assert "4 captures are what they were" in good.output
    base = sqlite3.connect(folder / "store.db")
    base.execute("UPDATE captures SET time = time, record = X'00' WHERE number = 1")
    base.commit()
    base.close()
    bad = run("verify", "--store", folder)
    assert bad.exit_code == 1
    assert "capture 1: its record was changed" in bad.output


def test_what_was_removed_is_counted_apart(folder: Path) -> None:
    with Store(folder, limits=Limits(megabytes=6e-6, free_mb=0)) as store:
        assert store.apply_limits() == 3
    first, second = run("list", "--store", folder).output.splitlines()
    assert "  0 captures" in first
    assert "(2 more removed)" in first
    assert "  1 captures" in second
    assert "(1 more removed)" in second
    out = run("verify", "--store", folder).output
    assert "1 captures are what they were" in out
    assert "3 more were removed" in out


@pytest.mark.parametrize("ending", [".zip", ".csv"])
def test_an_export_without_the_key_leaves_nothing(
    tmp_path: Path, key: Path, folder: Path, ending: str
) -> None:
    with Store(tmp_path / "sealed", key, ROOMY) as store:
        store.add(store.begin(FACTS), b"png", result(), {})
    before = sorted(tmp_path.iterdir())
    words = ("export", "--store", tmp_path / "sealed", "--out", tmp_path / f"out{ending}")
    refused = run(*words)
    assert (refused.exit_code, "--key" in refused.output) == (2, True)
    assert sorted(tmp_path.iterdir()) == before
    done = run(*words, "--key", key)
    assert done.exit_code == 0, done.output
    other = run("export", "--store", folder, "--key", key, "--out", tmp_path / "other.csv")
    assert (other.exit_code, "does not open" in other.output) == (2, True)
    assert not (tmp_path / "other.csv").exists()


@pytest.mark.parametrize("refused", ["fsync", "a folder"])
def test_an_export_that_breaks_off_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    out = tmp_path / "out"
    words = ("export", "--store", folder, "--out", out / "visits.zip")
    if refused == "fsync":
        out.mkdir()

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("runtime.whole_file.os.fsync", full)
    failed = run(*words)
    assert failed.exit_code == 2, failed.output
    assert "visits.zip cannot be written" in failed.output
    assert not out.exists() or not list(out.iterdir())
    monkeypatch.undo()
    out.mkdir(exist_ok=True)
    (out / ".visits.zip.partial").write_text("of one that was killed")
    assert run(*words).exit_code == 0
    assert [file.name for file in out.iterdir()] == ["visits.zip"]
    assert (out / "visits.zip").stat().st_mode & 0o777 == 0o600


def test_a_lost_picture_does_not_keep_the_others_from_being_exported(
    folder: Path, tmp_path: Path
) -> None:
    with Store(folder, writable=False) as store:
        names = [capture.image or "" for capture in store.captures()]
        store.pictures.place(names[0]).unlink()
        store.pictures.place(names[2]).write_bytes(b"another")
    done = run("export", "--store", folder, "--out", tmp_path / "visits.zip")
    assert done.exit_code == 0, done.output
    assert "4 captures written" in done.output
    assert "2 of them without a picture" in done.output
    with zipfile.ZipFile(tmp_path / "visits.zip") as archive:
        pictures = [name for name in archive.namelist() if name.startswith("pictures/")]
        assert pictures == ["pictures/000002.png", "pictures/000004.png"]
        said = archive.read("missing.txt").decode().splitlines()
        assert len(archive.read("records.jsonl").splitlines()) == 4
    assert said == [
        "capture 1: its picture cannot be read (No such file or directory)",
        "capture 3: its picture was changed",
    ]
    assert all(line in done.output for line in said)
