"""Pictures that are no dermoscopy, of many kinds: what a camera sees when nobody aims it.

A network has a class for each of them all the same. Some are drawn, some are made from pictures of
skin lesions by what no camera does, so that colours or shapes alone cannot tell them from skin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from train.phantom.noise import Bits, Grid, fbm

WORDS = ("the", "quick", "fox", "patient", "report", "page", "frame", "left", "2041", "78", "A4")
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_DUPLEX)


def _colour(rng: np.random.Generator) -> tuple[float, float, float]:
    blue, green, red = rng.uniform(0, 255, 3).tolist()
    return blue, green, red


def _bits(values: npt.ArrayLike) -> Bits:
    return np.clip(np.rint(np.asarray(values)), 0, 255).astype(np.uint8)


def part_of(rng: np.random.Generator, picture: Bits, side: int) -> Bits:
    """A square of it, as large as a camera near or far would see it."""
    short = min(picture.shape[:2])
    cut = int(rng.uniform(min(64, short), short))
    y, x = (int(rng.integers(0, length - cut + 1)) for length in picture.shape[:2])
    return cv2.resize(
        picture[y : y + cut, x : x + cut], (side, side), interpolation=cv2.INTER_AREA
    ).astype(np.uint8)


# -- drawn ---------------------------------------------------------------------------------------


def blank(rng: np.random.Generator, side: int) -> Bits:
    """A lens cap, a wall, a lamp: one colour, uneven light, the sensor's noise."""
    black_white_or_colour = [(0.0, 0.0, 0.0), (255.0, 255.0, 255.0), _colour(rng), _colour(rng)]
    colour = np.array(black_white_or_colour[int(rng.integers(4))], np.float32)
    ramp = np.linspace(-1, 1, side, dtype=np.float32)
    light = rng.uniform(0, 40) * (ramp[None, :] * rng.uniform(-1, 1) + ramp[:, None])
    noise = rng.normal(0, rng.uniform(0, 12), (side, side, 3))
    return _bits(colour + light[..., None] + noise)


def texture(rng: np.random.Generator, side: int) -> Bits:
    """Cloth, wood, stone, tiles: a field between two colours, with or without stripes."""
    grid = Grid(side, side)
    field = fbm(rng, grid, float(rng.uniform(0.02, 0.5)))
    x, y = grid.coordinates()
    angle, waves = rng.uniform(0, np.pi), rng.uniform(2, 40)
    stripes = np.sin(2 * np.pi * waves * (x * np.cos(angle) + y * np.sin(angle)) + 4 * field)
    checks = np.sign(np.sin(2 * np.pi * waves * x) * np.sin(2 * np.pi * waves * y))
    shape = (field, stripes, checks)[int(rng.integers(3))]
    low, high = float(shape.min()), float(shape.max())
    share = (shape - low) / max(high - low, 1e-6)
    one, other = (np.array(_colour(rng), np.float32) for _ in range(2))
    return _bits(one + (other - one) * share[..., None])


def page(rng: np.random.Generator, side: int) -> Bits:
    """Lines of print on paper or on a screen."""
    paper, ink = (250.0, 250.0, 250.0), (20.0, 20.0, 20.0)
    if rng.random() < 0.3:
        paper, ink = _colour(rng), _colour(rng)
    sheet = np.full((side, side, 3), paper, np.uint8)
    size = float(rng.uniform(0.25, 1.2))
    font = FONTS[int(rng.integers(len(FONTS)))]
    for row in range(int(12 * size), side, int(28 * size)):
        words = " ".join(str(word) for word in rng.choice(WORDS, 12))
        cv2.putText(sheet, words, (8, row), font, size, ink, 1, cv2.LINE_AA)
    return sheet


def shapes(rng: np.random.Generator, side: int) -> Bits:
    """A drawing: coloured discs, boxes and lines."""
    scene = np.full((side, side, 3), _colour(rng), np.uint8)
    for _ in range(int(rng.integers(3, 20))):
        start, end = (tuple(rng.integers(0, side, 2).tolist()) for _ in range(2))
        kind, colour = int(rng.integers(3)), _colour(rng)
        if kind == 0:
            cv2.circle(scene, start, int(rng.integers(3, side // 3)), colour, -1, cv2.LINE_AA)
        elif kind == 1:
            cv2.rectangle(scene, start, end, colour, -1)
        else:
            cv2.line(scene, start, end, colour, int(rng.integers(1, 12)), cv2.LINE_AA)
    return scene


# -- made from pictures of lesions ---------------------------------------------------------------


def inverted(rng: np.random.Generator, lesion: Bits) -> Bits:
    return np.asarray(255 - lesion, np.uint8)


def recoloured(rng: np.random.Generator, lesion: Bits) -> Bits:
    """In a hue that no skin has."""
    hsv = cv2.cvtColor(lesion, cv2.COLOR_BGR2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + int(rng.integers(45, 135))) % 180
    hsv[..., 1] = _bits(hsv[..., 1] + rng.uniform(20, 90))
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), np.uint8)


def scrambled(rng: np.random.Generator, lesion: Bits) -> Bits:
    """Its squares in another order: every colour is right and nothing else."""
    count = int(rng.choice([4, 8, 16]))
    side = lesion.shape[0] // count
    places = [(y * side, x * side) for y in range(count) for x in range(count)]
    squares = [lesion[y : y + side, x : x + side] for y, x in places]
    mixed = [squares[i] for i in rng.permutation(len(squares))]
    rows = [np.hstack(mixed[k : k + count]) for k in range(0, len(mixed), count)]
    return np.vstack(rows)


def tiled(rng: np.random.Generator, lesion: Bits) -> Bits:
    """The same lesion many times, as on a sheet of thumbnails."""
    count = int(rng.integers(3, 7))
    side = lesion.shape[0]
    small = cv2.resize(lesion, (side // count,) * 2, interpolation=cv2.INTER_AREA)
    return np.tile(small, (count, count, 1)).astype(np.uint8)


DRAWN: dict[str, Callable[[np.random.Generator, int], Bits]] = {
    "blank": blank,
    "texture": texture,
    "page": page,
    "shapes": shapes,
}
FROM_LESIONS: dict[str, Callable[[np.random.Generator, Bits], Bits]] = {
    "inverted": inverted,
    "recoloured": recoloured,
    "scrambled": scrambled,
    "tiled": tiled,
}
PHOTOGRAPH = "photograph"
KINDS = (PHOTOGRAPH, *DRAWN, *FROM_LESIONS)


def draw(
    kind: str,
    rng: np.random.Generator,
    side: int,
    photographs: Sequence[Bits],
    lesion: Callable[[np.random.Generator], Bits],
) -> Bits:
    """`lesion` gives a square picture of one, of `side` pixels."""
    if kind == PHOTOGRAPH:
        return part_of(rng, photographs[int(rng.integers(len(photographs)))], side)
    if kind in DRAWN:
        return DRAWN[kind](rng, side)
    # Squares and thumbnails leave a rest where their number does not divide the side.
    return np.asarray(cv2.resize(FROM_LESIONS[kind](rng, lesion(rng)), (side, side)), np.uint8)
