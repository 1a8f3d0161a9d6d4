"""Small value types that a bundle stores and that training and the device share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

CHANNELS = {"rgb": 3, "rgb_hsv_l": 7}
"""Colour spaces a network can take, and how many channels each has.

`rgb_hsv_l` is red, green, blue, hue, saturation, value and luminance, every one in 0…1.
"""

Colour = Literal["rgb", "rgb_hsv_l"]
Pixels = Annotated[int, Field(ge=1, le=8192)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class Spec(BaseModel):
    """Base of everything stored: immutable, and an unknown key is an error, not a surprise."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PreprocessSpec(Spec):
    """How pixels become a network's input: (channels in 0…1 − mean) / std at `size`."""

    size: tuple[Pixels, Pixels]  # height, width
    colour: Colour = "rgb"
    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]

    @model_validator(mode="after")
    def _one_number_a_channel(self) -> PreprocessSpec:
        check_channels(self.colour, self.mean, self.std)
        return self


def check_channels(colour: Colour, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    wanted = CHANNELS[colour]
    if len(mean) != wanted or len(std) != wanted:
        raise ValueError(
            f"{colour} has {wanted} channels, but there are {len(mean)} means "
            f"and {len(std)} deviations"
        )


class ViewSpec(Spec):
    """Which pixels a network looks at: the whole frame, its middle, or the lesion with some margin.

    The middle is all of the height and three quarters of the width: a square, if the frame is 4:3.
    """

    source: Literal["frame", "purified"] = "frame"
    area: Literal["frame", "middle", "lesion"] = "frame"
    margin: Annotated[float, Field(ge=0.0, le=2.0)] = 0.0  # of the lesion's side, on each side
    square: bool = False  # widen the shorter side to the longer, as far as the frame allows
    background: Literal["keep", "black"] = "keep"

    @property
    def shows_lesion(self) -> bool:
        """Whether the lesion has to be known before the view can be cut."""
        return self.area == "lesion" or self.background == "black"
