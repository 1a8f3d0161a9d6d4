"""A recipe: one YAML file that says how a published system, or ours, is built and trained.

`dermedge train --recipe NAME` reads train/recipes/NAME.yaml; a path to a YAML file does as well.
Every field is checked and an unknown one is an error, so a misspelt learning rate cannot pass.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Discriminator, Field, Tag, ValidationError, model_validator

from runtime.errors import UsageError
from runtime.metadata import MetadataSpec
from runtime.specs import Fraction, Pixels, Spec, ViewSpec
from train.purifier_recipe import PurifierRecipe, PurifyAt

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
# Becomes a folder of the run, a file of the bundle and a column of oof.csv.
Plain = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,59}$")]
Frozen = Literal["none", "trunk", "all_but_last_block"]


class Augmentation(Spec):
    """Random changes to a training image, drawn anew each epoch. Zero or false leaves one out."""

    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0  # degrees either way
    flip: bool = False  # left-right and up-down, each one time in two
    shift: Fraction = 0.0  # of the side, along each axis
    mirror: bool = False  # left-right alone
    zoom: Annotated[float, Field(ge=0, lt=1)] = 0.0  # scale between 1 − zoom and 1 + zoom
    crop: Annotated[float, Field(ge=0, lt=1)] = 0.0  # of the side, cut away about the centre
    brightness: Fraction = 0.0
    contrast: Fraction = 0.0
    saturation: Fraction = 0.0
    tint: Fraction = 0.0  # gain of each channel for itself, as white balance has it


class Focal(Spec):
    """Focal loss (Lin et al.): what is judged right already counts little.

    `alpha` weighs the positive classes, and one minus it the others.
    """

    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.25
    gamma: Annotated[float, Field(ge=0)] = 2.0


class Training(Spec):
    """How long and how fast. The device-dependent part (precision, GPUs) is on the command line."""

    epochs: Count
    batch: Count = 32
    optimizer: Literal["adam", "adamw"] = "adam"
    rate: Positive = 1e-4
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["constant", "cosine", "plateau", "cyclical"] = "constant"
    patience: Count | None = None  # early stopping, on a part of the training images
    stop_fraction: Fraction = 0.1  # how many images that part is
    class_weights: Literal["none", "sqrt", "balanced"] = "none"  # inverse frequency, or its root
    focal: Focal | None = None  # null: cross-entropy
    augmentation: Augmentation = Augmentation()

    @property
    def watches(self) -> bool:
        """Whether a part of the training images is set aside to see how it goes."""
        return self.patience is not None or self.schedule in ("plateau", "cyclical")


class UNetSpec(Spec):
    """The U-Net of Ronneberger et al. with four blocks each way, `width` channels at the top."""

    kind: Literal["unet"] = "unet"
    width: Count = 64
    batch_norm: bool = False

    @property
    def described(self) -> str:
        return f"U-Net, width {self.width}{', batch normalisation' * self.batch_norm}"


class EncoderUNetSpec(Spec):
    """A U-Net around a timm backbone, from segmentation-models-pytorch."""

    kind: Literal["encoder_unet"] = "encoder_unet"
    backbone: str
    decoder: Annotated[tuple[Count, ...], Field(min_length=5, max_length=5)]
    options: dict[str, Any] = {}

    @property
    def described(self) -> str:
        return f"U-Net on {self.backbone}"


SegmenterNetwork = Annotated[UNetSpec | EncoderUNetSpec, Field(discriminator="kind")]

SegmenterLoss = Literal["bce_dice", "bce", "dice"]  # cross-entropy of each pixel, Dice, their sum


class SegmenterRecipe(Spec):
    network: SegmenterNetwork
    size: tuple[Pixels, Pixels]
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    threshold: Fraction = 0.5
    fill_holes: bool = True
    loss: SegmenterLoss = "bce_dice"
    training: Training

    @model_validator(mode="after")
    def _size_can_be_halved(self) -> SegmenterRecipe:
        step = 2**5 if isinstance(self.network, EncoderUNetSpec) else 2**4
        if any(side % step for side in self.size):
            raise ValueError(f"the sides of {list(self.size)} are no multiples of {step}")
        return self


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
    features: Count | None = 128  # null: what was pooled goes to the classes as it is
    dropout: Fraction = 0.0

    @property
    def described(self) -> str:
        cut = "" if self.cut is None else f" up to stage {self.cut}"
        extras = ["SE block"] if self.se_width else []
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


def _kind_or(default: str) -> Callable[[Any], str]:
    """Which of several kinds a part is of, where the most usual need not be named."""

    def kind(fields: Any) -> str:
        found = fields.get("kind", default) if isinstance(fields, dict) else fields.kind
        return str(found)

    return kind


MemberRecipe = Annotated[
    Annotated[PooledRecipe, Tag("pooled")] | Annotated[ZooMeRecipe, Tag("zoome")],
    Discriminator(_kind_or("pooled")),
]


class LocallyConnectedRecipe(Spec):
    """Ding's: two locally connected layers and a softmax, fitted on out-of-fold predictions."""

    kind: Literal["locally_connected"] = "locally_connected"
    takes: Literal["probabilities"] = "probabilities"
    filters: Count = 20
    epochs: Count = 300  # at most
    rate: Positive = 3e-4

    @property
    def described(self) -> str:
        return f"locally connected, {self.filters} filters a class"


