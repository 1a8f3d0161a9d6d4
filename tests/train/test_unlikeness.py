"""How unlike its training images a picture is: by the shape of their cloud, in 16 bits as well."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import UsageError
from tests.train.tiny import tiny_recipe
from train import networks
from train.models.unlikeness import FAR, PooledDepths, Unlikeness, fit_unlikeness
from train.recipe import Recipe
from train.recipe_files import load_recipe

NUMBERS = 12


def cloud(count: int, seed: int = 0) -> torch.Tensor:
    """Long in one direction, thin in the others, and away from zero."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(NUMBERS, NUMBERS, generator=torch.Generator().manual_seed(7))
    return torch.randn(count, NUMBERS, generator=generator) @ mixing * 0.1 + 5


def test_what_it_was_fitted_on_is_about_one_away() -> None:
    away = fit_unlikeness(cloud(4000))(cloud(2000, 1))
    assert away.shape == (2000, 1)
    assert 0.8 < float(away.mean()) < 1.2


def test_little_is_far_where_images_differ_little() -> None:
    rows = cloud(4000)
    net = fit_unlikeness(rows)
    _, axes = torch.linalg.eigh(torch.cov(rows.T))
    thin, long = (rows.mean(dim=0) + 0.5 * axes[:, [place]].T for place in (0, NUMBERS - 1))
    assert float(net(thin)) > 3 * float(net(long))


@given(st.integers(0, 1000), st.floats(1, 1e4))
def test_nothing_is_too_far_for_16_bits(seed: int, times: float) -> None:
    net = fit_unlikeness(cloud(500))
    strange = torch.randn(4, NUMBERS, generator=torch.Generator().manual_seed(seed)) * times
    exact, half = net(strange), net.half()(strange.half()).float()
    assert torch.isfinite(half).all()
    assert float(exact.max()) <= FAR + 1e-3
    torch.testing.assert_close(half, exact, rtol=0.05, atol=0.05)


def test_a_number_that_never_changes_is_no_division_by_zero() -> None:
    rows = cloud(100)
    rows[:, 3] = 2.0
    assert torch.isfinite(fit_unlikeness(rows)(rows)).all()


def named(name: str, **changes: Any) -> dict[str, Any]:
    fields = tiny_recipe()
    fields["members"][next(iter(fields["members"]))] |= changes
    return fields | {"unlikeness": [name]}


def test_a_recipe_may_name_members_whose_trunk_is_cut() -> None:
    with pytest.raises(ValueError, match="not one of the members"):
        Recipe.model_validate(named("nobody"))
    first = next(iter(tiny_recipe()["members"]))
    with pytest.raises(ValueError, match=f"give members.{first} a cut"):
        Recipe.model_validate(named(first, cut=None))


def test_two_depths_of_edges_trunk_are_looked_at() -> None:
    recipe = load_recipe("edge")
    net = networks.build_member(recipe, "whole")
    pooled = PooledDepths(networks.cut_trunk(net)).eval()(torch.rand(2, 3, 96, 96))
    assert pooled.shape == (2, 32 + 96)
    assert isinstance(networks.build_unlikeness(net), Unlikeness)
    assert recipe.unlikeness


@pytest.mark.parametrize(
    ("backbone", "cut", "fits"),
    [
        ("mobilenetv2_050", 4, True),
        ("mobilenetv2_050", 3, True),
        ("mobilenetv2_050", 1, False),
        ("resnet18", 4, True),
        ("resnet18", 1, False),
    ],
)
def test_a_trunk_without_such_maps_is_refused_before_it_is_trained(
    backbone: str, cut: int, fits: bool
) -> None:
    first = next(iter(tiny_recipe()["members"]))
    recipe = Recipe.model_validate(named(first, backbone=backbone, cut=cut, options={}))
    if fits:
        networks.check_unlikeness(recipe)
        return
    with pytest.raises(UsageError, match="cannot say how unlike"):
        networks.check_unlikeness(recipe)


def test_a_variant_of_one_member_measures_none() -> None:
    assert load_recipe("edge/one").unlikeness == ()
    with pytest.raises(UsageError):
        load_recipe("edge/nothing")
