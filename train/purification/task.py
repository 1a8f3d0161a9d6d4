"""The purification network's training: Adam first, SGD in its later stages, as Bisla et al. did."""

from __future__ import annotations

from typing import Any

import torch

from train.models.purification import PurificationNet
from train.purification.inpainting_loss import Features, inpainting_loss
from train.recipe import Training
from train.tasks import Task

BETAS = (0.5, 0.99)
MOMENTUM = 0.9


class PurifierTask(Task):
    def __init__(
        self, net: PurificationNet, training: Training, features: Features | None, *, late: bool
    ) -> None:
        super().__init__(net, training)
        self.net, self.features, self.late = net, features, late

    def loss(self, given: Any, targets: torch.Tensor) -> torch.Tensor:
        image, valid = given
        painted = self.net.of_valid(image.contiguous(memory_format=torch.channels_last), valid)
        return inpainting_loss(painted.float(), targets, self.features)

    def configure_optimizers(self) -> Any:
        parameters, rate = self.net.parameters(), self.training_recipe.rate
        if self.late:
            return torch.optim.SGD(parameters, lr=rate, momentum=MOMENTUM)
        return torch.optim.Adam(parameters, lr=rate, betas=BETAS)
