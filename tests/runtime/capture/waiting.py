"""Waiting for something that happens in another process, for as long as a slow machine may take."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENT_SECONDS = 60.0  # nothing is timed by it: it only ends what would never come


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENT_SECONDS
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
