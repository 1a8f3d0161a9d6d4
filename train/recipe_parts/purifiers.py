"""What a recipe may say of purification: how hair and rulers are taken off, and where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from runtime.specs import Pixels, Spec, ViewSpec
from train.recipe_parts.fields import Count, Positive

PurifyAt = Literal["training", "always"]
"""`training`: members are trained on purified copies beside the pictures as they are, and a device
shows them those. `always`: on a device too, views with `source: purified` are."""

SIDE_STEP = 32  # what the network halves five times


class ClassicalPurifier(Spec):
    """OpenCV's: runtime/purify.py."""

    method: Literal["classical"]

    @property
    def described(self) -> str:
        return "lines found and painted over"


class PurifierTraining(Spec):
    """Adam for `epochs`, then SGD for `late_epochs`. Bisla et al. give the rates, not how long."""

    epochs: Count
    late_epochs: Count
    batch: Count = 8
    rate: Positive = 2e-4
    late_rate: Positive = 1e-4


class ModelPurifier(Spec):
    """A U-Net of partial convolutions, `width` channels at the top, which learns from what the
    classical method does."""

    method: Literal["model"]
    width: Count = 64
    size: tuple[Pixels, Pixels] = (256, 256)
    training: PurifierTraining

    @model_validator(mode="after")
    def _size_can_be_halved(self) -> ModelPurifier:
        if any(side % SIDE_STEP for side in self.size):
            raise ValueError(f"the sides of {list(self.size)} are no multiples of {SIDE_STEP}")
        return self

    @property
    def described(self) -> str:
        return f"U-Net of partial convolutions, width {self.width}"


PurifierRecipe = Annotated[ClassicalPurifier | ModelPurifier, Field(discriminator="method")]


class Purification(Spec):
    """A recipe's part in it."""

    purifier: PurifierRecipe | None = None
    purify_at: PurifyAt = "training"

    @property
    def purifies_always(self) -> bool:
        return self.purifier is not None and self.purify_at == "always"

    def check_sources(self, views: Mapping[str, ViewSpec], looked_at: Iterable[str]) -> None:
        """That what is looked at is made, and what is made looked at."""
        for name, view in views.items():
            if view.source == "purified" and not self.purifies_always:
                raise ValueError(f"views.{name}.source is 'purified': nothing makes that here")
        if self.purifies_always and all(views[name].source == "frame" for name in looked_at):
            raise ValueError("purify_at is 'always', but no member's view has `source: purified`")
