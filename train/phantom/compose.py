"""One phantom: traits, skin, lesion, artefacts, camera, in this order.

    make_phantom(seed=0, index=12, size=256)

Each layer has its own random stream, named by seed, index and layer. A phantom therefore does not
depend on which others were drawn, in what order or by how many processes, and a change to one
layer leaves the others as they were.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from runtime.errors import UsageError
from train.phantom import artefacts as between
from train.phantom.camera import photograph
from train.phantom.hair import draw_hair
from train.phantom.lesion import Shape, draw_shape
from train.phantom.noise import Bits, Field, Grid
from train.phantom.optics import render
from train.phantom.ruler import draw_ruler
from train.phantom.skin import paint_skin, tone_density
from train.phantom.structures import paint_lesion
from train.phantom.traits import Traits, draw_traits, label_of

SMALLEST, LARGEST = 48, 4096


class Layer(IntEnum):
    TRAITS = 0
    SKIN = 1
    SHAPE = 2
    STRUCTURES = 3
    INK = 4
    GEL = 5
    BUBBLES = 6
    HAIR = 7
    RULER = 8
    STICKER = 9
    APERTURE = 10
    CAMERA = 11


@dataclass(frozen=True)
class Phantom:
    image: Bits  # BGR
    mask: Bits  # 0 or 255, as the other two
    hair_mask: Bits
    ruler_mask: Bits
    label: str
    age: int | None
    sex: str | None
    site: str | None
    tone: int
    artefacts: dict[str, bool]
    cues: dict[str, bool]


@dataclass(frozen=True)
class Streams:
    seed: int
    index: int

    def __getitem__(self, layer: Layer) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.index, int(layer)])


def _grid(size: int | tuple[int, int]) -> Grid:
    height, width = (size, size) if isinstance(size, int) else size
    if not all(SMALLEST <= side <= LARGEST for side in (height, width)):
        raise UsageError(
            "A phantom cannot be drawn at this size.",
            got=f"{width}x{height} pixels",
            expected=f"{SMALLEST} to {LARGEST} on each side",
        )
    return Grid(height, width)


def _paint_skin_and_lesion(streams: Streams, grid: Grid, traits: Traits, shape: Shape) -> Field:
    skin = paint_skin(streams[Layer.SKIN], grid, traits.tone)
    pigment = paint_lesion(streams[Layer.STRUCTURES], grid, shape, traits)
    return render(skin, pigment, brightness=float(np.exp(-0.45 * tone_density(traits.tone))))


def make_phantom(
    seed: int, index: int, size: int | tuple[int, int], without: Collection[str] = ()
) -> Phantom:
    """Phantom `index` of the series `seed`; `size` is the side, or (height, width).

    `without` names artefacts that are left out, the rest of the picture staying as it is.
    """
    if seed < 0 or index < 0:
        raise UsageError("Seed and index must not be negative.", got=f"seed {seed}, index {index}")
    grid, streams = _grid(size), Streams(seed, index)
    traits = draw_traits(streams[Layer.TRAITS], label_of(seed, index))
    shape = draw_shape(streams[Layer.SHAPE], grid, traits)
    image = _paint_skin_and_lesion(streams, grid, traits, shape)
    shown = {name: there and name not in without for name, there in traits.artefacts.items()}
    hair = ruler = np.zeros(grid.shape, np.uint8)
    if shown["ink"]:
        image = between.draw_ink(streams[Layer.INK], grid, image, shape.mask)
    if shown["hair"]:
        image, hair = draw_hair(streams[Layer.HAIR], grid, image)
    if shown["gel_border"]:
        image = between.draw_gel_border(streams[Layer.GEL], grid, image)
    if shown["gel_bubble"]:
        image = between.draw_bubbles(streams[Layer.BUBBLES], grid, image)
    if shown["patches"]:
        covered = between.draw_sticker(streams[Layer.STICKER], grid, image, shape.mask)
        shown["patches"] = covered is not None
        image = image if covered is None else covered
    if shown["ruler"]:
        image, ruler = draw_ruler(streams[Layer.RULER], grid, image)
    mask = shape.mask
    light = None
    if shown["dark_corner"]:
        light = between.aperture(streams[Layer.APERTURE], grid)
        hidden = light[0] < 0.5  # what is black in the picture cannot be outlined in it
        mask, hair, ruler = (np.where(hidden, 0, m).astype(np.uint8) for m in (mask, hair, ruler))
    shown["hair"], shown["ruler"] = bool(hair.any()), bool(ruler.any())
    return Phantom(
        image=photograph(streams[Layer.CAMERA], grid, image, light),
        mask=mask,
        hair_mask=hair,
        ruler_mask=ruler,
        label=traits.label,
        age=traits.age,
        sex=traits.sex,
        site=traits.site,
        tone=traits.tone,
        artefacts=shown,
        cues=traits.cues,
    )
