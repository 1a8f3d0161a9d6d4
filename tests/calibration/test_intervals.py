"""Wilson's interval against its definition and known values."""

from __future__ import annotations

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.intervals import wilson

Z = 1.959963984540054


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [
        (8, 10, 0.490162, 0.943318),
        (0, 10, 0.0, 0.277533),
        (10, 10, 0.722467, 1.0),
        (81, 263, 0.255289, 0.366237),  # Newcombe 1998, table I
        (15, 148, 0.062386, 0.160533),  # the same
    ],
)
def test_known_values(hits: int, count: int, low: float, high: float) -> None:
    interval = wilson(hits, count)
    assert (interval.low, interval.high) == (
        pytest.approx(low, abs=5e-5),
        pytest.approx(high, abs=5e-5),
    )
    assert interval.level == 0.95


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_end_is_a_proportion_just_z_deviations_away(case: tuple[int, int]) -> None:
    hits, count = case
    interval = wilson(hits, count)
    share = hits / count
    assert 0 <= interval.low <= share + 1e-12
    assert share - 1e-12 <= interval.high <= 1
    for end in (interval.low, interval.high):
        if 1e-9 < end < 1 - 1e-9:
            deviation = sqrt(end * (1 - end) / count)
            assert abs(share - end) == pytest.approx(Z * deviation, rel=1e-6)


@given(st.integers(1, 50), st.integers(0, 50))
def test_more_images_narrow_it_and_more_confidence_widens_it(hits: int, misses: int) -> None:
    one, ten = wilson(hits, hits + misses), wilson(10 * hits, 10 * (hits + misses))
    assert ten.high - ten.low < one.high - one.low
    sure = wilson(hits, hits + misses, level=0.99)
    assert sure.low <= one.low + 1e-12
    assert one.high <= sure.high + 1e-12
