"""Fitting support vector machines on the members' average, and Platt's sigmoid behind them.

scikit-learn finds the machines; what it found is copied into a network that can be exported.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from train.models.svm import SvmCombiner
from train.recipe_parts.combiners import SvmRecipe

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
ROUNDS = 100_000


def fit_machines(
    said: Floats, targets: Codes, classes: int, recipe: SvmRecipe, seed: int
) -> SvmCombiner:
    """`said` is images × members × width."""
    from sklearn.preprocessing import StandardScaler

    average = said.mean(axis=1)
    scaler = StandardScaler().fit(average)
    points = scaler.transform(average)
    asked = [0] if classes == 2 else range(classes)
    machines = [_machine(recipe, seed).fit(points, targets == code) for code in asked]
    rows, weights = _weights(machines, recipe)
    net = SvmCombiner(points.shape[1], classes, len(rows))
    _copy(net.middle, scaler.mean_)
    _copy(net.scale, scaler.scale_)
    _copy(net.supports, points[rows])
    _copy(net.weights, weights)
    _copy(net.bias, np.concatenate([machine.intercept_ for machine in machines]))
    _copy(net.gamma, _gamma(points))
    return net.eval()


def _machine(recipe: SvmRecipe, seed: int) -> Any:
    from sklearn.svm import SVC, LinearSVC

    weight = None if recipe.class_weights == "none" else recipe.class_weights
    if recipe.kernel == "linear":
        return LinearSVC(
            loss="hinge", C=recipe.cost, class_weight=weight, random_state=seed, max_iter=ROUNDS
        )
    # "scale" is one over width × variance: what `_gamma` says, and the graph computes with.
    return SVC(kernel="rbf", gamma="scale", C=recipe.cost, class_weight=weight)


def _gamma(points: Floats) -> float:
    return 1 / (points.shape[1] * float(points.var()))


def _weights(machines: list[Any], recipe: SvmRecipe) -> tuple[Codes, Floats]:
    """Which rows support any machine, and what each weighs in each of them."""
    if recipe.kernel == "linear":
        return np.zeros(0, np.int64), np.concatenate([machine.coef_ for machine in machines])
    rows = np.unique(np.concatenate([machine.support_ for machine in machines]))
    weights = np.zeros((len(machines), len(rows)))
    for number, machine in enumerate(machines):
        weights[number, np.searchsorted(rows, machine.support_)] = machine.dual_coef_[0]
    return rows, weights


def with_platt(net: SvmCombiner, margins: Floats, targets: Codes) -> SvmCombiner:
    """The sigmoid that turns each machine's margin into a probability, from images it had not seen.

    Platt's targets: not quite one and nought, so that a clean separation does not make it certain.
    """
    from sklearn.linear_model import LogisticRegression

    for number in range(len(net.bias)):
        yes = targets == number
        high, low = (yes.sum() + 1) / (yes.sum() + 2), 1 / ((~yes).sum() + 2)
        share = np.where(yes, high, low)
        fitted = LogisticRegression(C=np.inf, max_iter=ROUNDS).fit(
            np.tile(margins[:, number], 2)[:, None],
            np.repeat([1, 0], len(margins)),
            np.concatenate([share, 1 - share]),
        )
        _copy(net.slope[number], fitted.coef_[0, 0])
        _copy(net.offset[number], fitted.intercept_[0])
    return net


def _copy(buffer: torch.Tensor, values: Any) -> None:
    buffer.copy_(torch.as_tensor(np.asarray(values), dtype=buffer.dtype))
