"""A recipe: one YAML file that says how a published system, or ours, is built and trained.

`dermedge train --recipe NAME` reads train/recipes/NAME.yaml; a path to a YAML file does as well.
Every field is checked and an unknown one is an error, so a misspelt learning rate cannot pass.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from runtime.errors import UsageError
from runtime.specs import Fraction, Pixels, Spec, ViewSpec

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
# Becomes a folder of the run, a file of the bundle and a column of oof.csv.
Plain = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,59}$")]


class Augmentation(Spec):
    """Random changes to a training image, drawn anew each epoch. Zero or false leaves one out."""

    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0  # degrees either way
    flip: bool = False  # left-right and up-down, each one time in two
    shift: Fraction = 0.0  # of the side, along each axis
    zoom: Annotated[float, Field(ge=0, lt=1)] = 0.0  # scale between 1 − zoom and 1 + zoom
    brightness: Fraction = 0.0
    contrast: Fraction = 0.0
    saturation: Fraction = 0.0
    tint: Fraction = 0.0  # gain of each channel for itself, as white balance has it


class Training(Spec):
    """How long and how fast. The device-dependent part (precision, GPUs) is on the command line."""

    epochs: Count
    batch: Count = 32
    optimizer: Literal["adam", "adamw"] = "adam"
    rate: Positive = 1e-4
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["constant", "cosine"] = "constant"  # cosine warms up over a tenth
    patience: Count | None = None  # early stopping, on a part of the training images
    stop_fraction: Fraction = 0.1  # how many images that part is
    class_weights: Literal["none", "sqrt", "balanced"] = "none"  # inverse frequency, or its root
    augmentation: Augmentation = Augmentation()


class UNetSpec(Spec):
    """The U-Net of Ronneberger et al. with four blocks each way, `width` channels at the top."""

    kind: Literal["unet"] = "unet"
    width: Count = 64


class EncoderUNetSpec(Spec):
    """A U-Net around a timm backbone, from segmentation-models-pytorch."""

    kind: Literal["encoder_unet"] = "encoder_unet"
    backbone: str
    decoder: Annotated[tuple[Count, ...], Field(min_length=5, max_length=5)]
    options: dict[str, Any] = {}


SegmenterNetwork = Annotated[UNetSpec | EncoderUNetSpec, Field(discriminator="kind")]


class SegmenterRecipe(Spec):
    network: SegmenterNetwork
    size: tuple[Pixels, Pixels]
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    threshold: Fraction = 0.5
    fill_holes: bool = True
    training: Training

    @model_validator(mode="after")
    def _size_can_be_halved(self) -> SegmenterRecipe:
        step = 2**5 if isinstance(self.network, EncoderUNetSpec) else 2**4
        if any(side % step for side in self.size):
            raise ValueError(f"the sides of {list(self.size)} are no multiples of {step}")
        return self


class MemberRecipe(Spec):
    """One classifier of the ensemble: a backbone, an SE block, a small fully connected layer."""

    backbone: str  # a timm name, or "small_se", the small network of ours
    cut: int | None = None  # features of this stage (timm's out_indices); null: the last
    options: dict[str, Any] = {}  # further arguments of the backbone
    view: str
    size: tuple[Pixels, Pixels] = (224, 224)
    mean: tuple[float, float, float] | None = None  # null: what timm says the backbone expects
    std: tuple[float, float, float] | None = None
    se_width: Count = 128
    features: Count = 128
    dropout: Fraction = 0.0
    head_rate: Positive = 1.0  # how much faster the layers behind the trunk learn
    training: Training | None = None  # null: the recipe's `training`


class EnsembleRecipe(Spec):
    """Two locally connected layers and a softmax, fitted on out-of-fold predictions."""

    filters: Count = 20
    epochs: Count = 300  # at most
    rate: Positive = 3e-4


class Recipe(Spec):
    name: str
    about: str
    intended_use: str
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    positive: Annotated[tuple[str, ...], Field(min_length=1)]
    score: str
    pretrained: bool
    folds: Annotated[int, Field(ge=2)]
    seed: int = 0
    segmenter: SegmenterRecipe
    views: dict[Plain, ViewSpec]
    members: Annotated[dict[Plain, MemberRecipe], Field(min_length=1)]
    training: Training
    ensemble: EnsembleRecipe = EnsembleRecipe()

    @model_validator(mode="after")
    def _names_fit(self) -> Recipe:
        for name, member in self.members.items():
            if member.view not in self.views:
                views = ", ".join(self.views)
                raise ValueError(f"members.{name}.view is {member.view!r}, there are {views}")
            if name in ("segmenter", "ensemble"):
                raise ValueError(f"members.{name} has the name of another part of the system")
        for name, view in self.views.items():
            if view.source != "frame":
                raise ValueError(f"views.{name}.source is {view.source!r}: nothing makes that here")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes has a name twice")
        for name in (*self.positive, self.score):
            if name not in self.classes:
                raise ValueError(f"{name!r} is not one of the classes {', '.join(self.classes)}")
        return self

    def training_of(self, member: str) -> Training:
        return self.members[member].training or self.training


def shipped_recipes() -> list[str]:
    """Names of the recipes in train/recipes."""
    names = [entry.name for entry in files("train").joinpath("recipes").iterdir()]
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def load_recipe(name: str) -> Recipe:
    """A shipped recipe by its name, or any YAML file by its path."""
    if name in shipped_recipes():
        text = (files("train") / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")
    elif Path(name).is_file():
        text = _read(Path(name))
    else:
        raise UsageError(
            "There is no such recipe.",
            got=name,
            expected=", ".join(shipped_recipes()) + ", or the path of a YAML file",
            remedy="copy a shipped recipe, change it, and give its path",
        )
    return parse_recipe(text, name)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError("The recipe cannot be read.", got=f"{file}: {exc}") from exc


def parse_recipe(text: str, where: str) -> Recipe:
    try:
        return Recipe.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as exc:
        raise UsageError(f"Recipe {where} is not valid YAML.", got=exc) from exc
    except ValidationError as exc:
        problems = [
            f"{'.'.join(str(part) for part in error['loc']) or 'recipe'}: {error['msg']}"
            for error in exc.errors()
        ]
        raise UsageError(
            f"Recipe {where} does not fit the schema.",
            got="; ".join(problems),
            remedy="Compare it with train/recipes/ding.yaml.",
        ) from exc
