"""Areas and overlaps against scikit-learn's, and what an interval covers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score, roc_auc_score

from train.data.metrics import auc, bootstrap, mean_auc, overlap

# Few values, so that most scores are tied with some other.
ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=80)


@given(ROWS)
def test_auc_is_scikit_learns_with_ties(rows: list[tuple[bool, int]]) -> None:
    positive = np.array([flag for flag, _ in rows])
    scores = np.array([score / 6 for _, score in rows])
    if len(set(positive.tolist())) < 2:
        assert math.isnan(auc(positive, scores))
        return
    assert auc(positive, scores) == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
    assert auc(~positive, scores) == pytest.approx(1 - auc(positive, scores), abs=1e-12)
    assert auc(positive, scores**3) == pytest.approx(auc(positive, scores), abs=1e-12)


def test_auc_by_hand() -> None:
    positive = np.array([True, True, False, False])
    assert auc(positive, np.array([0.9, 0.8, 0.2, 0.1])) == 1
    assert auc(positive, np.array([0.9, 0.2, 0.2, 0.1])) == 3.5 / 4
    assert auc(positive, np.zeros(4)) == 0.5


def test_the_mean_is_over_the_classes_asked_for() -> None:
    rng = np.random.default_rng(0)
    targets, probabilities = rng.integers(0, 3, 90), rng.random((90, 3))
    each = [roc_auc_score(targets == code, probabilities[:, code]) for code in range(3)]
    assert mean_auc(targets, probabilities, [0, 1]) == pytest.approx(np.mean(each[:2]))
    assert mean_auc(targets, probabilities, [2]) == pytest.approx(each[2])


def test_an_interval_is_the_same_each_time() -> None:
    values = np.random.default_rng(0).random(50)

    def measure(rows: np.ndarray) -> float:
        return float(values[rows].mean())

    assert bootstrap(50, measure) == bootstrap(50, measure)
    assert bootstrap(50, measure) != bootstrap(50, measure, seed=1)
    low, high = bootstrap(50, measure)
    narrow = bootstrap(50, measure, level=0.5)
    assert low < narrow[0] < values.mean() < narrow[1] < high


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(40):
        values = rng.normal(size=60)
        low, high = bootstrap(60, lambda rows, v=values: float(v[rows].mean()))
        covered += low <= 0 <= high
    assert 33 <= covered <= 40


def test_undefined_draws_are_left_out() -> None:
    positive = np.array([True] + [False] * 9)
    scores = np.linspace(1, 0, 10)
    low, high = bootstrap(10, lambda rows: auc(positive[rows], scores[rows]))
    assert 0.5 < low <= high == 1
    assert np.isnan(bootstrap(3, lambda rows: float("nan"))).all()


def test_overlap_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    one, two = (rng.integers(0, 2, (9, 7), dtype=np.uint8) for _ in range(2))
    dice, jaccard = overlap(one, two)
    assert dice == pytest.approx(f1_score(one.ravel(), two.ravel()))
    assert jaccard == pytest.approx(jaccard_score(one.ravel(), two.ravel()))


def test_empty_masks_agree_and_a_missed_lesion_is_a_nought() -> None:
    empty = np.zeros((4, 4), np.uint8)
    assert overlap(empty, empty) == (1.0, 1.0)
    assert overlap(np.eye(4, dtype=np.uint8), empty) == (0.0, 0.0)
