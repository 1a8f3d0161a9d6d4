"""The locally connected ensemble learns whom to trust."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from train.combiners import combine
from train.data.metrics import mean_auc
from train.ensemble import fit_ensemble
from train.models.locally_connected import LocallyConnected
from train.recipe_parts.combiners import LocallyConnectedRecipe

Floats = npt.NDArray[np.float64]
RECIPE = LocallyConnectedRecipe(filters=8, epochs=150)


def members(count: int, seed: int, clarity: tuple[float, ...]) -> tuple[Floats, npt.NDArray]:
    """Probabilities of members that see the truth more or less clearly."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 3, count)
    logits = rng.normal(0, 1.5, (count, len(clarity), 3))
    for column, strength in enumerate(clarity):
        logits[np.arange(count), column, targets] += strength
    powers = np.exp(logits)
    return powers / powers.sum(axis=2, keepdims=True), targets


def test_it_trusts_the_better_member() -> None:
    clarity = (3.0, 0.0, 0.0, 0.0)
    seen, unseen = members(400, 0, clarity), members(400, 1, clarity)
    net = fit_ensemble(*seen, RECIPE, seed=0)
    together, mean = combine(net, unseen[0]), unseen[0].mean(axis=1)
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-6)
    assert mean_auc(unseen[1], together, [0, 1, 2]) > mean_auc(unseen[1], mean, [0, 1, 2]) + 0.05
    accuracies = [(values.argmax(axis=1) == unseen[1]).mean() for values in (together, mean)]
    assert accuracies[0] > accuracies[1] + 0.05


def test_it_starts_as_the_mean_of_its_members() -> None:
    together, _ = members(200, 0, (1.0, 2.0, 0.0, 0.5, 1.5))
    net = LocallyConnected(members=5, classes=3, filters=20)
    net.start_as_mean()
    np.testing.assert_allclose(combine(net, together), together.mean(axis=1), atol=0.02)


def test_few_rows_do_not_make_it_worse_than_the_mean() -> None:
    """Members that are equally good: all that fitting could add is what the rows had by chance."""
    seen, unseen = members(60, 0, (1.0,) * 5), members(2000, 1, (1.0,) * 5)
    together = combine(fit_ensemble(*seen, LocallyConnectedRecipe(), seed=0), unseen[0])
    mean = unseen[0].mean(axis=1)
    assert mean_auc(unseen[1], together, [0, 1, 2]) > mean_auc(unseen[1], mean, [0, 1, 2]) - 0.01


def test_three_rows_are_enough_to_run() -> None:
    assert np.isfinite(
        combine(fit_ensemble(*members(3, 0, (1.0, 2.0)), RECIPE, 0), np.ones((1, 2, 3)) / 3)
    ).all()


def test_from_noise_it_learns_nothing() -> None:
    """The negative control: what it gains above comes from the members, not from the labels."""
    seen, unseen = members(400, 0, (0.0,) * 4), members(400, 1, (0.0,) * 4)
    together = combine(fit_ensemble(*seen, RECIPE, seed=0), unseen[0])
    assert abs(mean_auc(unseen[1], together, [0, 1, 2]) - 0.5) < 0.06


def test_a_seed_gives_one_ensemble() -> None:
    data = members(60, 0, (1.0, 2.0))
    one, same, other = (combine(fit_ensemble(*data, RECIPE, seed), data[0]) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
