"""How a launch is started: as one graph, else call by call, else with a stop after each stage.

A graph costs the host one call a frame. Not every driver and engine can be captured, and not every
one runs beside others; what did not work is told, and the next way is tried, when a chain is opened
and never later.
"""

from __future__ import annotations

from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from runtime.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.device.slot import Slot

Mode = Literal["graph", "enqueue", "staged"]
WAYS: tuple[Mode, ...] = ("graph", "enqueue", "staged")
TRIED_ON = (64, 64, 3)  # a black frame of this shape


class Launcher:
    """Starts what a slot issues. `why` says what was tried before its mode was found."""

    mode: Mode

    def __init__(self, slot: Slot, ways: tuple[Mode, ...] = WAYS) -> None:
        self._slot = slot
        self._cuda = slot.cuda
        self._graphs: dict[str, Any] = {}
        self._parts: dict[str, Callable[[], None]] = {"judge": slot.issue}
        if slot.finds:
            self._parts["find"] = slot.issue_find
        self.why: list[str] = []
        for way in ways:
            try:
                self._try(way)
            except BackendError as error:
                self.why.append(f"{way}: {error.one_line}")
                self.forget()
                with suppress(BackendError):
                    self._slot.lanes.settle()
                if way == ways[-1]:
                    raise
            else:
                self.mode = way
                return

    def _try(self, way: Mode) -> None:
        """Once call by call in any case: engines settle what they need in their first run."""
        self._slot.lanes.in_line = way == "staged"
        self._slot.give([np.zeros(TRIED_ON, np.uint8)], [None])
        for issue in self._parts.values():
            issue()
        self._cuda.synchronize(self._slot.lanes.main)
        if way != "graph":
            return
        self._slot.require_capturable()
        for name in self._parts:
            self._capture(name)
            self.start(name)
        self._cuda.synchronize(self._slot.lanes.main)

    def _capture(self, name: str) -> None:
        with self._cuda.capturing(self._slot.lanes.main) as captured:
            self._parts[name]()
        self._graphs[name] = captured[0]

    def add(self, name: str, issue: Callable[[], None]) -> None:
        """Another part, started in the same way as the rest."""
        self._parts[name] = issue
        if self.mode == "graph":
            self._capture(name)

    def start(self, part: str) -> None:
        """Returns at once; the results are there when the main stream is done."""
        if part in self._graphs:
            self._cuda.start(self._graphs[part], self._slot.lanes.main)
        else:
            self._parts[part]()

    def run_stages(self) -> dict[str, float]:
        """Judged with a stop after each stage: milliseconds of each."""
        times: dict[str, float] = {}
        last = perf_counter()

        def pause(stage: str) -> None:
            nonlocal last
            self._cuda.synchronize(self._slot.lanes.main)
            now = perf_counter()
            times[stage], last = (now - last) * 1e3, now

        self._slot.issue(pause)
        return times

    def forget(self) -> None:
        for graph in self._graphs.values():
            with suppress(BackendError):
                self._cuda.forget(graph)
        self._graphs.clear()
