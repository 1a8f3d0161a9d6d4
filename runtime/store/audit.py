"""The audit log: every entry holds the hash of the one before, so none can be changed unnoticed.

What it cannot show alone is that its end was cut off: for that, the last hash is kept elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

START = "0" * 64


@dataclass(frozen=True, slots=True)
class Entry:
    number: int
    time: str
    event: str
    detail: str
    previous: str

    @property
    def hash(self) -> str:
        fields = [self.number, self.time, self.event, self.detail, self.previous]
        return hashlib.sha256(json.dumps(fields, ensure_ascii=True).encode()).hexdigest()


def note(base: sqlite3.Connection, time: str, event: str, **detail: object) -> str:
    """Add an entry, in the transaction that does what it tells of."""
    last = base.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
    number, previous = last if last else (0, START)
    text = json.dumps(detail, sort_keys=True, ensure_ascii=True)
    entry = Entry(number + 1, time, event, text, previous)
    base.execute(
        "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?)",
        (entry.number, entry.time, entry.event, entry.detail, entry.previous, entry.hash),
    )
    return entry.hash


def entries(base: sqlite3.Connection) -> Iterator[tuple[Entry, str]]:
    """Each with the hash that is written beside it."""
    rows = base.execute("SELECT number, time, event, detail, previous, hash FROM audit ORDER BY 1")
    for *fields, written in rows:
        yield Entry(*fields), written
