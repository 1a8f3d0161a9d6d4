"""What is counted of images that were judged twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from calibration.evaluation.bootstrap import Bootstrap, groups_of
from calibration.judged import Judged
from calibration.wrong_masks.changes import OWN
from calibration.wrong_masks.figures import MaskRow, WrongMasks, compare
from runtime.bundle import QualityLimit
from tests.calibration.evaluation.made import cases_of, judged_of, random_scores
from train.data.metrics import auc

LIMITS = {
    "lesion_area": QualityLimit(max=0.9, hint="move back"),
    "focus": QualityLimit(min=0.2, hint="focus; hold still"),
}


def compared(own: Judged, **others: Judged) -> WrongMasks:
    cases = cases_of(own)
    return compare(cases, Bootstrap(groups_of(own.table)), {OWN: own, **others}, LIMITS)


def row_of(own: Judged, wrong: Judged) -> MaskRow:
    _, row = compared(own, wrong=wrong).rows
    return row


def with_result(judged: Judged, row: int, **fields: Any) -> Judged:
    """The same, one record of which says something else."""
    changed = list(judged.judgements)
    result = changed[row].result
    assert result is not None
    changed[row] = replace(changed[row], result=result.model_copy(update=fields))
    return replace(judged, judgements=tuple(changed))


def test_the_same_mask_changes_nothing() -> None:
    scores, positive = random_scores(60)
    own = judged_of(list(scores), list(positive))
    row = row_of(own, own)
    assert row.auc.value == pytest.approx(auc(positive, scores))
    assert (row.difference.value, row.difference.low, row.difference.high) == (0, None, None)
    assert (row.turned.to_refer, row.turned.away, row.median_move) == (0, 0, 0)
    assert row.turned.decided == row.images == 60


def test_the_difference_is_of_pairs() -> None:
    """Noise that both masks share is in neither end of the interval."""
    scores, positive = random_scores(300)
    worse = scores - 0.02 * positive
    found = compared(
        judged_of(list(scores), list(positive)), wrong=judged_of(list(worse), list(positive))
    )
    own, row = found.rows
    assert row.difference.value == pytest.approx(auc(positive, worse) - auc(positive, scores))
    assert row.difference.low is not None
    assert row.difference.high is not None
    assert row.difference.low < row.difference.value < row.difference.high < 0
    assert own.auc.low is not None
    assert own.auc.high is not None
    width = row.difference.high - row.difference.low
    assert width < (own.auc.high - own.auc.low) / 4
    assert found.positives == 100


def test_turned_decisions_and_how_far_scores_move() -> None:
    positive = [True, True, True, False, False, False]
    own = judged_of([0.9, 0.8, 0.3, 0.6, 0.2, 0.1], positive)
    wrong = judged_of([0.4, 0.9, 0.7, 0.4, 0.1, 0.1], positive)
    turned = row_of(own, wrong).turned
    assert (turned.to_refer, turned.away, turned.positives_away, turned.decided) == (1, 2, 1, 6)
    assert row_of(own, wrong).median_move == pytest.approx(np.median([0.5, 0.1, 0.4, 0.2, 0.1, 0]))
    unsure = with_result(wrong, 0, status="abstained", reason="the networks disagree", refer=None)
    turned = row_of(own, unsure).turned
    assert (turned.away, turned.positives_away, turned.decided) == (1, 0, 5)


def test_why_images_are_not_decided_is_counted_without_numbers() -> None:
    own = judged_of([0.9, 0.8, 0.3, 0.6, 0.2], [True, True, False, False, False])
    wrong = own
    for row, deviation in ((0, 0.31), (1, 0.42)):
        reason = f"the networks disagree: deviation {deviation}, allowed 0.2"
        reason += "; no lesion was found, so the networks saw the whole frame" * row
        wrong = with_result(wrong, row, status="abstained", reason=reason, refer=None)
    quality = {"lesion_area": 1.0, "focus": 0.1}
    wrong = with_result(
        wrong, 2, status="rejected", reason="move back; focus; hold still", refer=None,
        quality=quality,
    )  # fmt: skip
    found = row_of(own, wrong)
    assert found.statuses == {"abstained": 2, "rejected": 1, "ok": 2}
    assert found.why == {
        "the networks disagree": 2,
        "no lesion was found, so the networks saw the whole frame": 1,
        "lesion area": 1,
        "focus": 1,
    }
    assert found.auc.n == 5, "what is not decided still has a score"


def test_what_has_no_second_score_is_in_no_figure_of_scores() -> None:
    own = judged_of([0.9, 0.8, 0.3, 0.6], [True, False, False, True])
    row = row_of(own, judged_of([0.9, None, 0.3, None], [True, False, False, True]))
    assert row.statuses == {"ok": 2, "unreadable": 2}
    assert (row.auc.value, row.auc.n, row.turned.decided) == (1.0, 2, 2)
    none = row_of(own, judged_of([None] * 4, [True, False, False, True]))
    assert (none.auc.value, none.difference.value, none.median_move) == (None, None, None)


def test_a_mask_that_only_some_images_have_is_held_against_those() -> None:
    scores, positive = random_scores(40)
    own = judged_of(list(scores), list(positive))
    some = own.select(own.table.ids[:20])
    row = row_of(own, some)
    assert row.images == 20
    assert row.auc.value == pytest.approx(auc(positive[:20], scores[:20]))
    assert row.difference.value == 0
