"""The purification network's training: Adam first, SGD in its later stages, as Bisla et al. did."""

from __future__ import annotations

from typing import Any

import torch

from train.models.purification import PurificationNet
from train.purification.inpainting_loss import Features, inpainting_loss
from train.tasks import Trained

BETAS = (0.5, 0.99)
MOMENTUM = 0.9


class PurifierTask(Trained):
    def __init__(
        self, net: PurificationNet, rate: float, features: Features | None, *, late: bool
    ) -> None:
        super().__init__(net)
        self.net, self.rate, self.features, self.late = net, rate, features, late

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        loss = self.loss(*batch)
        self.log("loss", loss, prog_bar=True, on_step=True, on_epoch=True)
        return loss

    def loss(self, given: Any, targets: torch.Tensor) -> torch.Tensor:
        image, valid = given
        painted = self.net.of_valid(image.contiguous(memory_format=torch.channels_last), valid)
        return inpainting_loss(painted.float(), targets, self.features)

    def configure_optimizers(self) -> Any:
        if self.late:
            return torch.optim.SGD(self.net.parameters(), lr=self.rate, momentum=MOMENTUM)
        return torch.optim.Adam(self.net.parameters(), lr=self.rate, betas=BETAS)
