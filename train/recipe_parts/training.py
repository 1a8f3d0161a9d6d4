"""How a network learns: how long, how fast, from what, and which epoch is kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from runtime.specs import Fraction, Spec
from train.recipe_parts.fields import Count, Positive

Choice = Literal["loss", "balanced_accuracy"]


class Augmentation(Spec):
    """Random changes to a training image, drawn anew each epoch. Zero or false leaves one out."""

    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0  # degrees either way
    shear: Annotated[float, Field(ge=0, lt=90)] = 0.0  # degrees either way
    flip: bool = False  # left-right and up-down, each one time in two
    shift: Fraction = 0.0  # of the side, along each axis
    mirror: bool = False  # left-right alone
    zoom: Annotated[float, Field(ge=0, lt=1)] = 0.0  # scale between 1 − zoom and 1 + zoom
    crop: Annotated[float, Field(ge=0, lt=1)] = 0.0  # of the side, cut away about the centre
    brightness: Fraction = 0.0
    contrast: Fraction = 0.0
    saturation: Fraction = 0.0
    tint: Fraction = 0.0  # gain of each channel for itself, as white balance has it
    occlude: Fraction = 0.0  # how likely hair is, and a ruler, ink, bubbles, a dark rim, each


class Focal(Spec):
    """Focal loss (Lin et al.): what is judged right already counts little.

    `alpha` weighs the positive classes, and one minus it the others.
    """

    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.25
    gamma: Annotated[float, Field(ge=0)] = 2.0


class Course(Spec):
    """How long and how fast. The device-dependent part (precision, GPUs) is on the command line."""

    epochs: Count
    batch: Count = 32
    rate: Positive = 1e-4
    patience: Count | None = None  # end after so many epochs without a better one
    stop_fraction: Fraction = 0.1  # how many of the training images are set aside to judge by
    augmentation: Augmentation = Augmentation()

    @property
    def choice(self) -> Choice | None:
        """By what the best epoch is found; null: the last is taken."""
        return None if self.patience is None else "loss"

    @property
    def watches(self) -> bool:
        """Whether a part of the training images is set aside to see how it goes."""
        return self.choice is not None


class Training(Course):
    """Of a network that is told what is right."""

    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["constant", "cosine", "plateau", "cyclical"] = "constant"
    # What is kept is the running mean of the weights, of which each step leaves this much.
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    # Which epoch's weights are kept, judged on a part of the training images that is set aside.
    # Null: the last epoch's, or with `patience` the one of the least loss.
    choose: Choice | None = None
    sampling: Literal["natural", "balanced"] = "natural"  # rarer classes repeated in an epoch
    # Inverse frequency, its root, or each class's own (1 where none is given).
    class_weights: Literal["none", "sqrt", "balanced"] | dict[str, Positive] = "none"
    focal: Focal | None = None  # null: cross-entropy

    @property
    def choice(self) -> Choice | None:
        return self.choose or super().choice

    @property
    def watches(self) -> bool:
        return super().watches or self.schedule in ("plateau", "cyclical")

    @model_validator(mode="after")
    def _frequency_counts_once(self) -> Training:
        if self.sampling == "balanced" and self.class_weights in ("sqrt", "balanced"):
            raise ValueError("sampling is balanced: class_weights by frequency would do it twice")
        return self
