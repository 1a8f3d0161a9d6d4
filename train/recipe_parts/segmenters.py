"""The network that finds the lesion: which, what it looks at, and how it learns."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from runtime.specs import Colour, Fraction, Pixels, Spec, check_channels
from train.recipe_parts.fields import Count, Positive
from train.recipe_parts.training import Training

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class UNetSpec(Spec):
    """The U-Net of Ronneberger et al. with four blocks each way, `width` channels at the top."""

    kind: Literal["unet"]
    width: Count = 64
    batch_norm: bool = False

    @property
    def described(self) -> str:
        return f"U-Net, width {self.width}{', batch normalisation' * self.batch_norm}"


class EncoderUNetSpec(Spec):
    """A U-Net around a timm backbone, from segmentation-models-pytorch."""

    kind: Literal["encoder_unet"]
    backbone: str
    decoder: Annotated[tuple[Count, ...], Field(min_length=5, max_length=5)]
    options: dict[str, Any] = {}

    @property
    def described(self) -> str:
        return f"U-Net on {self.backbone}"


class DilatedUNetSpec(Spec):
    """The U-Net of Bisla et al.: unpadded, dilated at the bottom, `width` channels at the top."""

    kind: Literal["dilated_unet"]
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
