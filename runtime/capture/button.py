"""A button that captures, beside the keys and the screen: `--button` as a user writes it.

auto                      the camera's own
evdev:/dev/input/eventN   a foot pedal, or any other device with keys
gpio:gpiochip0/17         a contact between a line of the board and ground

A thread waits for it. A button that is unplugged is looked for again until it is back: the loop
goes on without it.
"""

from __future__ import annotations

import os
import time
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from runtime.capture.loop import LATE_SECONDS
from runtime.closing import Closing
from runtime.errors import DermedgeError, UsageError

if TYPE_CHECKING:
    from typing_extensions import Self

TICK_SECONDS = 0.2  # after which a thread sees that it is to end
AGAIN_SECONDS = 1.0  # between two looks for a button that is not there
READY = "ready"
FORMS = "auto, evdev:/dev/input/eventN or gpio:CHIP/LINE"


class ButtonGone(DermedgeError):
    """It is not there, or not any more: it is looked for again."""


class Contact(Closing):
    """A button that is there."""

    @abstractmethod
    def pressed(self, seconds: float) -> bool:
        """Wait that long for a press. ButtonGone or OSError where there will be none."""


@dataclass
class Button(Closing):
    """`fileno` can be read from when there was a press. Use it in a `with`."""

    name: str
    opened: Callable[[], Contact]
    again: float = AGAIN_SECONDS
    status: str = "looked for"  # or READY, or why there is none
    _pressed: float | None = None
    _lock: Lock = field(default_factory=Lock)
    _closing: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self._word = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = Thread(target=self._run, name="button", daemon=True)

    def fileno(self) -> int:
        return self._word

    def was_pressed(self) -> bool:
        """Since it was last asked. Several presses in a row are one wish; an old one is none."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._word)
        with self._lock:
            pressed, self._pressed = self._pressed, None
        return pressed is not None and time.monotonic() - pressed <= LATE_SECONDS

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                with self.opened() as contact:
                    self.status = READY
                    self._watch(contact)
            except ButtonGone as error:
                self.status = error.one_line
            except OSError as error:
                self.status = error.strerror or str(error)
            self._closing.wait(self.again)

    def _watch(self, contact: Contact) -> None:
        while not self._closing.is_set():
            if contact.pressed(TICK_SECONDS):
                with self._lock:
                    self._pressed = time.monotonic()
                os.eventfd_write(self._word, 1)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        os.close(self._word)


def parse_button(given: str, bus_of_camera: Callable[[], str | None]) -> Button:
    """Each kind's module is imported when it is asked for; a library that it lacks is said now."""
    kind, _, rest = given.partition(":")
    if given == "auto":
        from runtime.capture import input_button

        input_button.library()
        return Button("the camera's button", lambda: input_button.of_camera(bus_of_camera()))
    if kind == "evdev" and rest.startswith("/"):
        from runtime.capture import input_button

        input_button.library()
        return Button(rest, lambda: input_button.any_key(rest))
    chip, _, line = rest.rpartition("/")
    if kind == "gpio" and chip and line:
        from runtime.capture import gpio_button

        gpio_button.library()
        return Button(f"{chip}, line {line}", lambda: gpio_button.opened(chip, line))
    raise UsageError(
        "--button does not name a button.",
        got=given,
        expected=FORMS,
        remedy="ls /dev/input/by-id  lists pedals and keyboards, gpioinfo the lines of a board",
    )
