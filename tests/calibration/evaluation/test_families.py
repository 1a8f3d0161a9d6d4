"""Each figure by hand on a few images."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, confusion_matrix, f1_score, precision_score

from calibration.evaluation.bootstrap import Family
from calibration.evaluation.families import (
    bins_for,
    calibration_figures,
    class_areas,
    decision_figures,
    equal_mass,
    mask_figures,
    ranking_figures,
)
from tests.calibration.evaluation.made import random_scores
from train.data.metrics import auc, mean_auc


def values(family: Family) -> dict[str, float]:
    return {k: float(v[0]) for k, v in family.of(np.ones((1, len(family.rows)))).items()}


def test_a_threshold_by_hand() -> None:
    positive = np.array([True] * 4 + [False] * 6)
    called = np.array([True, True, True, False, True, True, False, False, False, False])
    family = decision_figures(np.arange(10), positive, called)
    found = values(family)
    assert found["sensitivity"] == pytest.approx(3 / 4)
    assert found["specificity"] == pytest.approx(4 / 6)
    assert found["precision"] == pytest.approx(3 / 5)
    assert found["npv"] == pytest.approx(4 / 5)
    assert found["f1"] == pytest.approx(6 / 9)
    assert found["balanced_accuracy"] == pytest.approx((3 / 4 + 4 / 6) / 2)
    assert found["accuracy"] == pytest.approx(0.7)
    assert found["ppv@0.1"] == pytest.approx(0.075 / (0.075 + 0.3))
    assert found["npv@0.1"] == pytest.approx(0.6 / (0.6 + 0.025))
    assert (family.sizes["sensitivity"], family.sizes["precision"]) == (4, 5)


def test_a_threshold_is_scikit_learns() -> None:
    scores, positive = random_scores(200)
    called = scores >= 0.45
    found = values(decision_figures(np.arange(200), positive, called))
    (left, alarm), (missed, hit) = confusion_matrix(positive, called)
    assert found["precision"] == pytest.approx(precision_score(positive, called))
    assert found["f1"] == pytest.approx(f1_score(positive, called))
    assert found["sensitivity"] == pytest.approx(hit / (hit + missed))
    assert found["specificity"] == pytest.approx(left / (left + alarm))


def test_nothing_called_has_no_precision() -> None:
    with np.errstate(invalid="ignore"):
        found = values(decision_figures(np.arange(4), np.arange(4) < 2, np.zeros(4, bool)))
    assert np.isnan(found["precision"])
    assert found["sensitivity"] == 0


def test_class_areas_and_the_mean_that_training_reports() -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, 90)
    said = rng.dirichlet([1, 1, 1], 90)
    found = values(class_areas(np.arange(90), targets, said, ("a", "b", "c")))
    for code, name in enumerate("abc"):
        assert found[f"auc.{name}"] == pytest.approx(auc(targets == code, said[:, code]))
    assert found["auc.mean"] == pytest.approx(mean_auc(targets, said, [0, 1]))


def test_a_class_without_images_is_left_out_of_the_mean() -> None:
    rng = np.random.default_rng(0)
    targets, said = rng.integers(0, 2, 40) * 2, rng.dirichlet([1, 1, 1], 40)
    found = values(class_areas(np.arange(40), targets, said, ("a", "b", "c")))
    assert np.isnan(found["auc.b"])
    assert found["auc.mean"] == found["auc.a"]


def test_calibration_by_hand() -> None:
    said = np.array([0.2] * 10 + [0.8] * 10)
    true = np.array([True] * 4 + [False] * 6 + [True] * 7 + [False] * 3)
    family = calibration_figures(np.arange(20), true, said)
    found = values(family)
    assert found["ece"] == pytest.approx((0.2 * 10 + 0.1 * 10) / 20)
    assert found["brier"] == pytest.approx(brier_score_loss(true, said))


def test_bins_hold_about_the_same_and_equal_values_stay_together() -> None:
    values = np.random.default_rng(0).random(300)
    counts = equal_mass(values, 15).sum(axis=0)
    assert len(counts) == 15
    assert counts.sum() == 300
    assert 19 <= counts.min() <= counts.max() <= 21
    tied = np.array([0.1] * 50 + [0.7] * 3)
    assert equal_mass(tied, 15).sum(axis=0).tolist() == [50, 3]


def test_few_images_make_few_bins() -> None:
    assert [bins_for(n) for n in (1, 19, 43, 150, 5000)] == [1, 1, 4, 15, 15]


def test_outlines_by_hand() -> None:
    jaccard = np.array([0.9, 0.5, 0.64, 0.65])
    found = values(mask_figures(np.arange(4), jaccard, jaccard))
    assert found["jaccard"] == pytest.approx(0.6725)
    assert found["jaccard_median"] == 0.64
    assert found["jaccard_failed"] == 0.5


def test_without_positives_nothing_is_ranked() -> None:
    with np.errstate(invalid="ignore", divide="ignore"):
        found = values(ranking_figures(np.arange(3), np.zeros(3, bool), np.arange(3) / 3))
    assert all(np.isnan(value) for value in found.values())