class MeanRecipe(Spec):
    kind: Literal["mean"]
    takes: Literal["probabilities"] = "probabilities"

    @property
    def described(self) -> str:
        return "mean of the members"


class SvmRecipe(Spec):
    """Support vector machines with hinge loss on the average of the members, then Platt scaling."""

    kind: Literal["svm"]
    takes: Literal["probabilities", "features"] = "features"
    kernel: Literal["linear", "rbf"] = "rbf"
    cost: Positive = 1.0
    class_weights: Literal["none", "balanced"] = "balanced"

    @property
    def described(self) -> str:
        return f"support vector machine ({self.kernel}) on the mean of the members' {self.takes}"


CombinerRecipe = LocallyConnectedRecipe | MeanRecipe | SvmRecipe
CombinerChoice = Annotated[
    Annotated[LocallyConnectedRecipe, Tag("locally_connected")]
    | Annotated[MeanRecipe, Tag("mean")]
    | Annotated[SvmRecipe, Tag("svm")],
    Discriminator(_kind_or("locally_connected")),
]


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
    segmenter: SegmenterRecipe | None  # null: networks look at the whole frame
    views: dict[Plain, ViewSpec]
    members: Annotated[dict[Plain, MemberRecipe], Field(min_length=1)]
    metadata: MetadataSpec | None = None  # what networks may be told of the patient
    training: Training
    purifier: PurifierRecipe | None = None  # how hair and rulers are taken off
    purify_at: PurifyAt = "training"
    ensemble: CombinerChoice | None = LocallyConnectedRecipe()  # null: the one member decides

    @model_validator(mode="after")
    def _names_fit(self) -> Recipe:
        for name, member in self.members.items():
            if member.view not in self.views:
                views = ", ".join(self.views)
                raise ValueError(f"members.{name}.view is {member.view!r}, there are {views}")
            if name in ("segmenter", "purifier", "ensemble"):
                raise ValueError(f"members.{name} has the name of another part of the system")
        for name, view in self.views.items():
            if view.source == "purified" and not self.purifies_always:
                raise ValueError(f"views.{name}.source is 'purified': nothing makes that here")
            if view.shows_lesion and self.segmenter is None:
                raise ValueError(f"views.{name} shows the lesion, but segmenter is null")
        sources = {self.views[member.view].source for member in self.members.values()}
        if self.purifies_always and "purified" not in sources:
            raise ValueError("purify_at is 'always', but no member's view has `source: purified`")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes has a name twice")
        for name in (*self.positive, self.score):
            if name not in self.classes:
                raise ValueError(f"{name!r} is not one of the classes {', '.join(self.classes)}")
        return self

    @model_validator(mode="after")
    def _features_can_be_averaged(self) -> Recipe:
        if self.ensemble is None or self.ensemble.takes != "features":
            return self
        widths = {m.features for m in self.members.values() if isinstance(m, PooledRecipe)}
        plain = all(isinstance(member, PooledRecipe) for member in self.members.values())
        if not plain or None in widths or len(widths) > 1:
            raise ValueError("ensemble takes features: give every member the same `features`")
        return self

    @model_validator(mode="after")
    def _members_fit(self) -> Recipe:
        if self.ensemble is None and len(self.members) > 1:
            raise ValueError("ensemble is null, but there are several members to combine")
        for name, member in self.members.items():
            if not isinstance(member, ZooMeRecipe):
                continue
            if member.metadata and self.metadata is None:
                raise ValueError(f"members.{name} takes metadata, but the recipe says of none")
            if len(self.classes) != 2 or self.positive != self.classes[:1]:
                raise ValueError(f"members.{name} decides between two classes, the positive first")
        return self

    @property
    def purifies_always(self) -> bool:
        return self.purifier is not None and self.purify_at == "always"

    def training_of(self, member: str) -> Training:
        return self.members[member].training or self.training


