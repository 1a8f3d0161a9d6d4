"""Masks that a segmenter could have given instead of its own, each wrong in a way of its own.

All are made on the own mask's cells. What would lie beyond the frame is cut off.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from runtime.lesion import nearest
from runtime.reporting.wording import percent

Mask = npt.NDArray[np.uint8]
Cells = npt.NDArray[np.int64]

SHARES = (0.1, 0.25, 0.5)  # of the box, that a mask grows and shrinks by
SHIFT = 0.25  # of the box, along both of its sides
BLOB = 0.03  # of the frame


def _name(change: str, share: float) -> str:
    return f"{change}_{share * 100:.0f}"


OWN = "own"
TITLES = {
    OWN: "Its own",
    "drawn": "Drawn by a person",
    **{_name("grown", share): f"Grown by {percent(share)}" for share in SHARES},
    **{_name("shrunk", share): f"Shrunk by {percent(share)}" for share in SHARES},
    "shifted": f"Shifted by {percent(SHIFT)}",
    "blob": f"{percent(BLOB)} of skin elsewhere",
    "other": "Of another image",
    "whole": "The whole frame",
    "nothing": "Nothing found",
}
"""Masks by their names, and what readers are told that they are."""


def wrong_masks(
    own: Mask, drawn: Mask | None, other: Mask, rng: np.random.Generator
) -> dict[str, Mask]:
    """By name, in the order of `TITLES`. `drawn` is what a person drew, where one did."""
    found = {} if drawn is None else {"drawn": nearest(drawn, *own.shape)}
    lesion = own | found.get("drawn", own)
    found |= {_name("grown", share): grown(own, share) for share in SHARES}
    found |= {_name("shrunk", share): shrunk(own, share) for share in SHARES}
    return found | {
        "shifted": shifted(own),
        "blob": blob(lesion, rng),
        "other": nearest(other, *own.shape),
        "whole": np.ones_like(own),
        "nothing": np.zeros_like(own),
    }


def grown(mask: Mask, share: float) -> Mask:
    """Every side of its box moves out by half of that share."""
    sides = (last - first for first, last in (_ends(mask, axis) for axis in (0, 1)))
    brush = _ellipse(*(int(share * side / 2 + 0.5) + 0.5 for side in sides))
    return np.asarray(cv2.dilate(mask, brush), dtype=np.uint8)


def shrunk(mask: Mask, share: float) -> Mask:
    """Drawn together about the middle of its box: never to nothing, as eroding would."""
    places = []
    for axis, cells in enumerate(np.nonzero(mask)):
        middle = sum(_ends(mask, axis)) / 2
        places.append(np.floor(middle + (cells + 0.5 - middle) * (1 - share)).astype(np.int64))
    return _moved_to(mask, *places)


def shifted(mask: Mask) -> Mask:
    """Towards the corner that it is farther from, where it is cut off least."""
    places = []
    for axis, cells in enumerate(np.nonzero(mask)):
        first, last = _ends(mask, axis)
        way = 1 if first < mask.shape[axis] - last else -1
        places.append(cells + way * int(SHIFT * (last - first) + 0.5))
    return _moved_to(mask, *places)


def blob(lesion: Mask, rng: np.random.Generator) -> Mask:
    """A disc, of a square frame, anywhere where it covers least of the lesion."""
    height, width = lesion.shape
    radius = np.sqrt(BLOB / np.pi)
    disc = _ellipse(radius * height, radius * width)
    up, left = disc.shape[0] // 2, disc.shape[1] // 2
    covers = cv2.filter2D(
        lesion.astype(np.float32), -1, disc.astype(np.float32), borderType=cv2.BORDER_CONSTANT
    )
    covers = np.rint(covers[up : height - up, left : width - left])
    y, x = rng.choice(np.argwhere(covers == covers.min()))
    found = np.zeros_like(lesion)
    found[y : y + disc.shape[0], x : x + disc.shape[1]] = disc
    return found


def _ellipse(tall: float, wide: float) -> Mask:
    """Of these half axes, as large as its cells need."""
    y, x = np.ogrid[-int(tall) : int(tall) + 1, -int(wide) : int(wide) + 1]
    return np.asarray((y / tall) ** 2 + (x / wide) ** 2 <= 1, dtype=np.uint8)


def _ends(mask: Mask, axis: int) -> tuple[int, int]:
    """The box along an axis: its first cell, and the one after its last."""
    there = np.flatnonzero(mask.any(axis=1 - axis))
    return int(there[0]), int(there[-1]) + 1


def _moved_to(mask: Mask, rows: Cells, columns: Cells) -> Mask:
    height, width = mask.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    found = np.zeros_like(mask)
    found[rows[inside], columns[inside]] = 1
    return found
