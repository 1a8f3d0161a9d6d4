"""A button's presses. Where a screen is open, it has the patient's form, and so it captures.

A button knows no patient. A press is offered to the open screens for a moment, and the first that
takes it captures with its form; where there is none, or none answers, it is captured without one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

OFFER_SECONDS = 1.0  # a screen that sleeps must not cost a capture


class Presses:
    def __init__(self) -> None:
        self._lock = Lock()
        self._screens = 0
        self._offered: float | None = None  # since when
        self.number = 0  # of the last press

    @contextmanager
    def watched(self) -> Iterator[None]:
        """By a screen, as long as it is open."""
        with self._lock:
            self._screens += 1
        try:
            yield
        finally:
            with self._lock:
                self._screens -= 1

    def note(self) -> None:
        with self._lock:
            self.number += 1
            self._offered = time.monotonic()

    def take(self, number: int) -> bool:
        """Whether that press is for the screen that asks: the first one, and in time."""
        with self._lock:
            there = self._offered is not None and number == self.number
            if there:
                self._offered = None
            return there

    def left(self) -> bool:
        """Whether there is one that no screen takes; it is then for whoever asked this."""
        with self._lock:
            if self._offered is None:
                return False
            if self._screens and time.monotonic() - self._offered < OFFER_SECONDS:
                return False
            self._offered = None
            return True
