"""Intervals that repeat, cover, and know that two pictures of a lesion are one witness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.evaluation.bootstrap import Bootstrap, Estimate, Family, groups_of
from calibration.evaluation.families import calibration_figures, decision_figures, ranking_figures
from calibration.evaluation.prevalence import widened
from calibration.intervals import wilson
from tests.calibration.evaluation.made import random_scores
from train.data.metrics import bootstrap as one_by_one
from train.data.table import Sample, Table


def mean_of(values: np.ndarray, **more: frozenset[str]) -> Family:
    def of(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {"mean": weights @ values / weights.sum(axis=1)}

    return Family(np.arange(len(values)), {"mean": len(values)}, of, **more)


def test_the_same_seed_gives_the_same_interval() -> None:
    scores, positive = random_scores(80)
    family = ranking_figures(np.arange(80), positive, scores)
    assert Bootstrap(range(80)).estimate(family) == Bootstrap(range(80)).estimate(family)
    assert Bootstrap(range(80), seed=1).estimate(family) != Bootstrap(range(80)).estimate(family)


def test_it_is_the_interval_of_one_resample_after_the_other() -> None:
    values = np.random.default_rng(0).normal(size=150)
    found = Bootstrap(range(150)).estimate(mean_of(values))["mean"]
    low, high = one_by_one(150, lambda rows: float(values[rows].mean()), seed=7)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(low, abs=0.02)
    assert found.high == pytest.approx(high, abs=0.02)


def test_it_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    drawn = Bootstrap(range(60), resamples=300)
    covered = 0
    for _ in range(200):
        found = drawn.estimate(mean_of((rng.random(60) < 0.3).astype(float)))["mean"]
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.3 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_images_of_a_group_are_drawn_together() -> None:
    drawn = Bootstrap([0, 0, 1, 2, 2, 2], resamples=50)
    weights = np.concatenate(list(drawn.weights(np.arange(6))))
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3:5] == weights[:, [5]]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()


def test_copies_in_groups_add_no_certainty() -> None:
    values = np.random.default_rng(0).random(50)
    once = Bootstrap(range(50)).estimate(mean_of(values))["mean"]
    copied = np.repeat(values, 4)
    grouped = Bootstrap(np.repeat(np.arange(50), 4)).estimate(mean_of(copied))["mean"]
    apart = Bootstrap(range(200)).estimate(mean_of(copied))["mean"]
    assert (grouped.low, grouped.high) == (pytest.approx(once.low), pytest.approx(once.high))
    assert apart.low > grouped.low


def test_patients_and_lesions_make_groups() -> None:
    samples = [
        Sample("a", "d", Path("a"), "x", "", patient="p1"),
        Sample("b", "d", Path("b"), "x", "", lesion="l1"),
        Sample("c", "d", Path("c"), "x", "", patient="p1", lesion="l1"),
        Sample("d", "d", Path("d"), "x", ""),
    ]
    one, two, three, other = groups_of(Table.of("t", samples))
    assert one == two == three != other


def test_all_hits_are_no_certainty() -> None:
    found = Bootstrap(range(20)).estimate(mean_of(np.ones(20), proportions=frozenset({"mean"})))
    interval = wilson(20, 20)
    assert found["mean"] == Estimate(1.0, interval.low, interval.high, 20)


def test_a_perfect_order_of_few_images_gets_no_interval() -> None:
    family = ranking_figures(np.arange(20), np.arange(20) >= 10, np.arange(20) / 20)
    found = Bootstrap(range(20)).estimate(family)["auc"]
    assert (found.value, found.low, found.high) == (1.0, None, None)


def test_there_is_no_interval_where_most_draws_are_undefined() -> None:
    scores, _ = random_scores(12)

    def of(weights: np.ndarray) -> dict[str, np.ndarray]:
        once = weights[:, 3] == 1  # so in 38 of 100 resamples
        return {"mean": np.where(once, weights @ scores / weights.sum(axis=1), np.nan)}

    found = Bootstrap(range(12)).estimate(Family(np.arange(12), {"mean": 12}, of))["mean"]
    assert found == Estimate(pytest.approx(scores.mean()), None, None, 12)


def test_the_calibration_error_lies_in_its_interval() -> None:
    rng = np.random.default_rng(0)
    said = rng.random(150)
    true = rng.random(150) < said
    found = Bootstrap(range(150)).estimate(calibration_figures(np.arange(150), true, said))["ece"]
    assert found.low < found.value < found.high


def test_finding_every_positive_leaves_a_predictive_value_in_doubt() -> None:
    positive = np.arange(40) < 10
    called = np.arange(40) < 25
    plain = Bootstrap(range(40)).estimate(decision_figures(np.arange(40), positive, called))
    assert (plain["npv@0.1"].value, plain["npv@0.1"].low) == (1.0, None)
    found = widened(plain)["npv@0.1"]
    assert found.low < 0.98
    assert found.high == 1.0
    some = Bootstrap(range(40)).estimate(
        decision_figures(np.arange(40), positive, called & (np.arange(40) > 2))
    )
    assert widened(some) == some
