"""What is printed of one picture: numbers only where they count."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from runtime.record import Result, Status
from runtime.screen import print_image
from tests.runtime.test_decision import bundle


def printed(status: Status) -> str:
    result = Result(
        status=status,
        reason="Hold the camera still",
        score=0.912,
        threshold=0.5,
        probabilities={"melanoma": 0.912, "nevus": 0.088},
        members={"a": {"melanoma": 0.9}, "b": {"melanoma": 0.924}},
        disagreement=0.012,
        timing_ms={"total": 12.0},
    )
    out = io.StringIO()
    print_image(Console(file=out, width=200), result, bundle())
    return out.getvalue()


@pytest.mark.parametrize("status", ["rejected", "error"])
def test_a_picture_that_is_none_to_judge_has_no_numbers(status: Status) -> None:
    text = printed(status)
    assert "Hold the camera still" in text
    assert "not a diagnosis" in text
    for number in ("0.912", "0.088", "0.012", "threshold"):
        assert number not in text


def test_a_score_that_is_not_acted_on_is_shown() -> None:
    text = printed("abstained")
    assert "no decision" in text
    assert "0.912  (threshold 0.500)" in text