def shipped_recipes() -> list[str]:
    """Names of the recipes in train/recipes."""
    names = [entry.name for entry in files("train").joinpath("recipes").iterdir()]
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def load_recipe(name: str) -> Recipe:
    """A shipped recipe by its name, or any YAML file by its path; NAME/VARIANT is one of its
    variants."""
    if Path(name).is_file():
        return parse_recipe(_read(Path(name)), name)
    shipped, _, variant = name.partition("/")
    if shipped in shipped_recipes():
        text = (files("train") / "recipes" / f"{shipped}.yaml").read_text(encoding="utf-8")
    else:
        raise UsageError(
            "There is no such recipe.",
            got=name,
            expected=", ".join(shipped_recipes()) + ", or the path of a YAML file",
            remedy="copy a shipped recipe, change it, and give its path",
        )
    return parse_recipe(text, name, variant)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError("The recipe cannot be read.", got=f"{file}: {exc}") from exc


def parse_recipe(text: str, where: str, variant: str = "") -> Recipe:
    try:
        fields = yaml.safe_load(text)
        return Recipe.model_validate(_varied(fields, variant, where))
    except yaml.YAMLError as exc:
        raise UsageError(f"Recipe {where} is not valid YAML.", got=exc) from exc
    except ValidationError as exc:
        problems = [f"{_place(error['loc']) or 'recipe'}: {error['msg']}" for error in exc.errors()]
        raise UsageError(
            f"Recipe {where} does not fit the schema.",
            got="; ".join(problems),
            remedy="Compare it with train/recipes/ding.yaml.",
        ) from exc


def _varied(fields: Any, variant: str, where: str) -> Any:
    """The recipe's fields with those of one of its `variants` in their places."""
    if not isinstance(fields, dict):
        return fields
    variants: dict[str, dict[str, Any]] = fields.pop("variants", None) or {}
    if not variant:
        return fields
    if variant not in variants:
        raise UsageError(
            "The recipe has no such variant.",
            got=where,
            expected=", ".join(variants) or "no variant: it has none",
            remedy="name one of them behind the slash, or leave slash and variant out",
        )
    name = f"{fields.get('name', '')}-{variant}"
    varied = _merged(fields, variants[variant]) | {"name": name}
    members = varied.get("members") or {}  # a variant takes one out by a null
    return varied | {"members": {name: own for name, own in members.items() if own is not None}}


def _merged(fields: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What both have, field by field; a part of another kind takes the place of what was there."""
    both = dict(fields)
    for name, value in other.items():
        known = both.get(name)
        if isinstance(known, dict) and isinstance(value, dict) and _of_one_kind(known, value):
            both[name] = _merged(known, value)
        else:
            both[name] = value
    return both


def _of_one_kind(known: dict[str, Any], value: dict[str, Any]) -> bool:
    return "kind" not in value or value["kind"] == known.get("kind")


def _place(loc: tuple[int | str, ...]) -> str:
    """Where in the file: without the kind of a part, which pydantic puts behind its name."""
    parts = [str(part) for part in loc]
    kind = {"members": 2, "ensemble": 1}.get(parts[0] if parts else "")
    if kind is not None and len(parts) > kind:
        del parts[kind]
    return ".".join(parts)
