"""Fitting logistic regression on out-of-fold predictions and what is known of the patients.

Each image counts twice, once as if nothing were known: what is not told then costs nothing but what
it would have told, and that something is missing says nothing of its own. In a data set it might.
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


def fit_logistic(
    members: Floats, targets: Codes, known: Floats, nothing: Floats, recipe: LogisticRecipe
) -> LogisticCombiner:
    """`known`: images × numbers, of which there may be none; `nothing`: those of an unknown
    patient."""
    from sklearn.linear_model import LogisticRegression

    points = mean_logarithm(torch.as_tensor(members)).numpy()
    withheld = np.broadcast_to(nothing, known.shape)
    both = np.concatenate([np.hstack([points, known]), np.hstack([points, withheld])])
    found = LogisticRegression(C=recipe.cost, max_iter=ROUNDS).fit(both, np.tile(targets, 2))
    weights, bias = found.coef_, found.intercept_
    if len(weights) == 1:  # of two classes it tells how the second differs from the first
        weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    net = LogisticCombiner(members.shape[2], known.shape[1])
    net.weights.copy_(torch.as_tensor(weights))
    net.bias.copy_(torch.as_tensor(bias))
    return net.eval()
