"""The tables of a store, and connections to them: SQLite, on the disk at every commit."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.errors import DermedgeError, UsageError

SCHEMA = 1
BUSY_SECONDS = 5.0  # that another program may hold the database
SLICE_MS = 200  # of that: then it is looked whether there is still time to wait
CACHE_KB = 256  # SQLite would take 2 MB, little by little, and a store is not asked the same twice
TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE sessions (
    id TEXT PRIMARY KEY, started TEXT NOT NULL, ended TEXT, facts TEXT NOT NULL
) STRICT;
CREATE TABLE captures (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    session TEXT NOT NULL REFERENCES sessions (id),
    time TEXT NOT NULL,
    image TEXT,    -- SHA-256 of the picture as it is stored; NULL once it was removed
    record BLOB,   -- the result record as JSON
    patient BLOB,  -- who and where, as JSON
    outline BLOB   -- the lesion's border as drawn, as JSON
) STRICT;
CREATE INDEX captures_by_session ON captures (session);
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    event TEXT NOT NULL,
    detail TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
"""
# Without it, each look for a picture's captures would read them all. It holds what limits ask for.
BY_IMAGE = """
CREATE INDEX IF NOT EXISTS captures_by_image ON captures (image, time, bytes)
WHERE image IS NOT NULL
"""


class StoreBroken(DermedgeError):
    """The store did not take what it was given. Nothing of it is kept, all before it is."""


def connect(file: Path, orphans: bool = False) -> sqlite3.Connection:
    """An open store, made if there is none. Statements run in transactions of their own.

    Where there are pictures already, `orphans`, their store is missing: a new one would not know
    them, and they would be swept away.
    """
    try:
        base = sqlite3.connect(
            file, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = FULL")
        base.execute("PRAGMA foreign_keys = ON")
        base.execute(f"PRAGMA cache_size = -{CACHE_KB}")
        with transaction(base):
            if not base.execute("SELECT 1 FROM sqlite_master").fetchone():
                if orphans:
                    raise _lost(file)
                for statement in TABLES.split(";\n")[:-1]:
                    base.execute(statement)
                base.execute("INSERT INTO facts VALUES ('schema', ?)", (str(SCHEMA).encode(),))
        _check_schema(base, file)
        base.execute(f"PRAGMA busy_timeout = {SLICE_MS}")
    except sqlite3.Error as exc:
        raise UsageError(
            f"{file} cannot be used.",
            got=str(exc),
            expected="a store that dermedge made, on a disk that can be written",
        ) from exc
    return base


def prepare(base: sqlite3.Connection) -> None:
    """What was added since, in stores of before: who does not know of it is not disturbed."""
    columns = {row[1] for row in base.execute("PRAGMA table_info(captures)")}
    if "bytes" not in columns:
        base.execute("ALTER TABLE captures ADD COLUMN bytes INTEGER")  # of the picture as stored
    base.execute(BY_IMAGE)


@contextmanager
def transaction(
    base: sqlite3.Connection, hurried: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """All of it, or nothing. What is `hurried` waits for no other program any longer."""
    _begin(base, hurried)
    try:
        yield
        base.execute("COMMIT")
    except BaseException:
        if base.in_transaction:
            base.execute("ROLLBACK")
        raise


def _begin(base: sqlite3.Connection, hurried: Callable[[], bool]) -> None:
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            base.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as exc:  # only its words say which, before Python 3.11
            if "locked" not in str(exc) or hurried() or time.monotonic() >= until:
                raise


def _lost(file: Path) -> UsageError:
    return UsageError(
        f"{file} is missing or empty, and there are pictures that it knew.",
        expected="the store.db that belongs to them",
        remedy=f"put it back from a copy; to begin anew, move {file.parent / 'pictures'} elsewhere",
    )


def _check_schema(base: sqlite3.Connection, file: Path) -> None:
    found = base.execute("SELECT value FROM facts WHERE name = 'schema'").fetchone()
    if found is None or found[0] != str(SCHEMA).encode():
        raise UsageError(
            f"{file} is of another dermedge.",
            got=f"schema {found[0].decode() if found else 'unknown'}",
            expected=f"schema {SCHEMA}",
        )
