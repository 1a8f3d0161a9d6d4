"""A recipe: one YAML file that says how a published system, or ours, is built and trained.

Every field is checked and an unknown one is an error, so a misspelt learning rate cannot pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from runtime.metadata import MetadataSpec
from runtime.specs import Colour, Fraction, Pixels, Spec, ViewSpec, check_channels
from train.purifier_recipe import Purification

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
# Becomes a folder of the run, a file of the bundle and a column of oof.csv.
Plain = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,59}$")]
Frozen = Literal["none", "trunk", "all_but_last_block"]
Choice = Literal["loss", "balanced_accuracy"]
HeatMap = Literal["visual_backprop", "activations"]


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


class DilatedUNetSpec(Spec):
    """The U-Net of Bisla et al.: unpadded, dilated at the bottom, `width` channels at the top."""

    kind: Literal["dilated_unet"] = "dilated_unet"
    width: Count = 64

    @property
    def described(self) -> str:
        return f"U-Net, dilated, width {self.width}"

    @staticmethod
    def takes(side: int) -> bool:
        """Whether each of three pools finds an even number of rows, and something is left below:
        a step of the lowest map is eight of the image, and it starts with one at 228."""
        return side >= 228 and (side - 228) % 8 == 0


SegmenterNetwork = Annotated[
    UNetSpec | EncoderUNetSpec | DilatedUNetSpec, Field(discriminator="kind")
]

SegmenterLoss = Literal["bce_dice", "bce", "dice"]  # cross-entropy of each pixel, Dice, their sum


class SegmenterRecipe(Spec):
    network: SegmenterNetwork
    size: tuple[Pixels, Pixels]
    colour: Colour = "rgb"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[Positive, ...] = IMAGENET_STD
    threshold: Fraction = 0.5
    fill_holes: bool = True
    loss: SegmenterLoss = "bce_dice"
    training: Training

    @model_validator(mode="after")
    def _network_takes_the_image(self) -> SegmenterRecipe:
        check_channels(self.colour, self.mean, self.std)
        if isinstance(self.network, EncoderUNetSpec) and self.colour != "rgb":
            raise ValueError(f"a timm encoder takes rgb, and colour is {self.colour}")
        if isinstance(self.network, DilatedUNetSpec):
            if not all(map(self.network.takes, self.size)):
                raise ValueError(
                    f"the sides of {list(self.size)} are not 228 and a multiple of 8, as 380 is"
                )
            return self
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
    heatmap: HeatMap = "visual_backprop"  # what shows where it looks; activations: the last layer's

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


CombinerChoice = Annotated[
    Annotated[LocallyConnectedRecipe, Tag("locally_connected")]
    | Annotated[MeanRecipe, Tag("mean")]
    | Annotated[SvmRecipe, Tag("svm")],
    Discriminator(_kind_or("locally_connected")),
]


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


class Recipe(Purification):
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
    synthetic: SyntheticRecipe | None = None
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
            if view.shows_lesion and self.segmenter is None:
                raise ValueError(f"views.{name} shows the lesion, but segmenter is null")
        self.check_sources(self.views, [member.view for member in self.members.values()])
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes has a name twice")
        for name in (*self.positive, self.score):
            if name not in self.classes:
                raise ValueError(f"{name!r} is not one of the classes {', '.join(self.classes)}")
        return self

    @model_validator(mode="after")
    def _made_pictures_fit(self) -> Recipe:
        """What is made is a picture of a whole frame, of nobody, with no mask."""
        if self.synthetic is None:
            return self
        for name in self.synthetic.images:
            if name not in self.classes:
                raise ValueError(f"synthetic.images.{name} is not one of the classes")
        for name, member in self.members.items():
            if self.views[member.view].shows_lesion:
                raise ValueError(
                    f"members.{name} looks at the lesion: synthetic pictures have none"
                )
            if isinstance(member, ZooMeRecipe) and member.metadata:
                raise ValueError(f"members.{name} takes metadata: synthetic pictures are of nobody")
        return self

    @model_validator(mode="after")
    def _weighted_classes_are_there(self) -> Recipe:
        for training in (self.training, *map(self.training_of, self.members)):
            weights = training.class_weights
            for name in weights if isinstance(weights, dict) else ():
                if name not in self.classes:
                    known = ", ".join(self.classes)
                    raise ValueError(f"class_weights has {name!r}, the classes are {known}")
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

    def training_of(self, member: str) -> Training:
        return self.members[member].training or self.training
