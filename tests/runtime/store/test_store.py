"""Captures in a store: what was acknowledged is there, what was changed is noticed."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import UsageError
from runtime.record import Result
from runtime.store import pictures
from runtime.store.database import StoreBroken, connect, transaction
from runtime.store.store import Limits, Store
from runtime.whole_file import PARTIAL

FACTS = {"bundle": "tiny 1", "camera": "synthetic"}
ROOMY = Limits(free_mb=0)


def result(score: float = 0.5) -> Result:
    return Result(status="ok", score=score, probabilities={"melanoma": score}, refer=True)


def fill(store: Store, count: int = 3) -> str:
    session = store.begin(FACTS)
    for number in range(count):
        store.add(session, b"picture %d" % number, result(number / 10), {"patient": f"p{number}"})
    return session


def test_what_was_kept_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    with Store(tmp_path / "s", limits=ROOMY) as store:
        session = fill(store)
        store.end(session)
    with Store(tmp_path / "s", writable=False) as store:
        captures = store.captures(session)
        assert [c.number for c in captures] == [1, 2, 3]
        assert [(c.record or {})["score"] for c in captures] == [0.0, 0.1, 0.2]
        assert [c.patient for c in captures] == [{"patient": f"p{n}"} for n in range(3)]
        assert store.picture(captures[1].image or "") == b"picture 1"
        assert [c.number for c in store.captures(newest=2)] == [2, 3]
        assert store.capture(9) is None
        (listed,) = store.sessions()
        assert (listed["captures"], listed["facts"]) == (3, FACTS)
        assert listed["ended"]
        assert list(store.problems()) == []


def test_the_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir(mode=0o755)
    with Store(tmp_path / "s", limits=ROOMY) as store:
        fill(store)
    assert (tmp_path / "s").stat().st_mode & 0o077 == 0
    kept = [*(tmp_path / "s").rglob("*.picture"), *(tmp_path / "s").glob("store.db*")]
    assert len(kept) >= 4
    assert all(file.stat().st_mode & 0o077 == 0 for file in kept)


def test_with_a_key_nothing_can_be_read_without_it(tmp_path: Path, key: Path) -> None:
    with Store(tmp_path / "s", key, ROOMY) as store:
        session = store.begin(FACTS)
        store.add(session, b"a picture of Ann", result(), {"patient": "Ann", "note": "Ann's arm"})
        first = store.captures()
        assert (first[0].patient or {})["patient"] == "Ann"
        assert store.picture(first[0].image or "") == b"a picture of Ann"
    for file in (tmp_path / "s").rglob("*"):
        assert not file.is_file() or b"Ann" not in file.read_bytes(), file
    with Store(tmp_path / "s", writable=False) as store:
        assert list(store.problems()) == [], "what is whole can be told without the key"
        with pytest.raises(UsageError, match="encrypted"):
            store.captures()
    with pytest.raises(UsageError, match="encrypted"):
        Store(tmp_path / "s")
    other = tmp_path / "other"
    other.write_bytes(base64.b64encode(os.urandom(32)))
    with pytest.raises(UsageError, match="does not open"):
        Store(tmp_path / "s", other)


def test_a_store_without_a_key_is_not_taken_for_one_with(tmp_path: Path, key: Path) -> None:
    with Store(tmp_path / "s", limits=ROOMY) as store:
        fill(store)
    with pytest.raises(UsageError, match="does not open"):
        Store(tmp_path / "s", key)


@pytest.mark.parametrize("text", [b"", b"short", b"!!!!", base64.b64encode(bytes(16))])
def test_what_is_no_key(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "key").write_bytes(text)
    with pytest.raises(UsageError, match="holds no key") as caught:
        Store(tmp_path / "s", tmp_path / "key")
    assert "urandom" in str(caught.value)


def change(folder: Path, statement: str, *values: Any) -> None:
    base = sqlite3.connect(folder / "store.db")
    base.execute(statement, values)
    base.commit()
    base.close()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE captures SET record = X'7B7D' WHERE number = 2", "capture 2: its record was"),
        ("UPDATE captures SET patient = NULL WHERE number = 3", "capture 3: its patient was"),
        ("UPDATE captures SET image = 'ab' WHERE number = 1", "capture 1: it has another picture"),
        ("DELETE FROM captures WHERE number = 2", "capture 2: it is gone"),
        ("UPDATE captures SET time = '2020' WHERE number = 2", "capture 2: its session or its"),
        ("UPDATE sessions SET facts = '{}'", "session"),
        ("UPDATE sessions SET ended = '2020'", "session"),
        ("UPDATE audit SET detail = '{}' WHERE number = 4", "audit entry 4: the chain is broken"),
        ("DELETE FROM audit WHERE number = 3", "audit entry 4: the chain is broken"),
        (
            "INSERT INTO captures (number, session, time, image, record, patient, outline)"
            " SELECT 9, session, time, image, record, patient, outline FROM captures LIMIT 1",
            "capture 9: the audit log does not know it",
        ),
    ],
)
def test_what_is_changed_behind_its_back_is_noticed(
    tmp_path: Path, statement: str, said: str
) -> None:
    with Store(tmp_path / "s", limits=ROOMY) as store:
        fill(store)
    change(tmp_path / "s", statement)
    with Store(tmp_path / "s", writable=False) as store:
        found = list(store.problems())
    assert len(found) == 1
    assert found[0].startswith(said)


def test_pictures_that_were_changed_or_lost_are_noticed(tmp_path: Path) -> None:
    with Store(tmp_path / "s", limits=ROOMY) as store:
        fill(store)
        names = [c.image or "" for c in store.captures()]
        store.pictures.place(names[0]).write_bytes(b"another")
        store.pictures.place(names[2]).unlink()
        found = list(store.problems())
    assert found == [
        "capture 1: its picture was changed",
        "capture 3: its picture cannot be read (No such file or directory)",
    ]


def test_a_cut_end_shows_in_the_last_hash(tmp_path: Path) -> None:
    with Store(tmp_path / "s", limits=ROOMY) as store:
        fill(store)
        before = store.last_hash()
    change(tmp_path / "s", "DELETE FROM captures WHERE number = 3")
    change(tmp_path / "s", "DELETE FROM audit WHERE number = (SELECT max(number) FROM audit)")
    with Store(tmp_path / "s", writable=False) as store:
        assert list(store.problems()) == []
        assert store.last_hash() != before


def test_one_loop_writes(tmp_path: Path) -> None:
    with Store(tmp_path / "s", limits=ROOMY) as store:
        session = fill(store)
        with pytest.raises(UsageError, match="in use by another loop"):
            Store(tmp_path / "s")
        with Store(tmp_path / "s", writable=False) as reader:
            assert len(reader.captures(session)) == 3


def test_a_picture_of_no_capture_is_swept_away(tmp_path: Path) -> None:
    """What a power cut between the picture and its capture leaves."""
    with Store(tmp_path / "s", limits=ROOMY) as store:
        fill(store)
        store.pictures.add(b"nobody's")
        place = store.pictures.place("ab" * 32)
        part = place.with_name(f".{place.name}{PARTIAL}")
        part.parent.mkdir(exist_ok=True)
        part.write_bytes(b"half")
    with Store(tmp_path / "s") as store:
        assert len(list(store.pictures.names())) == 3
        assert not part.exists()
        assert list(store.problems()) == []


def test_a_full_disk_keeps_nothing_new_and_all_that_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path / "s", limits=Limits(free_mb=1e12)) as store:
        session = store.begin(FACTS)
        with pytest.raises(StoreBroken, match="disk is full") as caught:
            store.add(session, b"x", result(), {})
        assert "nothing was lost" in str(caught.value)
    with Store(tmp_path / "s", limits=ROOMY) as store:
        session = fill(store)

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(pictures.os, "fsync", full)
        with pytest.raises(StoreBroken, match="not kept") as caught:
            store.add(session, b"one more", result(), {})
        assert "No space left" in str(caught.value)
        monkeypatch.undo()
        assert len(store.captures()) == 3
        assert list(store.problems()) == []
        assert len(list(store.pictures.names())) == 3
        assert not list((tmp_path / "s").rglob("*.part"))


def test_a_commit_that_fails_leaves_nothing_open(tmp_path: Path) -> None:
    base = connect(tmp_path / "store.db")
    late = "REFERENCES facts (name) DEFERRABLE INITIALLY DEFERRED"
    base.execute(f"CREATE TABLE later (name TEXT {late})")  # looked at by COMMIT alone
    with pytest.raises(sqlite3.IntegrityError), transaction(base):
        base.execute("INSERT INTO later VALUES ('nobody')")
    with transaction(base):
        base.execute("INSERT INTO later VALUES ('schema')")
    assert base.execute("SELECT name FROM later").fetchall() == [("schema",)]
    base.close()


def test_a_locked_database_refuses_the_capture_and_takes_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.store.database.BUSY_SECONDS", 0.1)
    with Store(tmp_path / "s", limits=ROOMY) as store:
        session = fill(store)
        other = sqlite3.connect(tmp_path / "s" / "store.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBroken, match="not kept") as caught:
            store.add(session, b"one more", result(), {})
        assert "locked" in str(caught.value)
        other.execute("ROLLBACK")
        other.close()
        assert store.add(session, b"one more", result(), {}) == 4
        assert list(store.problems()) == []


def test_the_oldest_go_when_there_is_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path / "s", limits=Limits(megabytes=25e-6, free_mb=0)) as store:
        session = fill(store, 4)  # nine bytes each
        assert store.apply_limits() == 2
        assert store.apply_limits() == 0
        kept = store.captures(session)
        assert [c.image is not None for c in kept] == [False, False, True, True]
        assert [c.patient for c in kept[:2]] == [None, None]
        assert len(list(store.pictures.names())) == 2
        assert list(store.problems()) == [], "a removal stands in the log"
    with Store(tmp_path / "s", limits=Limits(days=0, megabytes=0, free_mb=0)) as store:
        assert store.apply_limits() == 1
        (left,) = [c for c in store.captures() if c.image]
        assert left.number == 4, "the newest may have just been acknowledged"
        monkeypatch.setattr("runtime.store.retention.JUST_NOW", timedelta(0))
        assert store.apply_limits() == 1
        assert not any(capture.image for capture in store.captures())


def test_a_picture_of_two_captures_goes_with_the_second(tmp_path: Path) -> None:
    with Store(tmp_path / "s", limits=Limits(megabytes=8e-6, free_mb=0)) as store:
        session = store.begin(FACTS)
        for _ in range(2):
            store.add(session, b"the same", result(), {})
        assert store.apply_limits() == 1
        (left,) = [c for c in store.captures() if c.image]
        assert store.picture(left.image or "") == b"the same"
        assert list(store.problems()) == []


@pytest.mark.parametrize("left", [None, b""])
def test_pictures_without_their_store_are_not_swept_away(
    tmp_path: Path, left: bytes | None
) -> None:
    """As after a restored backup that left the database out, or a disk that lost it."""
    folder = tmp_path / "s"
    with Store(folder, limits=ROOMY) as store:
        fill(store)
    whole = (folder / "store.db").read_bytes()
    for file in folder.glob("store.db*"):
        file.unlink()
    if left is not None:
        (folder / "store.db").write_bytes(left)
    for _ in range(2):
        with pytest.raises(UsageError, match="is missing or empty") as caught:
            Store(folder)
        assert "put it back" in str(caught.value)
    assert len(list((folder / "pictures").rglob("*.picture"))) == 3
    (folder / "store.db").write_bytes(whole)
    with Store(folder) as store:
        assert list(store.problems()) == []
        assert len(store.captures()) == 3


def test_what_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no captured sessions"):
        Store(tmp_path / "none", writable=False)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="cannot be used"):
        Store(tmp_path / "file")
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "store.db").write_bytes(b"no database, and long enough to be looked at" * 50)
    with pytest.raises(UsageError, match="cannot be used"):
        Store(tmp_path / "s")
    with Store(tmp_path / "t", limits=ROOMY) as store:
        fill(store)
    change(tmp_path / "t", "UPDATE facts SET value = X'39' WHERE name = 'schema'")
    with pytest.raises(UsageError, match="another dermedge"):
        Store(tmp_path / "t")


def test_records_are_what_the_contract_says(tmp_path: Path) -> None:
    with Store(tmp_path / "s", limits=ROOMY) as store:
        session = store.begin(FACTS)
        store.add(session, b"x", result(), {})
        (capture,) = store.captures()
    assert capture.record == json.loads(result().to_json())
    assert capture.image == hashlib.sha256(b"x").hexdigest()


def test_a_session_that_was_broken_off_goes_on(tmp_path: Path) -> None:
    facts = {"bundle": "b", "camera": "c"}
    with Store(tmp_path / "s") as store:
        broken = store.begin(facts)
    with Store(tmp_path / "s") as store:
        assert store.begin(facts) == broken
        assert list(store.problems()) == []
        store.end(broken)
        ended = store.begin(facts)
        assert ended != broken, "that one was ended in order"
        other = store.begin(facts | {"camera": "another"})
        assert other not in (ended, broken)


def test_a_session_of_yesterday_does_not_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path / "s") as store:
        broken = store.begin({})
    monkeypatch.setattr("runtime.store.store.GOES_ON", timedelta(0))
    with Store(tmp_path / "s") as store:
        assert store.begin({}) != broken
