"""Fitting logistic regression on out-of-fold predictions and what is known of the patients.

An image of which something is known counts twice, once as if nothing were. And what is known is
taken as its difference from nothing, so that where nothing is told the weights of the patient have
no part in it: that something is missing, as it may be from one clinic's table, tells of no class.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from train.models.logistic import LogisticCombiner, mean_logarithm
from train.recipe_parts.combiners import LogisticRecipe

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
ROUNDS = 10_000
NEVER = -20.0
"""The bias of a class of which there was no image."""


def fit_logistic(
    members: Floats, targets: Codes, known: Floats, nothing: Floats, recipe: LogisticRecipe
) -> LogisticCombiner:
    """`known`: images × numbers, of which there may be none; `nothing`: those of an unknown
    patient."""
    points, told = mean_logarithm(torch.as_tensor(members)).numpy(), known - nothing
    some = np.flatnonzero(told.any(axis=1))
    both = np.concatenate(
        [np.hstack([points, np.zeros_like(told)]), np.hstack([points[some], told[some]])]
    )
    weights, bias = _fitted(
        both, np.concatenate([targets, targets[some]]), members.shape[2], recipe
    )
    net = LogisticCombiner(members.shape[2], known.shape[1])
    net.weights.copy_(torch.as_tensor(weights))
    net.bias.copy_(torch.as_tensor(bias - weights[:, points.shape[1] :] @ nothing))
    return net.eval()


def _fitted(
    rows: Floats, targets: Codes, classes: int, recipe: LogisticRecipe
) -> tuple[Floats, Floats]:
    """Classes × numbers, and a bias each. A part of the data may lack a class."""
    from sklearn.linear_model import LogisticRegression

    weights, bias = np.zeros((classes, rows.shape[1])), np.full(classes, NEVER)
    there = np.unique(targets)
    bias[there] = 0.0
    if len(there) == 1:
        return weights, bias
    found = LogisticRegression(C=recipe.cost, max_iter=ROUNDS).fit(rows, targets)
    if len(there) == 2:  # it tells how the second differs from the first
        weights[there] = np.concatenate([-found.coef_, found.coef_]) / 2
        bias[there] = np.concatenate([-found.intercept_, found.intercept_]) / 2
    else:
        weights[there], bias[there] = found.coef_, found.intercept_
    return weights, bias
