"""Fitting the locally connected ensemble on out-of-fold predictions.

What it would reach on new images is estimated by crossing the folds once more: for each fold it is
fitted on the others and asked about that one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from train.models.locally_connected import LocallyConnected
from train.recipe import EnsembleRecipe

Floats = npt.NDArray[np.float64]


def fit_ensemble(
    members: Floats, targets: npt.NDArray[np.int64], recipe: EnsembleRecipe, seed: int
) -> LocallyConnected:
    """Full-batch Adam: a few hundred numbers on a few thousand rows need no more."""
    torch.manual_seed(seed)
    net = LocallyConnected(members.shape[1], members.shape[2], recipe.filters)
    inputs = torch.as_tensor(members, dtype=torch.float32)
    truth = torch.as_tensor(targets)
    optimizer = torch.optim.Adam(net.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay)
    for _ in range(recipe.epochs):
        optimizer.zero_grad()
        functional.cross_entropy(net.logits(inputs), truth).backward()
        optimizer.step()
    return net.eval()


@torch.inference_mode()
def combine(net: LocallyConnected, members: Floats) -> Floats:
    return net(torch.as_tensor(members, dtype=torch.float32)).double().numpy()
