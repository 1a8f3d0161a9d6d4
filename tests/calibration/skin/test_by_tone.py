"""Figures by tone against counting by hand, and what is said where there is little to count."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from calibration.intervals import wilson
from calibration.skin import shown
from calibration.skin.by_tone import FEW, by_tone
from calibration.skin.palette import palette
from calibration.skin.telling import Told
from tests.calibration.evaluation.made import THRESHOLD, cases_of, judged_of

ROWS = st.lists(st.tuples(st.integers(-1, 17), st.booleans(), st.floats(0.01, 0.99)), max_size=80)


def told_of(tones: Sequence[int]) -> dict[str, Told]:
    """−1 is a tone that cannot be told; every other one is measured."""
    return {
        f"i{row}": Told(palette()[tone], (60.0, 10.0, 15.0) if row % 2 else None)
        for row, tone in enumerate(tones)
        if tone >= 0
    }


@given(ROWS)
def test_counted_by_hand(rows: list[tuple[int, bool, float]]) -> None:
    tones, positive, scores = zip(*rows, strict=True) if rows else ((), (), ())
    told = told_of(tones)
    found = by_tone(cases_of(judged_of(scores, positive)), told)
    assert [row.tone for row in found.rows] == list(palette())
    for place, row in enumerate(found.rows):
        here = [(p, s >= THRESHOLD) for t, p, s in rows if t == place]
        assert row.images == len(here)
        sick = [called for truth, called in here if truth]
        assert (row.sensitivity.hits, row.sensitivity.count) == (sum(sick), len(sick))
        well = [called for truth, called in here if not truth]
        assert (row.specificity.hits, row.specificity.count) == (len(well) - sum(well), len(well))
        assert row.few == (len(sick) < FEW)
        if sick:
            value, low, high = row.sensitivity.ends or (0, 0, 0)
            missed, least, most = row.sensitivity.rest.ends or (0, 0, 0)
            assert value == pytest.approx(sum(sick) / len(sick))
            interval = wilson(sum(sick), len(sick))
            assert (low, high) == (interval.low, interval.high)
            assert (missed, least, most) == pytest.approx((1 - value, 1 - high, 1 - low))
    assert found.made + found.measured + found.unknown == len(rows)
    assert found.unknown == sum(tone < 0 for tone in tones)


def twelve_and_two() -> tuple[list[float], list[bool], list[int]]:
    """Twelve positives on tone R of which three are missed, two on A, one of them."""
    scores = [0.9] * 9 + [0.1] * 3 + [0.9, 0.1] + [0.2] * 6
    positive = [True] * 14 + [False] * 6
    return scores, positive, [17] * 12 + [0] * 2 + [17] * 6


def test_few_are_said_to_be_few() -> None:
    scores, positive, tones = twelve_and_two()
    found = by_tone(cases_of(judged_of(scores, positive)), told_of(tones))
    first, last = found.rows[0].as_dict(), found.rows[-1].as_dict()
    assert (first["few"], last["few"]) == (True, False)
    assert last["sensitivity"] == {**last["sensitivity"], "value": 0.75, "n": 12}  # type: ignore[dict-item]
    assert last["false_negative_rate"] == {**last["false_negative_rate"], "value": 0.25, "n": 12}  # type: ignore[dict-item]
    console = Console(record=True, width=120)
    shown.show(console, found)
    text = console.export_text()
    assert "Fewer than 10 positives: A. These say next to nothing." in text
    assert "0.25 (0.09–0.53)" in text
    page = shown.figures(found)
    assert page.count("few positives") == 1
    assert page.count("no positives") == 16
    picture = shown.drawing(found)
    assert picture.count('class="point"') == 2
    assert picture.count('class="point" opacity="0.4"') == 1


def test_without_a_threshold_nothing_is_found_or_missed() -> None:
    scores, positive, tones = twelve_and_two()
    found = by_tone(cases_of(judged_of(scores, positive, threshold=None)), told_of(tones))
    assert [row.sensitivity.ends for row in found.rows] == [None] * 18
    assert found.rows[-1].images == 18
