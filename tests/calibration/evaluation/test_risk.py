"""Risk by coverage: what is left undecided first are the mistakes, if a doubt is worth anything."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.evaluation.risk import COVERAGES, NEARNESS, Risk, risk_of
from tests.calibration.evaluation.made import cases_of, judged_of, random_scores


def drawn(count: int = 1000, seed: int = 0) -> Risk:
    rng = np.random.default_rng(seed)
    wrong = rng.random(count) < 0.2
    doubts = {
        "all": wrong + 0.0,
        "none": rng.random(count),
        "contrary": -(wrong + 0.0),
    }
    return Risk(wrong, rng.random(count) < 0.3, doubts)


def test_a_perfect_doubt_leaves_the_mistakes_for_the_end() -> None:
    risk = drawn()
    share = float(risk.wrong.mean())
    assert risk.at("all", 1.0)["wrong"] == pytest.approx(share)
    assert risk.at("all", 0.8)["wrong"] == pytest.approx((share - 0.2) / 0.8, abs=0.01)
    assert risk.at("all", 0.6) == {
        "coverage": 0.6, "wrong": 0.0, "sensitivity": 1.0, "specificity": 1.0,
    }  # fmt: skip
    assert risk.at("contrary", 0.1)["wrong"] == 1.0


def test_doubts_are_told_apart_by_the_area_under_their_curves() -> None:
    risk = drawn()
    assert risk.area("all") < risk.area("none") < risk.area("contrary")
    assert risk.area("none") == pytest.approx(risk.wrong.mean(), abs=0.05)


def test_all_decided_is_the_same_whatever_the_doubt() -> None:
    risk = drawn()
    ends = [risk.at(doubt, 1.0) for doubt in risk.doubts]
    assert ends[0] == ends[1] == ends[2]
    assert [curve[1][-1] for curve in map(risk.curve, risk.doubts)] == [risk.wrong.mean()] * 3


@pytest.mark.parametrize("first", [True, False])
def test_equal_doubts_are_in_no_order(first: bool) -> None:
    wrong = np.arange(2000) < 1000 if first else np.arange(2000) >= 1000
    risk = Risk(wrong, wrong, {"same": np.zeros(2000)})
    assert risk.area("same") == pytest.approx(0.5, abs=0.05)


def test_scores_near_the_threshold_are_the_first_to_go() -> None:
    scores, positive = random_scores(300)
    risk = risk_of(cases_of(judged_of(scores.tolist(), positive.tolist())))
    assert risk is not None
    assert list(risk.doubts) == [NEARNESS], "these were judged by no network"
    assert risk.area(NEARNESS) < risk.wrong.mean()
    first = int(np.argmax(risk.doubts[NEARNESS]))
    assert abs(scores[first] - 0.5) == pytest.approx(np.abs(scores - 0.5).min(), abs=1e-6)
    assert [row["coverage"] for row in risk.as_dict()[NEARNESS]["at"]] == list(COVERAGES)  # type: ignore[index]


def test_without_a_threshold_there_are_no_mistakes_to_count() -> None:
    scores, positive = random_scores(30)
    assert risk_of(cases_of(judged_of(scores.tolist(), positive.tolist(), threshold=None))) is None
