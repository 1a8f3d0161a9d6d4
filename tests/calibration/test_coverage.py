"""Limits of abstention: as many are set aside as may be, by every rule alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.coverage import Doubts, decided_crossed, fit_limits
from runtime.bundle import Abstention
from runtime.decision import doubts as reasons
from runtime.errors import UsageError
from runtime.lesion import Box, Lesion

NUMBER = st.floats(0, 1, allow_nan=False).map(lambda x: round(x, 3))
ROWS = st.lists(
    st.tuples(NUMBER, NUMBER | st.none(), NUMBER | st.none(), st.booleans()),
    min_size=1,
    max_size=50,
)


def doubts(rows: list[tuple[float, float | None, float | None, bool]]) -> Doubts:
    columns = [
        np.array([np.nan if v is None else v for v in one], float)
        for one in zip(*rows, strict=True)
    ]
    return Doubts(columns[0], columns[1], columns[2], columns[3].astype(bool))


def drawn(count: int = 400, seed: int = 0) -> Doubts:
    rng = np.random.default_rng(seed)
    return Doubts(
        rng.gamma(2, 0.05, count), rng.gamma(9, 0.2, count), rng.uniform(0, 1, count),
        rng.random(count) > 0.01,
    )  # fmt: skip


@given(ROWS, st.floats(0.5, 1.0))
def test_the_wanted_share_is_left_decided(
    rows: list[tuple[float, float | None, float | None, bool]], wanted: float
) -> None:
    found = doubts(rows)
    if found.open.mean() < wanted - 1e-9:
        with pytest.raises(UsageError, match="out of reach"):
            fit_limits(found, wanted)
        return
    decided = found.decided(fit_limits(found, wanted))
    assert decided.mean() >= wanted - 1e-9
    assert not (decided & ~found.open).any()


@pytest.mark.parametrize("wanted", [0.8, 0.9, 0.95])
def test_every_rule_sets_as_many_aside_and_together_all_that_they_may(wanted: float) -> None:
    found = drawn()
    limits = fit_limits(found, wanted)
    alone = [int((found.open & ~found.decided({name: at})).sum()) for name, at in limits.items()]
    assert len(limits) == 4
    assert len(set(alone)) == 1, alone
    spare = int(found.decided(limits).sum()) - 400 * wanted
    assert 0 <= spare < len(limits)  # one more of each rule would be too many


def test_the_limits_are_those_that_a_device_goes_by() -> None:
    found = drawn()
    limits = fit_limits(found, 0.9)
    rules = Abstention(**limits)
    box = Box(0, 0, 1, 1)
    for row in range(len(found.open)):
        area = float(found.area[row])
        lesion = Lesion(np.ones((2, 2), np.uint8), box, area, False)
        said = reasons(rules, lesion, float(found.disagreement[row]), float(found.ood[row]))
        alone = Doubts(
            *(one[[row]] for one in (found.disagreement, found.ood, found.area)), np.array([True])
        )
        assert bool(said) is not bool(alone.decided(limits)[0]), said


def test_what_was_never_measured_gets_no_limit() -> None:
    nothing = np.full(5, np.nan)
    found = Doubts(np.linspace(0, 1, 5), nothing, nothing, np.ones(5, bool))
    assert set(fit_limits(found, 0.8)) == {"disagreement"}


def test_what_measures_nothing_can_abstain_by_nothing() -> None:
    nothing = np.full(5, np.nan)
    with pytest.raises(UsageError, match="nothing that it could abstain by"):
        fit_limits(Doubts(nothing, nothing, nothing, np.ones(5, bool)), 0.9)


def test_folds_are_decided_by_the_others_limits() -> None:
    """The images of one fold are all doubtful: limits fitted on them too would let most through."""
    low, high = np.full(100, 0.1), np.full(50, 0.9)
    nothing = np.full(150, np.nan)
    found = Doubts(np.concatenate([low, high]), nothing, nothing, np.ones(150, bool))
    folds = np.array([0] * 50 + [1] * 50 + [2] * 50)
    decided = decided_crossed(found, folds, 0.95)
    assert decided[:100].all()
    assert not decided[100:].any()


def test_new_images_are_covered_as_wanted() -> None:
    reached = [
        drawn(4000, seed + 1).decided(fit_limits(drawn(2000, seed), 0.95)).mean()
        for seed in range(0, 40, 2)
    ]
    assert np.mean(reached) == pytest.approx(0.95, abs=0.005)
