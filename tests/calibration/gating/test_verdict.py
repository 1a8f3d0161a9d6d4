"""Made-up figures through every limit: what passes, what is lost, what cannot be told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.gating.figures import measure
from calibration.gating.trial import strictest
from calibration.gating.verdict import Verdict, judge_figures, judge_itself
from runtime.bundle import GateLimits
from tests.calibration.gating.made_up import Image, alike, sides

LIMITS = GateLimits()


def verdict(
    images: list[Image], limits: GateLimits = LIMITS, masks: tuple[int, int] | None = None
) -> Verdict:
    return Verdict(judge_figures(measure(sides(images, masks)), limits))


def states(judged: Verdict) -> dict[str, str]:
    return {check.name: check.state for check in judged.checks}


def with_lost(count: int, images: list[Image]) -> list[Image]:
    """The first positives are scored just below the threshold by the candidate."""
    return [replace(i, after=0.49) if n < count else i for n, i in enumerate(images)]


def test_the_same_answers_pass_with_enough_positives() -> None:
    assert verdict(alike(299)).passed
    assert verdict(alike(299), masks=(8, 8)).passed


def test_one_positive_fewer_is_too_little_data() -> None:
    judged = verdict(alike(298))
    assert judged.state == "too little data"
    error = str(judged.error())
    assert "too little data" in error
    assert "at least 299 positives" in error
    assert "there are 298" in error


@settings(max_examples=15)
@given(st.integers(1, 298), st.integers(50, 200))
def test_no_agreement_makes_up_for_too_few_positives(positives: int, negatives: int) -> None:
    assert not verdict(alike(positives, negatives)).passed


@settings(max_examples=10)
@given(st.integers(299, 500), st.integers(0, 30))
def test_what_is_refused_stays_refused_when_more_is_lost(positives: int, lost: int) -> None:
    images = alike(positives)
    order = {"passed": 0, "too little data": 1, "lost": 2}
    less, more = (verdict(with_lost(k, images)) for k in (lost, lost + 1))
    assert order[less.state] <= order[more.state]


def test_a_loss_is_a_loss_with_any_amount_of_data() -> None:
    judged = verdict(with_lost(10, alike(400)))
    assert judged.state == "lost"
    assert "10 lost and 0 gained of 400" in (judged.why or "")
    assert judged.error().exit_code == 5
    assert "loss of sensitivity" in str(judged.error())


def test_one_lost_of_400_may_be_chance() -> None:
    judged = verdict(with_lost(1, alike(400)))
    assert states(judged)["loss of sensitivity"] == "too little data"
    assert "if as many are lost as here" in str(judged.error())
    assert states(verdict(with_lost(1, alike(700))))["loss of sensitivity"] == "passed"


def test_nan_on_one_image_is_refused() -> None:
    images = alike(400)
    images[-1] = replace(images[-1], after="error")
    judged = verdict(images)
    assert states(judged)["scored by both"] == "lost"
    images[-1] = replace(images[-1], after="unreadable")
    assert states(verdict(images))["scored by both"] == "lost"


def test_a_candidate_that_answers_nothing() -> None:
    images = [replace(i, after="error") for i in alike(400)]
    judged = verdict(images, masks=(8, 8))
    assert judged.state == "lost"
    assert states(judged)["loss of AUC"] == "too little data"  # unknown, which never passes
    assert states(judged)["change of probability"] == "too little data"


def test_abstaining_is_no_way_out() -> None:
    images = [replace(i, after="abstained") for i in alike(400)]
    found = states(verdict(images))
    assert found["loss of sensitivity"] == found["decision flips"] == "lost"


def test_abstaining_together_is_no_evidence() -> None:
    images = [replace(i, before="abstained", after="abstained") for i in alike(400)]
    judged = verdict(images)
    assert states(judged)["loss of sensitivity"] == "too little data"
    assert measure(sides(images)).positives == 0


def test_positives_negatives_and_undecided_are_all_the_images() -> None:
    open_ones = [Image(True, "abstained", 0.9)] * 2 + [Image(False, "abstained", "abstained")] * 3
    figures = measure(sides([*alike(7, 5), *open_ones, Image(True, "unreadable", 0.9)]))
    assert (figures.images, figures.unreadable) == (17, 1)
    assert figures.counted == "7 positives and 5 negatives, 5 not decided (2 positive)"
    assert figures.positives + figures.negatives + figures.undecided == figures.images
    assert figures.negative_groups == 8  # for the AUC, scored ones count
    assert measure(sides(alike(7, 5))).counted == "7 positives and 5 negatives"


def test_referring_everybody_is_no_way_out() -> None:
    images = [replace(i, after=0.9) for i in alike(400, 400)]
    found = states(verdict(images))
    assert found["loss of sensitivity"] == "passed"
    assert found["loss of AUC"] == found["decision flips"] == "lost"


def test_other_ranks_with_the_same_decisions_are_seen() -> None:
    """The threshold is never crossed, and the order above and below it is scrambled."""
    rng = np.random.default_rng(0)
    images = [Image(n % 2 == 0, s, s) for n, s in enumerate(rng.uniform(0.51, 0.99, 800).tolist())]
    ranked = [replace(i, before=i.before if not i.malignant else 0.99) for i in images]
    found = states(verdict(ranked))
    assert (found["loss of sensitivity"], found["loss of AUC"]) == ("passed", "lost")


def test_few_negatives_tell_nothing_of_the_auc() -> None:
    found = states(verdict(alike(400, 49)))
    assert found["loss of AUC"] == "too little data"
    assert states(verdict(alike(400, 50)))["loss of AUC"] == "passed"


def test_one_wild_probability_is_shown_and_not_judged() -> None:
    images = [*alike(400), Image(False, 0.01, 0.45)]
    figures = measure(sides(images))
    assert figures.change_max == pytest.approx(0.44)
    assert figures.change_where == "i500"
    assert verdict(images).passed
    many = [replace(i, after=0.45) if not i.malignant else i for i in images]
    assert states(verdict(many, GateLimits(auc_loss=1)))["change of probability"] == "lost"


def test_masks_must_agree() -> None:
    assert states(verdict(alike(300), masks=(8, 4)))["agreement of masks"] == "lost"
    found = measure(sides(alike(300), masks=(8, 4))).masks
    assert found is not None
    assert found.candidate == pytest.approx(0.5)


def test_masks_that_are_lost_on_a_few_images_do_not_hide_in_the_mean() -> None:
    both = sides(alike(300), masks=(8, 8))
    wrong = sides(alike(300), masks=(8, 1)).candidate.judgements
    rows = (*wrong[:6], *both.candidate.judgements[6:])  # 6 of 400
    seen = states(Verdict(judge_figures(
        measure(replace(both, candidate=replace(both.candidate, judgements=rows))), LIMITS
    )))  # fmt: skip
    assert seen["agreement of masks"] == "passed"
    assert seen["the same in 99 of 100 images"] == "lost"


def test_pictures_of_one_patient_count_once() -> None:
    images = [replace(i, patient=f"p{n // 3}") for n, i in enumerate(alike(600, 300))]
    judged = verdict(images)
    assert measure(sides(images)).positive_groups == 200
    assert judged.state == "too little data"
    lost = with_lost(3, images)  # all three pictures of one patient
    assert measure(sides(lost)).lost == 1


def test_limits_are_those_given() -> None:
    images = with_lost(3, alike(200))
    assert not verdict(images).passed
    assert verdict(images, GateLimits(sensitivity_loss=0.05, flips=0.05)).passed


def test_a_candidate_against_itself_needs_no_299() -> None:
    figures = measure(sides(alike(30, 60), masks=(8, 8)))
    assert all(check.state == "passed" for check in judge_itself(figures, LIMITS))
    spoilt = [replace(i, after=0.45) if i.malignant else i for i in alike(30, 60)]
    found = judge_itself(measure(sides(spoilt)), LIMITS)
    assert {check.state for check in found} == {"passed", "lost"}


def test_the_strictest_limits_hold() -> None:
    loose = GateLimits(sensitivity_loss=0.5, mask_agreement=0.1, auc_loss=0.001)
    both = strictest([loose, GateLimits()])
    assert both == GateLimits(auc_loss=0.001)


def test_no_image_at_all() -> None:
    images = [replace(i, before="error", after="error") for i in alike(3, 3)]
    assert verdict(images).state == "too little data"
