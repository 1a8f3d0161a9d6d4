"""Groups of patients: who is in which, what is merged, and that figures are of the group."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.evaluation.bootstrap import Bootstrap
from calibration.evaluation.subgroups import AGE_GROUPS, age_group, merge, subgroups
from tests.calibration.evaluation.made import cases_of, judged_of, random_scores
from train.data.metrics import auc


def test_small_groups_become_one() -> None:
    names = ["back"] * 12 + ["face"] * 4 + ["foot"] * 3 + ["unknown"] * 2
    assert merge(names) == ["back"] * 12 + ["other"] * 7 + ["unknown"] * 2


def test_ages_have_their_group() -> None:
    ages = (0, 29, 30, 44, 45, 59, 60, 74, 75, 90)
    assert [age_group(age) for age in ages] == [name for name in AGE_GROUPS for _ in range(2)]
    assert age_group(None) is None


def test_figures_are_of_the_group() -> None:
    scores, positive = random_scores(120)
    sexes = ["male" if row % 2 else "female" for row in range(110)] + [None] * 10
    ages = [20.0 + row % 60 for row in range(120)]
    cases = cases_of(judged_of(scores.tolist(), positive.tolist(), sex=sexes, age=ages))
    found = subgroups(cases, Bootstrap(range(120)))
    assert list(found) == ["age", "sex"]
    assert [group.name for group in found["sex"]] == ["female", "male", "unknown"]
    assert [group.n for group in found["sex"]] == [55, 55, 10]
    men = np.array([sex == "male" for sex in sexes])
    figures = found["sex"][1].figures
    assert figures["auc"].value == pytest.approx(auc(positive[men], scores[men]))
    assert figures["sensitivity"].value == pytest.approx(
        (scores[men & positive] >= 0.5).mean()
    )  # fmt: skip
    assert figures["sensitivity"].n == (men & positive).sum()
    assert [group.name for group in found["age"]] == list(AGE_GROUPS)


def test_skin_tone_is_a_group_where_it_is_known() -> None:
    scores, positive = random_scores(40)
    judged = judged_of(scores.tolist(), positive.tolist())
    tones = [60.0] * 15 + [20.0] * 15 + [-50.0] * 4 + [float("nan")] * 6
    said = tuple(replace(j, skin=t) for j, t in zip(judged.judgements, tones, strict=True))
    found = subgroups(cases_of(replace(judged, judgements=said)), Bootstrap(range(40)))
    (groups,) = found.values()
    names = [(group.name, group.n) for group in groups]
    assert names == [("very light", 15), ("tan", 15), ("other", 4), ("unknown", 6)]


def test_the_clinic_is_a_group_where_it_is_told() -> None:
    scores, positive = random_scores(40)
    clinics = ["Vienna"] * 15 + ["Queensland"] * 20 + [None] * 5
    found = subgroups(
        cases_of(judged_of(scores.tolist(), positive.tolist(), source=clinics)),
        Bootstrap(range(40)),
    )
    names = [(group.name, group.n) for group in found["source"]]
    assert names == [("Queensland", 20), ("Vienna", 15), ("unknown", 5)]


def test_a_group_without_scores_has_no_figures() -> None:
    scores: list[float | None] = [0.2, 0.7] * 15
    scores[:12] = [None] * 12
    sexes = ["male"] * 12 + ["female"] * 18
    cases = cases_of(judged_of(scores, [False, True] * 15, sex=sexes))
    found = subgroups(cases, Bootstrap(range(30)))["sex"]
    assert {group.name: bool(group.figures) for group in found} == {"female": True, "male": False}
