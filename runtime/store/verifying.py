"""Whether a store is as its audit log says: the chain, every record, every picture."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from runtime.store import audit
from runtime.store.pictures import PictureLost, Pictures

PARTS = ("record", "patient", "outline")


def problems(base: sqlite3.Connection, pictures: Pictures) -> Iterator[str]:
    told: dict[int, dict[str, Any]] = {}  # what the log says of each capture
    removed: set[int] = set()
    sessions: dict[str, tuple[str, str | None, object]] = {}  # begun, ended, facts
    previous = audit.START
    for number, (entry, written) in enumerate(audit.entries(base), start=1):
        if entry.number != number or entry.previous != previous or entry.hash != written:
            yield f"audit entry {entry.number}: the chain is broken, something was changed"
            return  # what follows proves nothing
        previous = written
        detail = json.loads(entry.detail)
        if entry.event == "captured":
            told[detail["capture"]] = {**detail, "time": entry.time}
        elif entry.event == "removed":
            removed.add(detail["capture"])
        elif entry.event == "session begun":
            sessions[detail["session"]] = (entry.time, None, detail["facts"])
        elif entry.event == "session ended":
            begun, _, facts = sessions[detail["session"]]
            sessions[detail["session"]] = (begun, entry.time, facts)
    yield from _sessions(base, sessions)
    yield from _captures(base, pictures, told, removed)


def _sessions(
    base: sqlite3.Connection, told: dict[str, tuple[str, str | None, object]]
) -> Iterator[str]:
    rows = base.execute("SELECT id, started, ended, facts FROM sessions").fetchall()
    there = {name: (started, ended, json.loads(facts)) for name, started, ended, facts in rows}
    for name in sorted(told.keys() | there.keys()):
        if told.get(name) != there.get(name):
            yield f"session {name[:8]}: it is not as the audit log says"


def _captures(
    base: sqlite3.Connection,
    pictures: Pictures,
    told: dict[int, dict[str, Any]],
    removed: set[int],
) -> Iterator[str]:
    found = set()
    for number, session, time, image, *stored in base.execute(
        f"SELECT number, session, time, image, {', '.join(PARTS)} FROM captures ORDER BY number"
    ):
        found.add(number)
        detail = told.get(number)
        if detail is None:
            yield f"capture {number}: the audit log does not know it"
        elif (session, time) != (detail["session"], detail["time"]):
            yield f"capture {number}: its session or its time was changed"
        elif number in removed:
            if any(content is not None for content in (image, *stored)):
                yield f"capture {number}: the log says it was removed, and it is there"
        elif image != detail["picture"]:
            yield f"capture {number}: it has another picture than was captured"
        else:
            for part, content in zip(PARTS, stored, strict=True):
                if content is None or hashlib.sha256(content).hexdigest() != detail[part]:
                    yield f"capture {number}: its {part} was changed"
            yield from _picture(pictures, number, image)
    for number in sorted(told.keys() - found):
        yield f"capture {number}: it is gone, and the log does not say why"


def _picture(pictures: Pictures, number: int, name: str) -> Iterator[str]:
    try:
        pictures.read_whole(name)
    except PictureLost as lost:
        yield f"capture {number}: {lost}"
