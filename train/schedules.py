"""How the learning rate changes while a network is trained."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from train.recipe_parts.training import Training

WARM_UP = 0.1
FACTOR, PATIENCE = 0.5, 2  # where the loss on images set aside has not fallen for so many epochs
FALLS = 3  # of the rate, until a cycle begins anew


class Cycles(ReduceLROnPlateau):
    """Falls where nothing improves; after three falls it jumps up, to half of where it fell from.

    A rate that has become small stays in a saddle point, and one that jumps gets over it.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        super().__init__(optimizer, factor=FACTOR, patience=PATIENCE)
        self.tops = [float(group["lr"]) for group in optimizer.param_groups]
        self.falls = 0

    def step(self, metrics: Any, epoch: Any = None) -> None:  # type: ignore[override]
        before = self._rates()
        super().step(metrics, epoch)
        if self._rates() == before:
            return
        self.falls += 1
        if self.falls <= FALLS:
            return
        self.falls = 0
        self.tops = [FACTOR * top for top in self.tops]
        for group, top in zip(self.optimizer.param_groups, self.tops, strict=True):
            group["lr"] = top

    def _rates(self) -> list[float]:
        return [float(group["lr"]) for group in self.optimizer.param_groups]


def schedule(
    training: Training, optimizer: Optimizer, steps: Callable[[], int]
) -> dict[str, Any] | None:
    """As Lightning takes it; `steps` says how many the whole training has."""
    if training.schedule == "constant":
        return None
    if training.schedule == "cosine":
        whole = steps()
        falling = LambdaLR(optimizer, lambda step: _cosine(step / whole))
        return {"scheduler": falling, "interval": "step"}
    if training.schedule == "plateau":
        plateau = ReduceLROnPlateau(optimizer, factor=FACTOR, patience=PATIENCE)
    else:
        plateau = Cycles(optimizer)
    return {"scheduler": plateau, "monitor": "stop_loss", "interval": "epoch"}


def _cosine(share: float) -> float:
    """A tenth of the way up in a straight line, then down half a cosine."""
    if share < WARM_UP:
        return (share + 1e-3) / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * min((share - WARM_UP) / (1 - WARM_UP), 1.0)))
