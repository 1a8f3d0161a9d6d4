"""What is too old or too much in a store, told by its tables alone: no picture is looked at.

A loop asks every minute, and when it starts, of a store that may hold years.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.store.store import Limits

JUST_NOW = timedelta(minutes=1)  # somebody may still look at it
BATCH = 200  # captures that are removed in one transaction: each waits for the disk


def beyond_limits(base: sqlite3.Connection, limits: Limits) -> list[tuple[int, str]]:
    """Number and picture of the captures that have to go, the oldest first."""
    used, first, newest = base.execute(
        "SELECT coalesce(sum(bytes), 0), min(time), max(number) FROM captures"
        " WHERE image IS NOT NULL"
    ).fetchone()
    now = datetime.now(timezone.utc)
    oldest = "" if limits.days is None else (now - timedelta(days=limits.days)).isoformat()
    excess = 0.0 if limits.megabytes is None else used - limits.megabytes * 1e6
    if newest is None or (excess <= 0 and first >= oldest):
        return []
    just = (now - JUST_NOW).isoformat()
    beyond = []
    for number, time, image, size in base.execute(
        "SELECT number, time, image, bytes FROM captures WHERE image IS NOT NULL ORDER BY number"
    ):
        if number == newest and time > just:
            break  # it may have just been acknowledged
        if excess > 0 or time < oldest:
            beyond.append((number, image))
            excess -= size or 0
    return beyond


def measure(base: sqlite3.Connection, size_of: Callable[[str], int]) -> None:
    """How large those are that were kept before their size was noted."""
    rows = base.execute(
        "SELECT number, image FROM captures WHERE image IS NOT NULL AND bytes IS NULL"
    ).fetchall()
    sizes = [(size_of(image), number) for number, image in rows]
    base.executemany("UPDATE captures SET bytes = ? WHERE number = ?", sizes)
