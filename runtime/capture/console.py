"""The loop without a screen: one line that says how things are, and a capture at every Enter.

On a terminal, Enter captures and q ends. Where standard input is no terminal, every line of it
captures; a line may be a JSON object with the patient's fields. SIGTERM ends it in order.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING

from rich.console import Console

from runtime.capture.keeping import metadata_of
from runtime.capture.loop import Captured, NotCaptured
from runtime.errors import DermedgeError, InputError
from runtime.screen import print_image

if TYPE_CHECKING:
    from runtime.capture.keeping import Keeper
    from runtime.capture.loop import Loop, View

LINE_SECONDS, PLAIN_SECONDS = 0.25, 10.0  # between two lines: on a terminal, and in a log
ANSWER_SECONDS = 60.0
HELP = "Enter captures, q and Enter ends."


def run(loop: Loop, keeper: Keeper, frames: int) -> None:
    """Until it is ended. What goes wrong with one capture is said, and the loop goes on."""
    console = Console(stderr=True)
    terminal = console.is_terminal and sys.stdin.isatty()
    if terminal:
        console.print(HELP)
    ended, due = Event(), time.monotonic()
    with _ended_by_signals(ended):
        lines = _Lines(sys.stdin.fileno())
        while not ended.is_set():
            if loop.failed is not None:
                raise loop.failed
            for line in lines.read(LINE_SECONDS):
                if line == "q" and terminal:
                    return
                _capture(console, loop, keeper, line, frames)
            if time.monotonic() >= due:
                due = time.monotonic() + (LINE_SECONDS if terminal else PLAIN_SECONDS)
                text = status_line(loop.view())
                if terminal:
                    console.print(text, end="\r", overflow="crop", no_wrap=True, highlight=False)
                else:
                    console.print(text, highlight=False, soft_wrap=True)


def _capture(console: Console, loop: Loop, keeper: Keeper, line: str, frames: int) -> None:
    try:
        patient = read_patient(line)
        metadata = metadata_of(patient, loop.chain.bundle.spec)
        answer: Future[Captured] = loop.capture(metadata, frames)
        captured = answer.result(ANSWER_SECONDS)
        number = keeper.keep(captured, patient)
    except (DermedgeError, TimeoutError) as error:
        words = error if isinstance(error, DermedgeError) else NotCaptured("It took too long.")
        console.print(str(words), markup=False, highlight=False)
        return
    out = Console()
    print_image(out, captured.analysis.result, loop.chain.bundle.spec)
    out.print(f"Kept as capture {number}.")


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
    camera, accounts = view.camera, view.accounts
    parts: list[str] = [camera.state]
    if camera.why:
        parts.append(camera.why)
    elif view.look is not None:
        parts.append("; ".join(view.look.hints) or "ready")
        parts.append(f"{view.looks_per_second:.0f} looks a second")
    parts.append(
        f"{accounts.received:,} frames: {accounts.good:,} good, {accounts.rejected:,} rejected, "
        f"{accounts.dropped:,} passed over"
    )
    return ", ".join(parts)


@contextmanager
def _ended_by_signals(ended: Event) -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Lines:
    """Whole lines of a descriptor, without waiting for one that is not there."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._held, self._open = descriptor, b"", True

    def read(self, seconds: float) -> list[str]:
        if not self._open:  # as under systemd: nobody to ask for a capture here
            time.sleep(seconds)
            return []
        if not select.select([self._descriptor], [], [], seconds)[0]:
            return []
        data = os.read(self._descriptor, 1 << 16)
        self._open = bool(data)
        *lines, self._held = (self._held + data).split(b"\n")
        return [line.decode("utf-8", "replace").strip() for line in lines]
