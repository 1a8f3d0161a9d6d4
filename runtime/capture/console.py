"""The loop without a screen: one line that says how things are, and a capture at every Enter.

On a terminal, Enter captures and q ends. Where standard input is no terminal, every line of it
captures; a line may be a JSON object with the patient's fields. The keys of a window capture as
well, and so does a button, where no open screen does it with its form. SIGTERM ends it in order.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING

from rich.console import Console

from runtime.capture.watch import Notifier
from runtime.errors import DermedgeError, InputError
from runtime.screen import print_image

if TYPE_CHECKING:
    from runtime.capture.button import Button
    from runtime.capture.loop import View
    from runtime.capture.preview import Preview
    from runtime.capture.station import Station

TICK_SECONDS, PLAIN_SECONDS = 0.25, 600.0  # between two lines: on a terminal, and in a log
HELP = "Enter captures, q and Enter ends."


def run(
    station: Station,
    headless: bool = False,
    button: Button | None = None,
    preview: Preview | None = None,
) -> None:
    """Until it is ended. What goes wrong with one capture is said, and the loop goes on."""
    console = Console(stderr=True)
    terminal = console.is_terminal and sys.stdin.isatty() and not headless
    if terminal:
        console.print(HELP)
    ended, notifier, status = Event(), Notifier(), _StatusLine(console, terminal)
    with _ended_by_signals(ended, station.store.hurry):
        notifier.ready()
        capture = _Capture(console, station, preview)
        pressed = _Pressed(console, station, button)
        lines = _Lines(None if headless else sys.stdin.fileno(), button)
        while not ended.is_set():
            if station.loop.failed is not None:
                raise station.loop.failed
            # A window waits for itself, for the next frame or a key.
            for line in lines.read(TICK_SECONDS if preview is None else 0.0):
                if line == "q" and terminal:
                    return
                capture(line)
            pressed.look()
            if station.presses.left():
                capture("")
            view = station.loop.view()
            wish = None if preview is None else preview.show(view)
            if wish == "capture":
                capture("")
            if wish == "end":
                return
            if status.changed(view):
                station.journal.note("camera", state=view.camera.state, why=view.camera.why)
            status.show(view)
            station.sweep()
            notifier.tick(station.loop, view.camera.state)
        notifier.stopping()


class _StatusLine:
    """On a terminal one line that is always right; elsewhere a line when something has changed."""

    def __init__(self, console: Console, terminal: bool) -> None:
        self._console, self._terminal = console, terminal
        self._state, self._due = "", 0.0

    def changed(self, view: View) -> bool:
        before, self._state = self._state, view.camera.state
        if before != self._state:
            self._due = 0.0
        return before != self._state

    def show(self, view: View) -> None:
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + (TICK_SECONDS if self._terminal else PLAIN_SECONDS)
        text = status_line(view)
        if self._terminal:
            self._console.print(text, end="\r", overflow="crop", no_wrap=True, highlight=False)
        else:
            self._console.print(text, highlight=False, soft_wrap=True)


class _Pressed:
    """A button's presses, and what there is to say of it."""

    def __init__(self, console: Console, station: Station, button: Button | None) -> None:
        self._console, self._station, self._button = console, station, button
        self._told = ""

    def look(self) -> None:
        if self._button is None:
            return
        if self._told != self._button.status:
            self._told = self._button.status
            words = f"Button ({self._button.name}): {self._told}"
            self._console.print(words, markup=False, highlight=False, soft_wrap=True)
            self._station.journal.note("button", name=self._button.name, status=self._told)
        if self._button.was_pressed():
            self._station.presses.note()


class _Capture:
    """One capture, told wherever somebody may look."""

    def __init__(self, console: Console, station: Station, preview: Preview | None) -> None:
        self._console, self._station, self._preview = console, station, preview

    def __call__(self, line: str) -> None:
        try:
            number, captured = self._station.capture(read_patient(line))
        except DermedgeError as error:
            self._console.print(str(error), markup=False, highlight=False)
            if self._preview is not None:
                self._preview.not_captured(error.one_line)
            return
        out = Console()
        print_image(out, captured.analysis.result, self._station.bundle)
        out.print(f"Kept as capture {number}.")
        if self._preview is not None:
            self._preview.captured(number, captured)


def read_patient(line: str) -> dict[str, object]:
    if not line.strip():
        return {}
    try:
        fields = json.loads(line)
    except ValueError as exc:
        raise InputError(
            "A line that is not empty holds the patient's fields.",
            got=line[:80],
            expected='{"patient": "p17", "age": 61, "sex": "female", "site": "back"}',
        ) from exc
    if not isinstance(fields, Mapping):
        raise InputError("The patient's fields are an object.", got=type(fields).__name__)
    return dict(fields)


def status_line(view: View) -> str:
    camera, counts = view.camera, view.camera.counts
    parts: list[str] = [camera.state]
    if camera.why:
        parts.append(camera.why)
    elif view.look is not None:
        parts.append("; ".join(view.look.hints) or "ready")
        parts.append(f"{view.looks_per_second:.0f} looks a second")
    parts.append(
        f"{counts.received:,} frames: {counts.good:,} good, {counts.rejected:,} rejected, "
        f"{counts.dropped:,} passed over"
    )
    return ", ".join(parts)


@contextmanager
def _ended_by_signals(ended: Event, hurry: Callable[[], None]) -> Iterator[None]:
    """However it ends, nothing waits from then on: whoever stops a service does not wait long."""

    def end(*_: object) -> None:
        ended.set()
        hurry()

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        hurry()
        signal.signal(signal.SIGTERM, before)


class _Lines:
    """Whole lines of a descriptor, without waiting for one that is not there.

    Without a descriptor, as under systemd, there are none. A button that is pressed ends the wait.
    """

    def __init__(self, descriptor: int | None, button: Button | None) -> None:
        self._descriptor, self._held = descriptor, b""
        self._button: tuple[Button, ...] = () if button is None else (button,)

    def read(self, seconds: float) -> list[str]:
        waited: list[int | Button] = [*self._button]
        waited += [] if self._descriptor is None else [self._descriptor]
        ready, _, _ = select.select(waited, [], [], seconds)
        if self._descriptor is None or self._descriptor not in ready:
            return []
        data = os.read(self._descriptor, 1 << 16)
        if not data:
            self._descriptor = None
        *lines, self._held = (self._held + data).split(b"\n")
        return [line.decode("utf-8", "replace").strip() for line in lines]
