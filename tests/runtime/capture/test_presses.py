"""A press has one answer: from a screen that is open, or else from the loop itself."""

from __future__ import annotations

import pytest

from runtime.capture import presses
from runtime.capture.presses import Presses


def test_without_a_screen_the_loop_answers_at_once() -> None:
    pressed = Presses()
    assert not pressed.left()
    pressed.note()
    assert pressed.left()
    assert not pressed.left()
    assert not pressed.take(pressed.number)


def test_the_first_screen_has_it() -> None:
    pressed = Presses()
    with pressed.watched(), pressed.watched():
        pressed.note()
        assert not pressed.left()
        assert not pressed.take(pressed.number + 1)
        assert pressed.take(pressed.number)
        assert not pressed.take(pressed.number)
        assert not pressed.left()


def test_a_screen_that_sleeps_costs_no_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    pressed = Presses()
    with pressed.watched():
        pressed.note()
        monkeypatch.setattr(presses, "OFFER_SECONDS", 0.0)
        assert pressed.left()
        assert not pressed.take(pressed.number), "it wakes up too late"


def test_a_screen_that_was_closed_is_not_waited_for() -> None:
    pressed = Presses()
    with pressed.watched():
        pass
    pressed.note()
    assert pressed.left()


def test_two_presses_before_an_answer_are_one_wish() -> None:
    pressed = Presses()
    with pressed.watched():
        pressed.note()
        pressed.note()
        assert not pressed.take(1)
        assert pressed.take(2)
