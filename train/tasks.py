"""What Lightning trains: a segmenter by cross-entropy, Dice or both, a member by cross-entropy or
by a focal loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import lightning
import torch
from torch import nn
from torch.nn import functional

from train.freezing import hold_still
from train.models.member import Member
from train.recipe_parts.segmenters import SegmenterLoss
from train.recipe_parts.training import Focal, Training
from train.schedules import schedule


class Trained(lightning.LightningModule):
    """`model` is what is kept of it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class Task(Trained, ABC):
    """Optimiser, schedule and logging, the same for every network that is told what is right."""

    def __init__(self, model: nn.Module, training: Training) -> None:
        super().__init__(model)
        self.training_recipe = training

    def train(self, mode: bool = True) -> Task:
        super().train(mode)
        hold_still(self.model)
        return self

    @abstractmethod
    def loss(self, given: Any, targets: torch.Tensor) -> torch.Tensor:
        """`given` is images, or images with what is known of each patient."""

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        loss = self.loss(*batch)
        self.log("loss", loss, prog_bar=True, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, _: int) -> None:
        self.log("stop_loss", self.loss(*batch), prog_bar=True, sync_dist=True)

    def groups(self) -> list[dict[str, Any]]:
        """Parameters by learning rate."""
        return [{"params": list(self.parameters())}]

    def configure_optimizers(self) -> Any:
        recipe = self.training_recipe
        make = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer]
        groups = [
            {**group, "params": [p for p in group["params"] if p.requires_grad]}
            for group in self.groups()
        ]
        optimizer = make(groups, lr=recipe.rate, weight_decay=recipe.weight_decay)
        changing = schedule(recipe, optimizer, self._steps)
        return optimizer if changing is None else {"optimizer": optimizer, "lr_scheduler": changing}

    def _steps(self) -> int:
        return max(int(self.trainer.estimated_stepping_batches), 1)


class SegmenterTask(Task):
    def __init__(self, model: nn.Module, training: Training, loss: SegmenterLoss) -> None:
        super().__init__(model, training)
        self.parts = [LOSSES[part] for part in loss.split("_")]

    def loss(self, given: Any, targets: torch.Tensor) -> torch.Tensor:
        logits = self.model(given.contiguous(memory_format=torch.channels_last)).float()
        return torch.stack([part(logits, targets) for part in self.parts]).sum()


def dice_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """One minus Dice, image by image."""
    probabilities = torch.sigmoid(logits).flatten(1)
    truth = targets.flatten(1)
    overlap = (probabilities * truth).sum(1)
    # One pixel of smoothing: an image without lesion has a Dice too.
    dice = (2 * overlap + 1) / (probabilities.sum(1) + truth.sum(1) + 1)
    return 1 - dice.mean()


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "bce": functional.binary_cross_entropy_with_logits,
    "dice": dice_loss,
}


class MemberTask(Task):
    """`head_rate`: a pretrained trunk is tuned, what stands behind it has all to learn."""

    def __init__(
        self,
        model: nn.Module,
        training: Training,
        weights: torch.Tensor | None,
        head_rate: float = 1.0,
        positive: Sequence[bool] = (),
    ) -> None:
        """`positive` says of each class whether it is, which a focal loss asks for."""
        super().__init__(model, training)
        self.head_rate, self.positive = head_rate, tuple(positive)
        self.class_weights: torch.Tensor | None
        self.register_buffer("class_weights", weights, persistent=False)
        self.found: list[torch.Tensor] = []  # of each batch, by class: found, and all there are

    def groups(self) -> list[dict[str, Any]]:
        trunk = list(cast("Member", self.model).trunk.parameters())
        known = {id(parameter) for parameter in trunk}
        head = [parameter for parameter in self.parameters() if id(parameter) not in known]
        return [
            {"params": trunk},
            {"params": head, "lr": self.training_recipe.rate * self.head_rate},
        ]

    def logits(self, given: Any) -> torch.Tensor:
        images, *known = given if isinstance(given, (list, tuple)) else (given,)
        logits, _ = self.model(images.contiguous(memory_format=torch.channels_last), *known)
        return logits.float()

    def loss(self, given: Any, targets: torch.Tensor) -> torch.Tensor:
        return self.loss_of(self.logits(given), targets)

    def loss_of(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        focal = self.training_recipe.focal
        if focal is None:
            return functional.cross_entropy(logits, targets, weight=self.class_weights)
        return focal_loss(logits, targets, focal, self.positive)

    def validation_step(self, batch: Any, _: int) -> None:
        given, targets = batch
        logits = self.logits(given)
        self.log("stop_loss", self.loss_of(logits, targets), prog_bar=True, sync_dist=True)
        self.found.append(found_of_each(logits, targets))

    def on_validation_epoch_end(self) -> None:
        """Over all images and processes at once: a batch may lack a class."""
        if self.found:
            counts = self.trainer.strategy.reduce(torch.stack(self.found).sum(0), reduce_op="sum")
            self.found.clear()
            self.log("stop_balanced_accuracy", balanced_accuracy(counts), prog_bar=True)


def focal_loss(
    logits: torch.Tensor, targets: torch.Tensor, how: Focal, positive: Sequence[bool]
) -> torch.Tensor:
    """−α (1 − p)^γ log p of the class that is true, in the mean over the images."""
    said = functional.log_softmax(logits, dim=1).gather(1, targets[:, None])[:, 0]
    shares = [how.alpha if one else 1 - how.alpha for one in positive]
    alpha = torch.tensor(shares, device=logits.device)[targets]
    return -(alpha * (1 - said.exp()) ** how.gamma * said).mean()


def found_of_each(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """By class: how many images of it were taken for it, and how many there are."""
    classes = logits.shape[1]
    right = targets[logits.argmax(dim=1) == targets]
    return torch.stack([torch.bincount(each, minlength=classes) for each in (right, targets)])


def balanced_accuracy(counts: torch.Tensor) -> torch.Tensor:
    """The mean over the classes that there are images of."""
    found, there = counts.double()
    return (found[there > 0] / there[there > 0]).mean()


def class_weights(
    targets: list[int], classes: Sequence[str], how: str | Mapping[str, float]
) -> torch.Tensor | None:
    """As given by name, or by frequency: its inverse, or the root of that, with a mean of one over
    the images."""
    if how == "none":
        return None
    if not isinstance(how, str):
        return torch.tensor([how.get(name, 1.0) for name in classes])
    counts = torch.bincount(torch.tensor(targets), minlength=len(classes)).double()
    weights = counts.sum() / counts.clamp_min(1)
    if how == "sqrt":
        weights = weights.sqrt()
    return (weights * counts.sum() / (weights * counts).sum()).float()
