"""The threshold: it reaches its sensitivity where it was chosen, and is judged where it was not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.threshold import choose_threshold, threshold_for
from runtime.errors import UsageError

SCORES = st.floats(0, 1) | st.integers(0, 1000).map(lambda n: float(np.nextafter(n / 1000, 0)))
ROWS = st.lists(st.tuples(SCORES.map(abs), st.booleans()), min_size=1, max_size=60)
GRAIN = 1e-6


@given(ROWS, st.floats(0.5, 0.999))
def test_it_is_the_highest_that_reaches_the_sensitivity(
    rows: list[tuple[float, bool]], sensitivity: float
) -> None:
    scores = np.array([score for score, _ in rows])
    positive = np.array([flag for _, flag in rows])
    positive[0] = True
    threshold = threshold_for(scores, positive, sensitivity)

    def reached(limit: float) -> float:
        return float((scores[positive] >= limit).mean())

    assert 0 <= threshold <= 1
    count = int(positive.sum())
    to_come = min(sensitivity * (count + 1) / count, 1.0)
    assert reached(threshold) >= to_come - 1e-9
    assert reached(json.loads(json.dumps(threshold))) == reached(threshold)
    higher = [s for s in scores[positive] if s > threshold + 2 * GRAIN]
    assert all(reached(limit) < to_come for limit in higher)


@pytest.mark.parametrize("known", [30, 57, 404])
def test_new_positives_reach_it_in_the_mean(known: int) -> None:
    """Over many data sets of so few positives. A threshold that refers 95 % of the known ones
    alone reaches 0.935 where 30 are known, and this fails."""
    rng = np.random.default_rng(known)
    everyone = np.ones(known, dtype=bool)
    chosen = [threshold_for(rng.random(known), everyone, 0.95) for _ in range(20_000)]
    reached = 1 - np.mean(chosen)  # of scores that are spread evenly
    assert reached >= 0.95 - 0.001
    assert reached <= 0.95 + 1 / (known + 1)


def test_a_score_one_bit_below_its_rounding_is_still_referred() -> None:
    """Ten to the six times such a score rounds up, and its threshold must not."""
    for thousandth in range(1, 1000):
        score = float(np.nextafter(thousandth / 1000, 0))
        assert threshold_for(np.array([score]), np.array([True]), 0.9) <= score


def test_by_hand() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.95, 0.1])
    positive = np.array([True] * 5 + [False] * 2)
    for sensitivity, threshold in ((0.5, 0.7), (0.6, 0.6), (0.66, 0.6), (0.67, 0.5), (0.8, 0.5)):
        assert threshold_for(scores, positive, sensitivity) == pytest.approx(threshold, abs=2e-6)


# --- judged on other images ----------------------------------------------------------------------


def cases(count: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, positives, and folds that have nothing to do with either."""
    rng = np.random.default_rng(seed)
    positive = np.arange(count) % 2 == 0
    scores = np.clip(rng.normal(0.4 + 0.25 * positive, 0.15), 0, 1)
    return scores, positive, np.arange(count) // 2 % 5


def test_the_point_counts_what_it_says() -> None:
    scores, positive, folds = cases()
    chosen = choose_threshold(scores, positive, folds, 0.9, "made up")
    point = chosen.point
    assert chosen.value == threshold_for(scores, positive, 0.9)
    assert (point.positives, point.negatives) == (100, 100)
    assert (point.target_sensitivity, point.predictions) == (0.9, "made up")
    assert chosen.interval.low <= chosen.value <= chosen.interval.high
    assert point.sensitivity_interval.low <= point.sensitivity <= point.sensitivity_interval.high
    assert point.specificity_interval.low <= point.specificity <= point.specificity_interval.high
    hits = misses = 0
    for fold in range(5):
        here = folds == fold
        limit = threshold_for(scores[~here], positive[~here], 0.9)
        hits += int((scores[here & positive] >= limit).sum())
        misses += int((scores[here & ~positive] >= limit).sum())
    assert point.sensitivity == hits / 100
    assert point.specificity == 1 - misses / 100


def test_crossing_the_folds_shows_a_sensitivity_that_does_not_hold() -> None:
    """One fold's positives score low: a threshold from the other folds misses them all."""
    scores, positive, folds = cases()
    scores = np.where(positive & (folds == 0), 0.05, scores)
    chosen = choose_threshold(scores, positive, folds, 0.9, "made up")
    on_the_same = (scores[positive] >= chosen.value).mean()
    assert on_the_same >= 0.9
    assert chosen.point.sensitivity <= 0.8
    mixed = np.random.default_rng(0).permutation(folds)
    fair = choose_threshold(scores, positive, mixed, 0.9, "made up")
    assert fair.point.sensitivity > chosen.point.sensitivity
    assert fair.value == chosen.value


def test_all_positives_in_one_fold_are_judged_on_themselves() -> None:
    scores, positive, _ = cases()
    chosen = choose_threshold(scores, positive, positive.astype(int), 0.9, "made up")
    assert chosen.point.sensitivity >= 0.9


@pytest.mark.parametrize(
    ("sensitivity", "needed"), [(0.95, 20), (0.9, 10), (0.5, 2), (0.999, 1000)]
)
def test_too_few_positives_are_refused_with_the_number_needed(
    sensitivity: float, needed: int
) -> None:
    scores = np.linspace(0, 1, needed + 4)
    positive = np.arange(needed + 4) >= 4
    folds = np.arange(needed + 4) % 2
    choose_threshold(scores, positive, folds, sensitivity, "")
    positive[-1] = False
    with pytest.raises(UsageError, match="too few images") as caught:
        choose_threshold(scores, positive, folds, sensitivity, "")
    assert f"{needed - 1} positives" in str(caught.value.got)
    assert f"at least {needed} positives" in str(caught.value.expected)


def test_without_negatives_there_is_no_threshold() -> None:
    with pytest.raises(UsageError, match="too few images"):
        choose_threshold(np.ones(50), np.ones(50, bool), np.arange(50) % 2, 0.9, "")
