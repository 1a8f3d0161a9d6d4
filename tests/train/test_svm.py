"""Support vector machines as arithmetic: what scikit-learn says, from a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from tests.train.tiny import tiny_recipe
from train.combiners import Material, combine, fit_combiners
from train.data.metrics import auc
from train.models.svm import SvmCombiner
from train.recipe import Recipe
from train.recipe_parts.combiners import SvmRecipe
from train.svm import fit_machines, with_platt

WIDTH = 6
COUNT = 240


def clouds(classes: int, seed: int, spread: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """What two members say of images whose classes lie around points of their own."""
    centres = np.random.default_rng(0).normal(0, 1, (classes, WIDTH))
    rng = np.random.default_rng(seed)
    targets = np.arange(COUNT) % classes
    own = rng.normal(0, spread, (COUNT, 2, WIDTH))
    return centres[targets][:, None] + own, targets


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("classes", [2, 3])
def test_margins_are_those_of_scikit_learn(kernel: str, classes: int) -> None:
    said, targets = clouds(classes, 1)
    recipe = SvmRecipe(kind="svm", kernel=kernel, cost=0.7)
    net = fit_machines(said, targets, classes, recipe, seed=3)
    points = StandardScaler().fit_transform(said.mean(axis=1))
    for number in range(1 if classes == 2 else classes):
        if kernel == "linear":
            machine = LinearSVC(
                loss="hinge", C=0.7, class_weight="balanced", random_state=3, max_iter=100_000
            )
        else:
            machine = SVC(kernel="rbf", C=0.7, class_weight="balanced")
        theirs = machine.fit(points, targets == number).decision_function(points)
        np.testing.assert_allclose(combine(net.margins, said)[:, number], theirs, atol=1e-4)


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_are_what_margins_are_worth(classes: int) -> None:
    """Of images that a machine is as sure of, as many are of its class as it says."""
    said, targets = clouds(classes, 1)
    net = fit_machines(said, targets, classes, SvmRecipe(kind="svm"), seed=0)
    fresh, truth = clouds(classes, 2)
    with_platt(net, combine(net.margins, fresh), truth)
    probabilities = combine(net, fresh)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert abs(probabilities[:, 0].mean() - (truth == 0).mean()) < 0.03
    sure = probabilities[:, 0] > 0.7
    assert (truth == 0)[sure].mean() > 0.65
    assert auc(truth == 0, probabilities[:, 0]) > 0.75


def crossed(kind: dict[str, object], classes: int = 3) -> tuple[dict, Material]:
    fields = tiny_recipe()
    fields["ensemble"] = {"kind": "svm", **kind}
    said, targets = clouds(classes, 1)
    folds = np.arange(COUNT) // classes % 2
    unseen = {"0": np.flatnonzero(folds == 0), "1": np.flatnonzero(folds == 1)}
    unseen["final"] = np.zeros(0, np.int64)
    told = np.zeros((COUNT, 0))
    material = Material(dict.fromkeys(unseen, said), unseen, targets, told, told[0])
    return fit_combiners(Recipe.model_validate(fields), material), material


def test_no_machine_knows_its_own_fold() -> None:
    nets, material = crossed({})
    mixed = material.targets.copy()
    own = material.unseen["0"]  # a fold's own labels say nothing to its own machine
    mixed[own] = np.roll(mixed[own], 1)
    fields = tiny_recipe()
    fields["ensemble"] = {"kind": "svm"}
    again = fit_combiners(Recipe.model_validate(fields), replace(material, targets=mixed))
    for name in ("middle", "scale", "supports", "gamma", "weights", "bias"):
        torch.testing.assert_close(getattr(again["0"], name), getattr(nets["0"], name))
    assert not torch.equal(again["1"].bias, nets["1"].bias)


def test_margins_of_images_it_was_fitted_on_would_flatter() -> None:
    """A machine that learnt its images by heart is as sure of new ones as it has a right to be."""
    nets, material = crossed({"cost": 100.0})
    said, _ = clouds(3, 5)
    average = combine(nets["final"], said).max(axis=1).mean()
    assert average < 0.8
    flattered = with_platt(
        fit_machines(
            material.said["final"], material.targets, 3, SvmRecipe(kind="svm", cost=100.0), seed=0
        ),
        combine(nets["final"].margins, material.said["final"]),
        material.targets,
    )
    assert combine(flattered, said).max(axis=1).mean() > average + 0.05


def test_a_machine_without_supports_is_linear() -> None:
    net = SvmCombiner(width=2, classes=2, supports=0)
    net.weights[:] = torch.tensor([[1.0, -2.0]])
    points = torch.tensor([[[3.0, 1.0], [1.0, 1.0]]])  # two members, whose mean is (2, 1)
    assert net.margins(points).item() == 0
    assert net(points).tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize("slope", [2.0, -0.5])
def test_what_a_machine_says_is_its_margins_sign(slope: float) -> None:
    said, targets = clouds(2, 1)
    net = fit_machines(said, targets, 2, SvmRecipe(kind="svm"), seed=0)
    net.slope[:], net.offset[:] = slope, 0.7  # as where one class is rarer than it was weighted
    yes = net.says_yes(net(torch.as_tensor(said, dtype=torch.float32))[:, :1])[:, 0]
    np.testing.assert_array_equal(yes.numpy(), combine(net.margins, said)[:, 0] > 0)
