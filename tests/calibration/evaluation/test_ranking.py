"""Figures of a ranking against counting by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from calibration.evaluation.ranking import (
    Ranking,
    area,
    area_above,
    average_precision,
    sensitivity_at,
    specificity_at,
)
from tests.calibration.evaluation.made import random_scores
from train.data.metrics import auc

SCORED = st.lists(
    st.tuples(st.booleans(), st.integers(0, 12).map(lambda n: n / 12)), min_size=2, max_size=40
).filter(lambda pairs: 0 < sum(positive for positive, _ in pairs) < len(pairs))


def arrays(pairs: list[tuple[bool, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([p for p, _ in pairs]), np.array([s for _, s in pairs])


def curve(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return Ranking(positive, scores).rates(np.ones((1, len(scores))))


@given(SCORED)
def test_the_area_is_the_auc(pairs: list[tuple[bool, float]]) -> None:
    positive, scores = arrays(pairs)
    found = area(*curve(positive, scores))[0]
    assert found == pytest.approx(auc(positive, scores))
    assert found == pytest.approx(roc_auc_score(positive, scores))


@given(SCORED)
def test_order_is_all_that_counts(pairs: list[tuple[bool, float]]) -> None:
    """Any rising function of the scores and any order of the images give the same."""
    positive, scores = arrays(pairs)
    mixed = np.random.default_rng(0).permutation(len(scores))
    for other in (curve(positive, np.exp(3 * scores)), curve(positive[mixed], scores[mixed])):
        for one, two in zip(curve(positive, scores), other, strict=True):
            np.testing.assert_allclose(one, two)


@given(SCORED)
def test_the_opposite_score_ranks_the_other_way(pairs: list[tuple[bool, float]]) -> None:
    positive, scores = arrays(pairs)
    assert area(*curve(positive, scores))[0] == pytest.approx(
        1 - area(*curve(positive, -scores))[0]
    )


@given(SCORED)
def test_partial_area_is_scikit_learns(pairs: list[tuple[bool, float]]) -> None:
    """Above a sensitivity is below a false positive rate, once the classes change places."""
    positive, scores = arrays(pairs)
    least, found = 0.8, area_above(*curve(positive, scores), 0.8)[0]
    limit = 1 - least
    scaled = roc_auc_score(~positive, -scores, max_fpr=limit)
    smallest = limit**2 / 2
    expected = smallest + (limit - smallest) * (2 * scaled - 1)
    assert found == pytest.approx(expected, abs=1e-9)
    assert 0 <= found <= limit + 1e-12


@given(SCORED)
def test_parts_make_the_whole_area(pairs: list[tuple[bool, float]]) -> None:
    rates = curve(*arrays(pairs))
    assert area_above(*rates, 0.0)[0] == pytest.approx(area(*rates)[0])
    assert area_above(*rates, 0.9)[0] <= area_above(*rates, 0.8)[0] <= area(*rates)[0] + 1e-12


@given(SCORED, st.sampled_from([0.5, 0.8, 0.9, 0.95, 1.0]))
def test_an_operating_point_is_one_that_exists(
    pairs: list[tuple[bool, float]], wanted: float
) -> None:
    """The best over every threshold there is, tried one by one."""
    positive, scores = arrays(pairs)
    rates = curve(positive, scores)
    limits = [*np.unique(scores), np.inf]
    points = [((scores >= t)[positive].mean(), (scores < t)[~positive].mean()) for t in limits]
    specificity = max(sp for se, sp in points if se >= wanted - 1e-9)
    sensitivity = max(se for se, sp in points if sp >= wanted - 1e-9)
    assert specificity_at(*rates, wanted)[0] == pytest.approx(specificity)
    assert sensitivity_at(*rates, wanted)[0] == pytest.approx(sensitivity)


@given(SCORED)
def test_average_precision_is_scikit_learns(pairs: list[tuple[bool, float]]) -> None:
    positive, scores = arrays(pairs)
    counts = Ranking(positive, scores).counts(np.ones((1, len(scores))))
    expected = average_precision_score(positive, scores)
    assert average_precision(*counts)[0] == pytest.approx(expected)


@given(SCORED, st.integers(0, 100))
def test_a_weight_is_a_number_of_copies(pairs: list[tuple[bool, float]], seed: int) -> None:
    positive, scores = arrays(pairs)
    weights = np.random.default_rng(seed).integers(0, 4, len(scores))
    weights[[positive.argmax(), positive.argmin()]] += 1
    copied = curve(np.repeat(positive, weights), np.repeat(scores, weights))
    weighted = Ranking(positive, scores).rates(weights[None].astype(float))
    for measure in (
        area,
        lambda a, b: area_above(a, b, 0.8),
        lambda a, b: specificity_at(a, b, 0.9),
    ):
        assert measure(*weighted)[0] == pytest.approx(measure(*copied)[0])


def test_by_hand() -> None:
    """Two positives among three others: one above all, one above one of them."""
    positive = np.array([True, False, False, True, False])
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    rates = curve(positive, scores)
    assert area(*rates)[0] == pytest.approx(4 / 6)
    assert specificity_at(*rates, 0.95)[0] == pytest.approx(1 / 3)
    assert sensitivity_at(*rates, 0.9)[0] == pytest.approx(1 / 2)
    assert area_above(*rates, 0.8)[0] == pytest.approx(0.2 / 3)


def test_draws_are_rows() -> None:
    scores, positive = random_scores(60)
    weights = np.random.default_rng(1).integers(0, 3, (5, 60)).astype(float)
    together = area(*Ranking(positive, scores).rates(weights))
    alone = [area(*Ranking(positive, scores).rates(row[None]))[0] for row in weights]
    np.testing.assert_allclose(together, alone)
