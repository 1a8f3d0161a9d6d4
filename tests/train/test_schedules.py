"""How the learning rate goes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import ReduceLROnPlateau

from train.recipe_parts.training import Training
from train.schedules import FALLS, PATIENCE, WARM_UP, Cycles, _cosine, schedule


@given(st.floats(0, 2))
def test_the_rate_is_never_negative_nor_above_its_peak(share: float) -> None:
    assert 0 <= _cosine(share) <= 1 + 0.01


def test_the_rate_rises_then_falls_to_nothing() -> None:
    steps = [step / 1000 for step in range(1001)]
    rates = [_cosine(step) for step in steps]
    top = rates.index(max(rates))
    assert steps[top] == pytest.approx(WARM_UP, abs=0.002)
    assert 0 < rates[0] < 0.05
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-9)
    assert _cosine((1 + WARM_UP) / 2) == pytest.approx(0.5)


def rates(how: str, losses: list[float]) -> list[float]:
    """After each epoch that ended with such a loss on the images set aside."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([weight], lr=1.0)
    found = schedule(Training(epochs=1, schedule=how), optimizer, lambda: 1)
    assert found is not None
    plateau = found["scheduler"]
    assert isinstance(plateau, ReduceLROnPlateau)
    assert (found["monitor"], found["interval"]) == ("stop_loss", "epoch")
    rates = []
    for loss in losses:
        plateau.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def test_a_plateau_of_two_epochs_is_borne_and_a_third_is_not() -> None:
    falling = [1.0, 0.9, 0.8]
    assert rates("plateau", falling) == [1.0] * 3
    assert rates("plateau", [*falling, *[0.8] * (PATIENCE + 1)]) == [1.0] * 5 + [0.5]


def test_cycles_jump_up_to_half_of_where_they_fell_from() -> None:
    stuck = rates("cyclical", [1.0] * 40)
    steps = [one for one, before in zip(stuck, [1.0, *stuck], strict=False) if one != before]
    assert steps[:4] == [0.5, 0.25, 0.125, 0.5]
    assert steps[4:8] == [0.25, 0.125, 0.0625, 0.25]
    assert steps[FALLS] > steps[FALLS - 1]


def test_cycles_go_on_where_they_were() -> None:
    def made() -> tuple[torch.optim.Optimizer, Cycles]:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        return optimizer, Cycles(optimizer)

    optimizer, whole = made()
    for _ in range(11):
        whole.step(1.0)
    again, resumed = made()
    resumed.load_state_dict(whole.state_dict())
    again.load_state_dict(optimizer.state_dict())
    for _ in range(9):
        whole.step(1.0)
        resumed.step(1.0)
    assert again.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"] < 1


def test_a_constant_rate_needs_no_schedule() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    assert schedule(Training(epochs=1), optimizer, lambda: 1) is None
