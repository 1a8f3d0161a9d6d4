"""Captured sessions on the disk: a capture that was acknowledged is there, whatever happens next.

    STORE/store.db      sessions, captures, the audit log
    STORE/pictures/     what was captured, by the hash of what is stored
    STORE/lock          held by the one loop that writes

First the picture reaches the disk, then, in one transaction, the capture and its entry in the
audit log. What a power cut leaves between the two is a picture that nothing names; the next start
sweeps it away.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from runtime.closing import Closing
from runtime.errors import UsageError
from runtime.store import audit
from runtime.store.database import BUSY_SECONDS, StoreBroken, connect, prepare, transaction
from runtime.store.pictures import Pictures
from runtime.store.retention import BATCH, beyond_limits, measure
from runtime.store.sealing import Seal, read_seal

if TYPE_CHECKING:
    from runtime.record import Result

GOES_ON = timedelta(hours=12)  # since a session began that was broken off
FREE_MB = 200  # of the disk: with less nothing more is captured
COLUMNS = "SELECT number, session, time, image, record, patient, outline FROM captures"
NOT_KEPT = "The capture was not kept."
_CHECK = b"dermedge store"


@dataclass(frozen=True, slots=True)
class Limits:
    """What is older, or more, is removed, the oldest first. None keeps everything."""

    days: float | None = None
    megabytes: float | None = None
    free_mb: float = FREE_MB


@dataclass(frozen=True, slots=True)
class Capture:
    number: int
    session: str
    time: str
    image: str | None
    record: dict[str, Any] | None
    patient: dict[str, Any] | None
    outline: list[list[list[float]]]  # closed curves of x, y in parts of the frame's sides


class Store(Closing):
    """One writer at a time; any number may read beside it."""

    def __init__(
        self,
        folder: Path,
        key_file: Path | None = None,
        limits: Limits | None = None,
        *,
        writable: bool = True,
    ) -> None:
        self.folder, self.limits = folder, limits or Limits()
        self._seal: Seal = read_seal(key_file)
        if not writable and not (folder / "store.db").is_file():
            raise UsageError(f"{folder} holds no captured sessions.", got="no store.db in it")
        self._lock, self._hurried = RLock(), False
        with ExitStack() as stack:
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.pictures = Pictures(folder / "pictures")
                orphans = any(True for _ in self.pictures.names())
                if writable:
                    folder.chmod(0o700)
                    stack.callback(os.close, _lock(folder / "lock"))
                    os.close(os.open(folder / "store.db", os.O_CREAT | os.O_RDWR, 0o600))
            except OSError as exc:
                raise UsageError(
                    f"{folder} cannot be used as a store.", got=exc.strerror or str(exc)
                ) from exc
            self._base = stack.enter_context(closing(connect(folder / "store.db", orphans)))
            if writable:
                self._begin_with_key()
                with self._changes("The store was not opened."):
                    prepare(self._base)
                    measure(self._base, self.pictures.size)
                self._sweep()
            self._open = stack.pop_all()

    def begin(self, facts: Mapping[str, object]) -> str:
        """A session: what ran, on what. Its id.

        One that was broken off, as by a power cut, goes on where the same runs again soon: whoever
        was at the screen finds the captures of before.
        """
        if (broken := self._broken_off(facts)) is not None:
            with self._changes("The session was not begun.") as time:
                audit.note(self._base, time, "session goes on", session=broken)
            return broken
        session = uuid.uuid4().hex
        with self._changes("The session was not begun.") as time:
            self._base.execute(
                "INSERT INTO sessions VALUES (?, ?, NULL, ?)", (session, time, json.dumps(facts))
            )
            audit.note(self._base, time, "session begun", session=session, facts=facts)
        return session

    def _broken_off(self, facts: Mapping[str, object]) -> str | None:
        """The last session, if it was broken off, began lately, and is of the same facts."""
        row = self._base.execute(
            "SELECT id, started, ended, facts FROM sessions ORDER BY rowid DESC LIMIT 1"
        ).fetchone()
        if row is None or row[2] is not None or json.loads(row[3]) != json.loads(json.dumps(facts)):
            return None
        since = datetime.now(timezone.utc) - datetime.fromisoformat(row[1])
        return str(row[0]) if timedelta(0) <= since < GOES_ON else None

    def hurry(self) -> None:
        """From now on nothing waits for a program that holds the database: the loop is to end."""
        self._hurried = True

    def end(self, session: str) -> None:
        with self._changes("The session's end was not noted; its captures are kept.") as time:
            self._base.execute("UPDATE sessions SET ended = ? WHERE id = ?", (time, session))
            audit.note(self._base, time, "session ended", session=session)

    def add(
        self,
        session: str,
        picture: bytes,
        record: Result,
        patient: Mapping[str, object],
        outline: Sequence[object] = (),
    ) -> int:
        """Keep a capture. It is on the disk when its number is returned."""
        self.check_room(len(picture))
        with self._lock:
            sealed = self._seal.close("picture", picture)
            try:
                name = self.pictures.add(sealed)
            except OSError as exc:
                raise _broken(NOT_KEPT, exc.strerror or str(exc)) from exc
            texts = {
                "record": record.to_json(),
                "patient": json.dumps(dict(patient)),
                "outline": json.dumps(outline),
            }
            stored = {what: self._seal.close(what, text.encode()) for what, text in texts.items()}
            with self._changes(NOT_KEPT) as time:
                row = self._base.execute(
                    "INSERT INTO captures (session, time, image, bytes, record, patient, outline)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (session, time, name, len(sealed), *stored.values()),
                )
                number = row.lastrowid or 0
                audit.note(
                    self._base,
                    time,
                    "captured",
                    capture=number,
                    session=session,
                    picture=name,
                    **{what: _sha256(content) for what, content in stored.items()},
                )
        return number

    def check_room(self, needed: int = 0) -> None:
        left = self.free_mb() - needed / 1e6
        if left < self.limits.free_mb:
            raise StoreBroken(
                "The disk is full: nothing more is captured, and nothing was lost.",
                got=f"{max(left, 0):.0f} MB free",
                expected=f"{self.limits.free_mb:.0f} MB",
                remedy="dermedge sessions export, then remove what is no longer needed",
            )

    def free_mb(self) -> float:
        free = os.statvfs(self.folder)
        return free.f_bavail * free.f_frsize / 1e6

    def captures(self, session: str | None = None, newest: int | None = None) -> list[Capture]:
        """In the order they were made; of one session, or all. `newest` takes the last ones."""
        query = COLUMNS + (" WHERE session = ?" if session else "")
        query += " ORDER BY number DESC" + (f" LIMIT {int(newest)}" if newest else "")
        with self._lock:
            rows = self._base.execute(query, (session,) if session else ()).fetchall()
        return [self._opened(row) for row in reversed(rows)]

    def capture(self, number: int) -> Capture | None:
        with self._lock:
            row = self._base.execute(f"{COLUMNS} WHERE number = ?", (number,)).fetchone()
        return None if row is None else self._opened(row)

    def picture(self, name: str) -> bytes:
        return self._seal.open("picture", self.pictures.read(name))

    def whole_picture(self, name: str) -> bytes:
        return self._seal.open("picture", self.pictures.read_whole(name))

    def sessions(self) -> list[dict[str, Any]]:
        """With how many captures were made, and how many of them are removed by now."""
        with self._lock:
            rows = self._base.execute(
                "SELECT id, started, ended, sessions.facts, count(number),"
                " count(number) - count(image) FROM sessions LEFT JOIN captures ON session = id"
                " GROUP BY id ORDER BY started"
            ).fetchall()
        names = ("id", "started", "ended", "facts", "captures", "removed")
        found = [dict(zip(names, row, strict=True)) for row in rows]
        return [{**each, "facts": json.loads(each["facts"])} for each in found]

    def problems(self) -> Iterator[str]:
        """Everything that is not as the audit log says. Needs no key."""
        from runtime.store.verifying import problems

        with self._lock:
            self._base.execute("BEGIN")  # one moment for the log and for what it tells of
            try:
                found = list(problems(self._base, self.pictures))
            finally:
                self._base.execute("COMMIT")
        yield from found

    def last_hash(self) -> str:
        with self._lock:
            row = self._base.execute("SELECT hash FROM audit ORDER BY number DESC").fetchone()
        return row[0] if row else audit.START

    def apply_limits(self) -> int:
        """Remove what is too old or too much. How many captures went."""
        with self._lock:
            beyond = beyond_limits(self._base, self.limits)
        for start in range(0, len(beyond), BATCH):
            self._remove(beyond[start : start + BATCH])  # captures may come between
        return len(beyond)

    def _remove(self, captures: Sequence[tuple[int, str]]) -> None:
        """Their pictures last: those that a power cut leaves are swept away."""
        with self._lock:
            with self._changes("What is beyond the limits was not removed.") as time:
                for number, _ in captures:
                    self._base.execute(
                        "UPDATE captures SET image = NULL, record = NULL, patient = NULL,"
                        " outline = NULL WHERE number = ?",
                        (number,),
                    )
                    audit.note(self._base, time, "removed", capture=number, why="retention")
            for _, image in captures:
                if not self._named(image):
                    self.pictures.remove(image)

    def _named(self, image: str) -> bool:
        query = "SELECT 1 FROM captures WHERE image = ? LIMIT 1"
        return self._base.execute(query, (image,)).fetchone() is not None

    def _sweep(self) -> None:
        self.pictures.drop_parts()
        rows = self._base.execute("SELECT image FROM captures WHERE image IS NOT NULL")
        for name in set(self.pictures.names()).difference(image for (image,) in rows):
            self.pictures.remove(name)

    def check_key(self) -> bool:
        """Whether it has one to check; another than it was made with is an error."""
        with self._lock:
            row = self._base.execute("SELECT value FROM facts WHERE name = 'key'").fetchone()
        if row is not None:
            self._seal.open("check", row[0])
        return row is not None

    def _begin_with_key(self) -> None:
        if not self.check_key():
            with self._changes("The store was not made.") as time:
                value = self._seal.close("check", _CHECK)
                self._base.execute("INSERT INTO facts VALUES ('key', ?)", (value,))
                audit.note(self._base, time, "store made")

    def _opened(self, row: tuple[Any, ...]) -> Capture:
        number, session, time, image, *stored = row
        record, patient, outline = (
            None if content is None else json.loads(self._seal.open(what, content))
            for what, content in zip(("record", "patient", "outline"), stored, strict=True)
        )
        return Capture(number, session, time, image, record, patient, outline or [])

    @contextmanager
    def _changes(self, otherwise: str) -> Iterator[str]:
        """A transaction, and the time that stands in all of it; what to say if there is none."""
        with self._lock:
            try:
                with transaction(self._base, lambda: self._hurried):
                    yield datetime.now(timezone.utc).isoformat()
            except sqlite3.Error as exc:  # only its words say which, before Python 3.11
                locked = "locked" in str(exc)
                raise (_locked(otherwise) if locked else _broken(otherwise, str(exc))) from exc

    def close(self) -> None:
        with self._lock:
            self._open.close()


def _lock(file: Path) -> int:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(descriptor)
        raise UsageError(
            f"{file.parent} is in use by another loop.",
            remedy="stop that one, or name another folder with --store",
        ) from exc
    return descriptor


def _broken(what: str, why: str) -> StoreBroken:
    return StoreBroken(
        what,
        got=why,
        expected="a disk that takes it; what was kept before is safe",
        remedy="dermedge sessions verify",
    )


def _locked(what: str) -> StoreBroken:
    return StoreBroken(
        what,
        got="store.db is locked by another program",
        expected=f"that it lets go within {BUSY_SECONDS:g} s; what was kept before is safe",
        remedy="close that program, then try once more",
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
