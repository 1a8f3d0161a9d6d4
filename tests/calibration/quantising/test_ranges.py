"""Where ranges are cut off: histograms that grow, and three methods on distributions one knows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.quantising.ranges import (
    BINS,
    METHODS,
    Magnitudes,
    by_entropy,
    by_minmax,
    by_percentile,
)

RNG = np.random.default_rng(0)


def seen(*batches: np.ndarray) -> Magnitudes:
    made = Magnitudes()
    for batch in batches:
        made.add(batch)
    return made


def test_a_larger_value_later_loses_no_earlier_one() -> None:
    small, large = RNG.random(1000), RNG.random(500) * 100
    made = seen(small, large)
    assert made.counts.sum() == 1500
    assert made.largest == pytest.approx(large.max())
    assert made.range >= made.largest
    below = int(np.ceil(BINS / made.range))  # bins that reach to 1
    assert made.counts[: below + 1].sum() >= 1000


def test_exact_zeros_do_not_count() -> None:
    assert seen(np.zeros(10), np.array([0.0, 2.0])).counts.sum() == 1


def test_minmax_is_the_largest_magnitude() -> None:
    assert by_minmax(seen(np.array([-3.0, 2.0]))) == 3.0


def test_one_wild_value_moves_minmax_and_no_other() -> None:
    """The reason why there are three methods."""
    tame = np.abs(RNG.normal(0, 1, 400_000))
    made = seen(np.append(tame, 1000.0))
    assert by_minmax(made) == 1000.0
    assert by_percentile(made) < 10
    assert by_entropy(made) < 500


def test_what_is_evenly_spread_is_not_cut() -> None:
    made = seen(RNG.random(200_000))
    for name, method in METHODS.items():
        assert method(made) > 0.95, name


@pytest.mark.parametrize("method", METHODS)
def test_a_tensor_that_was_always_zero_has_a_range_of_zero(method: str) -> None:
    assert METHODS[method](seen(np.zeros(5))) == 0.0


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=25)
@given(
    values=st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=50),
    more=st.lists(st.floats(-1e4, 1e4, width=32), max_size=50),
)
def test_no_limit_is_beyond_what_was_seen(
    method: str, values: list[float], more: list[float]
) -> None:
    made = seen(np.array(values), np.array(more))
    largest = max(abs(v) for v in values + more)
    assert 0 <= METHODS[method](made) <= largest
