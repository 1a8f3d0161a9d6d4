from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.timings import PERCENTILES, percentile, summarise

SERIES = st.lists(st.floats(0, 1e6), min_size=1, max_size=400)


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 50), (90, 90), (95, 95), (99, 99), (100, 100)]
)
def test_percentiles_of_a_hundred(percent: int, expected: int) -> None:
    assert percentile(range(100, 0, -1), percent) == expected


def test_a_tenth_of_ten_is_one() -> None:
    """In floats (1 - 90/100) * 10 is 0.9999…, and the slowest would pass for the ninth."""
    assert percentile([1, 2, 3, 4, 5, 6, 7, 8, 9, 1000], 90) == 9


def test_a_single_run_is_all_of_them() -> None:
    assert {percentile([7.0], percent) for percent in PERCENTILES} == {7.0}


@given(SERIES)
def test_percentiles_were_seen_and_do_not_fall(values: list[float]) -> None:
    found = [percentile(values, percent) for percent in PERCENTILES]
    assert set(found) <= set(values)
    assert found == sorted(found)


@given(SERIES)
def test_summary_is_within_what_was_seen(values: list[float]) -> None:
    figures = summarise(values)
    assert figures["runs"] == len(values)
    assert figures["min"] <= figures["p50"] <= figures["p99"] <= figures["max"]
    assert figures["cv"] >= 0


def test_scatter() -> None:
    assert summarise([2.0, 2.0])["cv"] == 0
    assert summarise([1.0, 3.0])["cv"] == pytest.approx(0.5)
