"""Colour as absorption: light passes pigment twice and loses most of its blue.

Painting densities and taking one exponential at the end keeps overlapping structures in the
colours that real skin has, which blending paint does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from train.phantom.noise import Field, Grid

# Absorption for blue, green, red at density 1.
TAN = np.array([1.00, 0.60, 0.22], np.float32)
SEPIA = np.array([1.00, 0.84, 0.62], np.float32)
DEEP = np.array([0.78, 0.98, 1.06], np.float32)  # melanin in the dermis looks blue-grey
BLOOD = np.array([0.78, 1.00, 0.22], np.float32)

PALE_SKIN = np.array([0.815, 0.835, 0.925], np.float32)
SCAR = np.array([0.83, 0.83, 0.93], np.float32)
KERATIN = np.array([0.74, 0.83, 0.89], np.float32)
VEIL = np.array([0.62, 0.51, 0.45], np.float32)


@dataclass
class Pigment:
    """Densities (melanin, dermal melanin, blood) and cover (0..1) that structures add to."""

    melanin: Field
    sepia: Field  # share of the melanin that is dark, 0..1
    deep: Field
    blood: Field
    veil: Field
    scar: Field
    keratin: Field

    @classmethod
    def empty(cls, grid: Grid) -> Pigment:
        return cls(*(grid.zeros() for _ in range(7)))


def cover(image: Field, colour: Field, amount: Field) -> Field:
    """`colour` over `image`; where `amount` is 0 the image comes back bit for bit."""
    weight = amount[..., None]
    return image + weight * (colour - image)


def render(skin: Field, pigment: Pigment, brightness: float) -> Field:
    """`brightness` scales the covers, which on dark skin must not shine like on pale skin."""
    dark = np.clip(pigment.sepia, 0, 1)[..., None]
    melanin = pigment.melanin[..., None] * (TAN + dark * (SEPIA - TAN))
    rest = pigment.deep[..., None] * DEEP + pigment.blood[..., None] * BLOOD
    image: Field = skin * np.exp(-(melanin + rest))
    for colour, amount in (
        (VEIL, pigment.veil),
        (SCAR, pigment.scar),
        (KERATIN, pigment.keratin),
    ):
        if amount.any():
            image = cover(image, colour * np.float32(brightness), np.clip(amount, 0, 1))
    return image
