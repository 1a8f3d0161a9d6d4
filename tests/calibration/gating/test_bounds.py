"""Bounds by hand, by their definition, and by how often they are wrong."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.gating.bounds import (
    LEVEL,
    binomial_upper,
    loss_bound,
    positives_needed,
    score_upper,
)


def test_none_lost_is_the_rule_of_three() -> None:
    assert binomial_upper(0, 299) == pytest.approx(1 - 0.05 ** (1 / 299))
    assert binomial_upper(0, 1000) == pytest.approx(3 / 1000, rel=0.01)
    assert binomial_upper(7, 7) == 1.0


@pytest.mark.parametrize(("hits", "count"), [(1, 20), (3, 404), (12, 60)])
def test_the_binomial_bound_is_what_it_says(hits: int, count: int) -> None:
    """At the bound so few hits have a chance of exactly one in twenty."""
    p = binomial_upper(hits, count)
    chance = sum(comb(count, k) * p**k * (1 - p) ** (count - k) for k in range(hits + 1))
    assert chance == pytest.approx(0.05)


def test_the_score_bound_without_flips_has_a_closed_form() -> None:
    z2 = 1.6448536269514722**2
    assert score_upper(0, 0, 268) == pytest.approx(z2 / (268 + z2))
    assert score_upper(0, 0, 0) == 1.0


def test_what_a_loss_of_one_percent_takes() -> None:
    assert positives_needed(0.01) == 299
    assert loss_bound(0, 0, 299) <= 0.01 < loss_bound(0, 0, 298)
    assert positives_needed(0.05) == 59
    more = positives_needed(0.01, lost=1, gained=0, count=404)
    assert more is not None
    assert more > 404
    assert positives_needed(0.01, lost=10, gained=0, count=404) is None
    assert positives_needed(0.0) is None


COUNTS = st.integers(1, 3000)


@given(COUNTS, st.integers(0, 40), st.integers(0, 40))
def test_losing_one_more_is_never_better(count: int, lost: int, gained: int) -> None:
    if lost + gained < count:
        before, after = (loss_bound(lost + more, gained, count) for more in (0, 1))
        assert before <= after + 1e-12
        assert before >= (lost - gained) / count


@given(COUNTS, st.integers(0, 40))
def test_gains_never_buy_more_than_a_clean_sheet(count: int, gained: int) -> None:
    if gained <= count:
        assert loss_bound(0, gained, count) >= loss_bound(0, 0, count)


@given(st.floats(0.001, 0.5))
def test_needed_is_the_fewest(limit: float) -> None:
    needed = positives_needed(limit)
    assert needed is not None
    assert loss_bound(0, 0, needed) <= limit < loss_bound(0, 0, needed - 1)


@pytest.mark.parametrize("loss", [0.01, 0.02])
@pytest.mark.parametrize("count", [300, 404])
@pytest.mark.parametrize("gains", [0.0, 0.002, 0.01, 0.05])
def test_a_candidate_at_the_limit_is_believed_one_time_in_twenty(
    loss: float, count: int, gains: float
) -> None:
    rng = np.random.default_rng(7)
    shares = [loss + gains, gains, 1 - loss - 2 * gains]
    drawn, times = np.unique(rng.multinomial(count, shares, size=20_000), axis=0,
                             return_counts=True)  # fmt: skip
    bounds = np.array([loss_bound(int(lost), int(gained), count) for lost, gained, _ in drawn])
    assert times[bounds < loss].sum() / times.sum() < 1 - LEVEL + 0.005
