"""Temperature, disagreement, and which status wins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.bundle import Bundle
from runtime.decision import disagreement, judge, softmax, temper
from runtime.lesion import Box, Lesion
from tests.runtime.test_bundle import complete

PROBABILITIES = st.lists(st.floats(1e-6, 1.0), min_size=2, max_size=8).map(
    lambda values: np.asarray(values) / np.sum(values)
)
TEMPERATURES = st.floats(0.2, 5.0)
MEASURES = {"focus": 0.4, "exposure": 0.5}
FOUND = Lesion(np.ones((2, 2), np.uint8), Box(0, 0, 2, 2), area_fraction=0.2, touches_border=False)


@given(PROBABILITIES, TEMPERATURES)
def test_tempering_keeps_a_distribution_and_its_order(p: np.ndarray, temperature: float) -> None:
    tempered = temper(p, temperature)
    assert tempered.sum() == pytest.approx(1)
    assert (np.diff(tempered[np.argsort(p)]) >= -1e-12).all()


@given(PROBABILITIES, TEMPERATURES)
def test_tempering_back_gives_what_was(p: np.ndarray, temperature: float) -> None:
    np.testing.assert_allclose(temper(temper(p, temperature), 1 / temperature), p, atol=1e-9)


@given(PROBABILITIES, TEMPERATURES)
def test_tempering_is_dividing_logits(p: np.ndarray, temperature: float) -> None:
    logits = np.log(p) + 7  # logits of p, up to what a softmax does not see
    np.testing.assert_allclose(temper(p, temperature), softmax(logits / temperature), atol=1e-9)


def test_temperature_in_numbers() -> None:
    np.testing.assert_allclose(temper([0.8, 0.2], 1), [0.8, 0.2])
    np.testing.assert_allclose(temper([0.8, 0.2], 2), [2 / 3, 1 / 3])
    np.testing.assert_allclose(temper([1.0, 0.0], 3)[0], 1)
    assert np.isfinite(temper([1.0, 0.0], 0.2)).all()


def test_softmax_does_not_overflow() -> None:
    np.testing.assert_allclose(softmax([1e4, 1e4 - np.log(3)]), [0.75, 0.25])


def test_disagreement_is_the_population_deviation() -> None:
    assert disagreement([0.2, 0.4]) == pytest.approx(0.1)
    assert disagreement([0.3]) == 0


def bundle(decision: dict[str, Any] | None = None, **others: Any) -> Bundle:
    fields = complete()
    fields["decision"] |= decision or {}
    return Bundle.model_validate(fields | others)


def verdict(decided: Bundle, score: float = 0.5, lesion: Lesion | None = FOUND, **known: float):
    return judge(decided, score, lesion, MEASURES, known.get("spread"), known.get("ood"))


def test_the_threshold_itself_is_referred() -> None:
    assert verdict(bundle(), 0.5).refer is True
    assert verdict(bundle(), 0.4999).refer is False
    assert verdict(bundle(), 0.5).status == "ok"


def test_without_a_threshold_there_is_no_decision_and_all_is_well() -> None:
    answer = verdict(bundle({"threshold": None, "operating_point": None}))
    assert (answer.status, answer.refer, answer.reason) == ("ok", None, None)


@pytest.mark.parametrize(
    ("rule", "known", "words"),
    [
        ({"disagreement": 0.1}, {"spread": 0.11}, "disagree"),
        ({"ood": 3.0}, {"ood": 3.1}, "unlike"),
        ({"area_fraction_min": 0.21}, {}, "too small"),
        ({"area_fraction_max": 0.19}, {}, "too much"),
    ],
)
def test_each_rule_abstains_beyond_its_limit(
    rule: dict[str, float], known: dict[str, float], words: str
) -> None:
    answer = verdict(bundle({"abstain": rule}), **known)
    assert (answer.status, answer.refer) == ("abstained", None)
    assert words in (answer.reason or "")


@pytest.mark.parametrize(
    ("rule", "known"),
    [
        ({"disagreement": 0.1}, {"spread": 0.1}),
        ({"disagreement": 0.1}, {}),
        ({"ood": 3.0}, {"ood": 3.0}),
        ({"ood": 3.0}, {}),
        ({"area_fraction_min": 0.2, "area_fraction_max": 0.2}, {}),
    ],
)
def test_a_limit_that_is_met_or_unknown_does_not(
    rule: dict[str, float], known: dict[str, float]
) -> None:
    assert verdict(bundle({"abstain": rule}), **known).status == "ok"


def test_all_reasons_are_given() -> None:
    decided = bundle({"abstain": {"disagreement": 0.1, "ood": 1.0}})
    reason = verdict(decided, spread=0.5, ood=9.0).reason or ""
    assert "disagree" in reason
    assert "unlike" in reason


def test_no_lesion_is_no_decision() -> None:
    answer = verdict(bundle(), lesion=None)
    assert (answer.status, answer.refer) == ("abstained", None)
    assert "no lesion" in (answer.reason or "")


def test_a_network_that_needs_a_crop_abstains_whatever_the_rule_says() -> None:
    assert verdict(bundle({"abstain": {"no_lesion": False}}), lesion=None).status == "abstained"
    whole = {"whole": {}, "crop": {}}
    open_rule = bundle({"abstain": {"no_lesion": False}}, views=whole)
    assert verdict(open_rule, lesion=None).status == "ok"


def test_a_bundle_without_segmentation_misses_no_lesion() -> None:
    fields = complete()
    chain = fields["chain"] | {"segment": None}
    decided = bundle(chain=chain, views={"whole": {}, "crop": {}})
    assert verdict(decided, lesion=None).status == "ok"


@pytest.mark.parametrize(
    ("limit", "rejected"),
    [({"min": 0.5}, True), ({"max": 0.3}, True), ({"min": 0.4, "max": 0.4}, False), ({}, False)],
)
def test_quality_limits_reject_with_their_hint(limit: dict[str, float], rejected: bool) -> None:
    decided = bundle(quality={"focus": limit | {"hint": "hold still"}})
    answer = verdict(decided)
    assert answer.status == ("rejected" if rejected else "ok")
    assert answer.reason == ("hold still" if rejected else None)
    assert (answer.refer is None) == rejected


def test_rejected_is_stronger_than_abstained() -> None:
    limits = {"focus": {"min": 0.9, "hint": "one"}, "exposure": {"max": 0.1, "hint": "two"}}
    answer = verdict(bundle(quality=limits), lesion=None)
    assert (answer.status, answer.reason) == ("rejected", "one; two")
