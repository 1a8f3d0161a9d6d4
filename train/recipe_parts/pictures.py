"""Pictures of scarce classes that are made."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from runtime.specs import Spec
from train.recipe_parts.fields import Count, Plain
from train.recipe_parts.training import Course


class SyntheticRecipe(Spec):
    """Pictures of scarce classes, made by DCGANs, that members are trained on beside the real ones.

    Coupled, all classes of the recipe share layers; else each that is made has a GAN of its own.
    """

    kind: Literal["dcgan", "coupled_dcgan"] = "dcgan"
    latent: Count = 10
    width: Count = 8  # channels of the last map before the picture
    size: Literal[32, 64, 128, 256] = 256
    images: Annotated[dict[Plain, Count], Field(min_length=1)]  # how many of which class
    training: Course
