"""A button without hardware: what counts as a press, and how one that is gone comes back.

With the kernel's own input devices and lines: tests/vm/test_buttons.py.
"""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Event
from types import SimpleNamespace

import pytest

from runtime.capture.button import READY, Button, ButtonGone, Contact, parse_button
from runtime.capture.gpio_button import MOST_EDGES, LineContact
from runtime.errors import BackendError, UsageError
from tests.runtime.capture.waiting import PATIENT_SECONDS, until


class Played(Contact):
    """Gives what it is told to: True is a press, an error is raised."""

    def __init__(self, words: SimpleQueue[bool | Exception]) -> None:
        self._words = words
        self.closed = False

    def pressed(self, seconds: float) -> bool:
        try:
            word = self._words.get(timeout=seconds)
        except Empty:
            return False
        if isinstance(word, Exception):
            raise word
        return word

    def close(self) -> None:
        self.closed = True


@contextmanager
def playing() -> Iterator[tuple[Button, SimpleQueue[bool | Exception], list[Played]]]:
    words: SimpleQueue[bool | Exception] = SimpleQueue()
    opened: list[Played] = []

    def open_() -> Contact:
        opened.append(Played(words))
        return opened[-1]

    with Button("a button", open_, again=0.01) as button:
        yield button, words, opened
    assert opened[-1].closed


def waits(button: Button, seconds: float) -> bool:
    return bool(select.select([button], [], [], seconds)[0])


def test_a_press_ends_a_wait_and_counts_once() -> None:
    with playing() as (button, words, _):
        until(lambda: button.status == READY, button.status)
        assert not waits(button, 0.0)
        assert not button.was_pressed()
        words.put(True)
        assert waits(button, PATIENT_SECONDS)
        assert button.was_pressed()
        assert not button.was_pressed()
        assert not waits(button, 0.0)


def test_presses_while_nobody_looks_are_one_wish() -> None:
    with playing() as (button, words, _):
        for _ in range(3):
            words.put(True)
        until(words.empty, "it does not listen")
        assert waits(button, PATIENT_SECONDS)
        assert button.was_pressed()
        assert not button.was_pressed()


def test_a_press_of_long_ago_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks were busy: by now something else may be in sight."""
    monkeypatch.setattr("runtime.capture.button.LATE_SECONDS", 0.05)
    with playing() as (button, words, _):
        words.put(True)
        assert waits(button, PATIENT_SECONDS)
        time.sleep(0.1)
        assert not button.was_pressed()


def test_an_unplugged_button_is_looked_for_until_it_is_back() -> None:
    with playing() as (button, words, opened):
        until(lambda: button.status == READY, button.status)
        words.put(OSError(19, "No such device"))
        until(lambda: len(opened) == 2, "it is not looked for")
        assert opened[0].closed
        until(lambda: button.status == READY, button.status)
        words.put(True)
        assert waits(button, PATIENT_SECONDS)
        assert button.was_pressed()


def test_one_that_was_never_there_says_why() -> None:
    tried = Event()

    def open_() -> Contact:
        tried.set()
        raise ButtonGone("There is no pedal.", expected="one")

    with Button("pedal", open_, again=0.01) as button:
        assert tried.wait(PATIENT_SECONDS)
        until(lambda: button.status == "There is no pedal; expected one", button.status)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("auto", "the camera's button"),
        ("evdev:/dev/input/by-path/pci-0:1-event-kbd", "/dev/input/by-path/pci-0:1-event-kbd"),
        ("gpio:gpiochip0/17", "gpiochip0, line 17"),
        ("gpio:/dev/gpiochip1/PAC.06", "/dev/gpiochip1, line PAC.06"),
    ],
)
def test_forms(given: str, name: str) -> None:
    pytest.importorskip("evdev")
    pytest.importorskip("gpiod")
    assert parse_button(given, lambda: None).name == name


@pytest.mark.parametrize(
    "given", ["", "7", "evdev:", "evdev:event0", "gpio:17", "gpio:a/", "usb:1"]
)
def test_what_names_no_button(given: str) -> None:
    with pytest.raises(UsageError, match="does not name a button") as caught:
        parse_button(given, lambda: None)
    assert "gpio:CHIP/LINE" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "missing"),
    [("auto", "evdev"), ("evdev:/dev/input/event0", "evdev"), ("gpio:a/1", "gpiod")],
)
def test_a_missing_library_is_said_at_once(
    given: str, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(BackendError, match=missing) as caught:
        parse_button(given, lambda: None)
    assert "dermedge[camera]" in str(caught.value)


class Line:
    """A line whose level follows a script: the levels between its edges."""

    def __init__(self, levels: list[bool]) -> None:
        gpiod = pytest.importorskip("gpiod")
        self._words = {False: gpiod.line.Value.INACTIVE, True: gpiod.line.Value.ACTIVE}
        self._levels, self._edges, self.down = levels, 0, False

    def edges(self, levels: list[bool]) -> None:
        self._levels = levels

    def wait_edge_events(self, seconds: float) -> bool:
        return bool(self._levels)

    def read_edge_events(self, most: int) -> list[object]:
        self.down = self._levels.pop(0)
        return [SimpleNamespace()]

    def get_value(self, line: int | str) -> object:
        return self._words[self.down]


DOWN, UP = True, False


@pytest.mark.parametrize(
    ("levels", "presses"),
    [
        ([DOWN], 1),
        ([DOWN, UP, DOWN, UP, DOWN], 1),  # a contact that bounces
        ([DOWN, UP], 0),  # a spike
        ([], 0),
        ([DOWN, UP] * MOST_EDGES, 0),  # never steady
    ],
)
def test_a_line_is_pressed_when_it_has_become_steady(levels: list[bool], presses: int) -> None:
    contact = LineContact(Line(levels), 3)  # type: ignore[arg-type]
    assert contact.pressed(0.0) == bool(presses)
    assert not contact.pressed(0.0) or levels == []


def test_letting_go_is_no_press_however_it_bounces() -> None:
    line = Line([DOWN])
    contact = LineContact(line, 3)  # type: ignore[arg-type]
    assert contact.pressed(0.0)
    line.edges([UP, DOWN, UP])
    assert not contact.pressed(0.0)
    line.edges([UP, DOWN])  # a spike while it was down would be none either
    assert contact.pressed(0.0)
    line.edges([UP, DOWN])
    assert not contact.pressed(0.0)
