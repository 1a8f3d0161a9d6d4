"""Options that training has, whoever starts it: how images are dealt, what networks start from, and
the machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from train.recipe import Recipe
    from train.trainer import Machine

Command = TypeVar("Command", bound=Callable[..., Any])
MOST_WORKERS = 8

_OPTIONS = (
    click.option(
        "--masks",
        multiple=True,
        type=click.Path(path_type=Path),
        help="A data set whose masks the segmenter learns from, where --data has none.",
    ),
    click.option(
        "--split",
        type=click.Choice(["patient", "paper"]),
        default="patient",
        show_default=True,
        help="Folds that keep a patient, a lesion and a picture together, or by image as papers "
        "do.",
    ),
    click.option(
        "--pretrained/--no-pretrained",
        default=None,
        help="Start from ImageNet weights of the model hub. Default: as the recipe says.",
    ),
    click.option(
        "--weights",
        multiple=True,
        metavar="[BACKBONE=]FILE",
        help="Start a backbone from a safetensors file instead of the hub.",
    ),
    click.option(
        "--precision",
        default="auto",
        show_default=True,
        type=click.Choice(["auto", "32-true", "bf16-mixed", "16-mixed"]),
    ),
    click.option(
        "--accelerator",
        default="auto",
        show_default=True,
        type=click.Choice(["auto", "cpu", "gpu"]),
    ),
    click.option(
        "--devices",
        default=1,
        show_default=True,
        type=click.IntRange(min=1),
        help="How many GPUs (or CPU processes), which share each batch.",
    ),
    click.option(
        "--workers",
        default=None,
        type=click.IntRange(min=0),
        help="Processes that prepare images. Default: one less than there are cores.",
    ),
)


def training_options(command: Command) -> Command:
    """They reach the command as keywords: `Choices(**them)`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Choices:
    masks: tuple[Path, ...]
    split: str
    pretrained: bool | None
    weights: tuple[str, ...]
    precision: str
    accelerator: str
    devices: int
    workers: int | None

    def recipe(self, recipe: Recipe) -> Recipe:
        if self.pretrained is None:
            return recipe
        return recipe.model_copy(update={"pretrained": self.pretrained})

    def machine(self, backbones: Set[str]) -> Machine:
        """`backbones`: those that a file of weights may be for."""
        from train.trainer import Machine, check_machine
        from train.weights import parse_weights

        most = min((os.cpu_count() or 1) - 1, MOST_WORKERS)
        machine = Machine(
            accelerator=self.accelerator,
            devices=self.devices,
            precision=self.precision,
            weights=parse_weights(self.weights, set(backbones)),
            workers=most if self.workers is None else self.workers,
        )
        check_machine(machine)
        return machine
