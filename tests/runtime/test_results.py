"""results.jsonl survives whatever cuts it off; results.csv says the same in a table."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import results
from runtime.errors import UsageError
from runtime.record import LesionRecord, Result
from runtime.results import ResultLog, key_of, recover, settle, write_csv


def record(name: str, **fields: object) -> Result:
    return Result(**{"source": name, "sha256": "ab" * 32, "status": "ok", **fields})


def log_of(path: Path, *names: str) -> None:
    with ResultLog(path) as log:
        for name in names:
            log.append(record(name))


def sources_in(path: Path) -> list[str]:
    return [json.loads(line)["source"] for line in path.read_bytes().splitlines()]


def test_records_are_appended_and_recovered(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    assert recover(path).keys == set()
    log_of(path, "a", "b\nc", "ü 皮膚", "caf\\xe9")
    log_of(path, "d")
    assert sources_in(path) == ["a", "b\nc", "ü 皮膚", "caf\\xe9", "d"]
    assert key_of("b\nc", "ab" * 32) in recover(path).keys
    assert len(recover(path).keys) == 5


def test_each_record_can_be_read_before_the_log_is_closed(tmp_path: Path) -> None:
    with ResultLog(tmp_path / "r") as log:
        log.append(record("a"))
        assert sources_in(tmp_path / "r") == ["a"]


@given(cut=st.integers(0, 2000), junk=st.binary(max_size=40))
def test_any_torn_end_is_cut_off(
    cut: int, junk: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("torn") / "results.jsonl"
    log_of(path, "a", "b", "c")
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    torn = whole[: min(cut, len(whole))]
    kept = torn.count(b"\n")
    path.write_bytes(torn + junk.replace(b"\n", b""))
    done = recover(path).keys
    assert path.read_bytes() == b"".join(lines[:kept])
    assert len(done) == kept
    log_of(path, "next")
    assert sources_in(path)[-1] == "next"


def test_unreadable_files_are_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with ResultLog(path) as log:
        log.append(record("a"))
        log.append(record("gone", sha256="", status="error"))
        log.append(record("damaged", status="error"))
    assert recover(path).keys == {key_of("a", "ab" * 32), key_of("damaged", "ab" * 32)}
    assert sources_in(path) == ["a", "damaged"]


def test_lines_that_are_no_records_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    log_of(path, "a", "b")
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + b"\0\0\0\0\n" + b"[1]\n{}\n\n" + second)
    assert len(recover(path).keys) == 2
    assert path.read_bytes() == first + second


def test_the_last_record_of_a_source_counts(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with ResultLog(path) as log:
        log.append(record("changed", sha256="old"))
        log.append(record("b"))
        log.append(record("changed", sha256="new"))
        log.append(record("gone", sha256="", status="error"))
    kept = settle(path)
    assert sources_in(path) == ["b", "changed", "gone"]
    assert kept.replaced == [("changed", "old")]
    assert kept.keys >= {key_of("b", "ab" * 32), key_of("changed", "new")}
    assert settle(path).replaced == []


def test_a_file_that_is_as_it_was_before_its_change_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with ResultLog(path) as log:
        log.append(record("a", sha256="old"))
        log.append(record("a", sha256="new"))
    assert recover(path).keys == {key_of("a", "new")}


def test_nothing_is_rewritten_where_all_is_well(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    log_of(path, "a", "b")
    before = path.stat().st_ino
    recover(path)
    assert path.stat().st_ino == before


def test_a_key_depends_on_both_its_parts() -> None:
    assert len({key_of("a", "b"), key_of("a", "c"), key_of("ab", ""), key_of("", "ab")}) == 4


def test_synced_at_least_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, synced = [0.0], []
    monkeypatch.setattr(results, "monotonic", lambda: now[0])
    monkeypatch.setattr(results.os, "fsync", lambda file: synced.append(now[0]))
    with ResultLog(tmp_path / "r") as log:
        for now[0] in (0.1, 0.5, 1.05, 1.2, 2.0, 2.1):
            log.append(record("x"))
        assert synced == [1.05, 2.1]
        log.append(record("x"))
        now[0] = 2.3
        log.sync()
        log.sync()  # nothing new
        assert synced == [1.05, 2.1, 2.3]
        log.append(record("x"))
    assert synced == [1.05, 2.1, 2.3, 2.3]


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.jsonl"
    real = os.write

    def write(file: int, data: bytes) -> int:
        if len(data) <= 100:
            raise OSError(28, "No space left on device")
        return real(file, data[:-50])

    with ResultLog(path) as log:
        log.append(record("a"))
        monkeypatch.setattr(results.os, "write", write)
        with pytest.raises(UsageError) as caught:
            log.append(record("b"))
        monkeypatch.undo()
        assert sources_in(path) == ["a"]
        log.append(record("c"))
    assert "No space left" in str(caught.value)
    assert "--out" in str(caught.value)
    assert sources_in(path) == ["a", "c"]


def test_a_log_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        ResultLog(tmp_path / "no such folder" / "r")


def test_the_table_has_a_column_for_every_value(tmp_path: Path) -> None:
    path, table = tmp_path / "results.jsonl", tmp_path / "results.csv"
    lesion = LesionRecord(box=(1, 2, 3, 4), area_fraction=0.5, touches_border=False)
    with ResultLog(path) as log:
        log.append(record('broken, "x"\n', status="error", reason="damaged"))
        log.append(
            record("a", probabilities={"mel": 0.25, "nv": 0.75}, lesion=lesion, score=0.25,
                   members={"b0.v1": {"mel": 0.5}}, metadata={"age": 40.0})
        )  # fmt: skip
        log.append(record("b", metadata={"sex": "female"}))
    write_csv(path, table)
    with table.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
        columns = list(reader.fieldnames or ())
    assert columns[:8] == [
        "schema", "time", "source", "sha256", "status", "reason",
        "probabilities.mel", "probabilities.nv",
    ]  # fmt: skip
    assert "lesion.box" in columns
    assert not {
        "lesion",
        "probabilities",
        "members",
        "members.b0",
        "members.b0.v1",
        "metadata",
    } & set(columns)
    assert "members.b0.v1.mel" in columns
    assert [row["source"] for row in rows] == ['broken, "x"\n', "a", "b"]
    assert rows[0]["probabilities.mel"] == ""
    assert rows[1]["lesion.box"] == "[1, 2, 3, 4]"
    assert rows[1]["metadata.age"] == "40.0"
    assert rows[2]["metadata.sex"] == "female"


def test_an_empty_table(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(b"")
    write_csv(tmp_path / "r", tmp_path / "t")
    assert (tmp_path / "t").read_text(encoding="utf-8").strip() == ""
