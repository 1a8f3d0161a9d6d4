"""How many pictures lie outside each limit: counted once a limit, and once in all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calibration.evaluation.acquisition import outside_limits
from runtime.bundle import QualityLimit
from tests.calibration.evaluation.made import judged_of

LIMITS = {
    "focus": QualityLimit(min=0.2, hint="focus"),
    "lesion_area": QualityLimit(min=0.01, max=0.9, hint="move"),
}


def test_each_limit_and_all_of_them() -> None:
    judged = judged_of([0.5, 0.5, 0.5, 0.5, None], [True, False, False, False, True])
    measures = [
        {"focus": 0.1, "lesion_area": 0.95},  # outside both
        {"focus": 0.3, "lesion_area": 0.001},
        {"focus": 0.1},  # without a lesion nothing is said of it
        {"focus": 0.2, "lesion_area": 0.9},  # on a limit is inside
    ]
    said = [
        replace(one, result=one.result.model_copy(update={"quality": quality}))
        for one, quality in zip(judged.judgements, measures, strict=False)
        if one.result is not None
    ]
    judged = replace(judged, judgements=(*said, judged.judgements[-1]))
    rows = outside_limits(judged, np.array([True, False, False, False, True]), LIMITS)
    assert [(r.measure, r.images, r.outside, r.positives_outside) for r in rows] == [
        ("focus", 4, 2, 1),
        ("lesion_area", 4, 2, 1),
        (None, 4, 3, 1),
    ]
    assert rows[0].as_dict()["share"]["value"] == 0.5  # type: ignore[index]


def test_nothing_to_count() -> None:
    judged = judged_of([None], [True])
    assert outside_limits(judged, np.array([True]), LIMITS) == []
    assert outside_limits(judged_of([0.1], [True]), np.array([True]), {}) == []
