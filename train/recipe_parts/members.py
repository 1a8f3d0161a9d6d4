"""The networks that classify."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag, model_validator

from runtime.specs import Fraction, Pixels, Spec
from train.recipe_parts.fields import Count, Positive, kind_or
from train.recipe_parts.training import Training

Frozen = Literal["none", "trunk", "all_but_last_block"]
HeatMap = Literal["visual_backprop", "activations"]


class _Classifier(Spec):
    """What every network that classifies is told."""

    backbone: str
    options: dict[str, Any] = {}  # further arguments of the backbone
    view: str
    size: tuple[Pixels, Pixels] = (224, 224)
    mean: tuple[float, float, float] | None = None  # null: what timm says the backbone expects
    std: tuple[float, float, float] | None = None
    frozen: Frozen = "none"  # what of the backbone stays as it was pretrained
    head_rate: Positive = 1.0  # how much faster the layers behind the trunk learn
    training: Training | None = None  # null: the recipe's `training`


class PooledRecipe(_Classifier):
    """A backbone whose maps are pooled. Ding's have an SE block before that and a small fully
    connected layer behind; others are the backbone alone. `backbone` is a timm name, or one of
    train.models.trunks.OWN_TRUNKS."""

    kind: Literal["pooled"] = "pooled"
    cut: int | None = None  # features of this stage (timm's out_indices); null: the last
    se_width: Count | None = 128  # null: no SE block
    zoom_se: bool = False  # Zoom-SE of that width instead
    features: Count | None = 128  # null: what was pooled goes to the classes as it is
    dropout: Fraction = 0.0
    heatmap: HeatMap = "visual_backprop"  # what shows where it looks; activations: the last layer's

    @model_validator(mode="after")
    def _zoom_se_has_a_width(self) -> PooledRecipe:
        if self.zoom_se and self.se_width is None:
            raise ValueError("zoom_se asks for a block, and se_width is null: there is none")
        return self

    @property
    def described(self) -> str:
        cut = "" if self.cut is None else f" up to stage {self.cut}"
        extras = ["Zoom-SE" if self.zoom_se else "SE block"] if self.se_width else []
        extras += [f"{self.features}-d layer"] if self.features else []
        return ", ".join([self.backbone + cut, *extras])


class ZooMeRecipe(_Classifier):
    """Zoom-SE behind each residual block, and features weighted by what is known of the patient.
    `backbone` is a ResNet of timm's, or "alexnet" without Zoom-SE."""

    kind: Literal["zoome"]
    zoom_se: bool = True
    reduction: Count = 16
    metadata: bool = True  # whether it is told the recipe's `metadata`

    @model_validator(mode="after")
    def _gates_learn(self) -> ZooMeRecipe:
        if self.zoom_se and self.frozen != "none":
            raise ValueError("Zoom-SE stands inside the backbone and has all to learn: not frozen")
        return self

    @property
    def described(self) -> str:
        extras = [*(["Zoom-SE"] if self.zoom_se else []), *(["metadata"] if self.metadata else [])]
        return ", ".join([self.backbone, *extras])


MemberRecipe = Annotated[
    Annotated[PooledRecipe, Tag("pooled")] | Annotated[ZooMeRecipe, Tag("zoome")],
    Discriminator(kind_or("pooled")),
]
