"""From a segmentation's probabilities to the lesion: largest component, box, crop.

Boxes are whole pixels of the full-resolution frame, found by integer arithmetic only, so that
Python and the CUDA kernels cannot round them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from runtime.specs import ViewSpec

Picture = npt.NDArray[Any]  # a frame, or what purification made of it: 8 bits, or floats
Mask = npt.NDArray[np.uint8]  # height × width, 0 or 1, at the segmentation network's size


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of whole pixels: `x`, `y` is its first pixel, `width` and `height` its extent."""

    x: int
    y: int
    width: int
    height: int

    def cut(self, image: Picture) -> Picture:
        return image[self.y : self.y + self.height, self.x : self.x + self.width]

    def scaled(self, before: tuple[int, int], after: tuple[int, int]) -> Box:
        """The same part of a picture at another height and width: every pixel that it touches."""
        (height, width), (rows, columns) = before, after
        y0, y1 = self.y * rows // height, _ceil((self.y + self.height) * rows, height)
        x0, x1 = self.x * columns // width, _ceil((self.x + self.width) * columns, width)
        return Box(x0, y0, x1 - x0, y1 - y0)


@dataclass(frozen=True, slots=True)
class Lesion:
    """What segmentation found, in the pixels of the frame it was found in."""

    mask: Mask
    box: Box
    area_fraction: float
    touches_border: bool
    next_largest: float = 0.0  # area of the next largest component, as a share of this one's


def clean_mask(probabilities: npt.NDArray[np.float32], threshold: float, fill_holes: bool) -> Mask:
    """Threshold, keep the largest 8-connected component, and fill what it encloses.

    Of components of one size the first in reading order is kept: an order that union-find on a
    GPU gives as well.
    """
    raw = (probabilities >= threshold).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(raw, connectivity=8)
    if count <= 1:
        return np.zeros_like(raw)
    areas = stats[1:, cv2.CC_STAT_AREA]
    ties = np.flatnonzero(areas == areas.max()) + 1
    best = ties[0] if len(ties) == 1 else labels.ravel()[np.flatnonzero(np.isin(labels, ties))[0]]
    kept = (labels == best).astype(np.uint8)
    return _fill(kept) if fill_holes else kept


def _fill(mask: Mask) -> Mask:
    """Background that cannot reach the border through 4-neighbours is a hole."""
    outside = np.pad(1 - mask, 1, constant_values=1)
    _, labels = cv2.connectedComponents(outside, connectivity=4)
    return (labels[1:-1, 1:-1] != labels[0, 0]).astype(np.uint8)


def next_largest(probabilities: npt.NDArray[np.float32], threshold: float, mask: Mask) -> float:
    """The largest of what `clean_mask` dropped, as a share of the mask that it kept."""
    dropped = ((probabilities >= threshold) & (mask == 0)).astype(np.uint8)
    if not dropped.any():
        return 0.0
    _, _, stats, _ = cv2.connectedComponentsWithStats(dropped, connectivity=8)
    return float(stats[1:, cv2.CC_STAT_AREA].max()) / float(mask.sum())


def find_lesion(
    mask: Mask, frame_height: int, frame_width: int, next_largest: float = 0.0
) -> Lesion | None:
    """The box of a cleaned mask in frame pixels: every frame pixel that a mask cell touches."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return None
    height, width = mask.shape
    y0, y1 = int(rows[0]) * frame_height // height, _ceil(int(rows[-1] + 1) * frame_height, height)
    x0, x1 = (
        int(columns[0]) * frame_width // width,
        _ceil(int(columns[-1] + 1) * frame_width, width),
    )
    touches = rows[0] == 0 or columns[0] == 0 or rows[-1] == height - 1 or columns[-1] == width - 1
    return Lesion(
        mask=mask,
        box=Box(x0, y0, x1 - x0, y1 - y0),
        area_fraction=float(mask.mean(dtype=np.float64)),
        touches_border=bool(touches),
        next_largest=next_largest,
    )


def _ceil(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)


def view_box(view: ViewSpec, lesion: Lesion | None, frame_height: int, frame_width: int) -> Box:
    """The part of the frame a view shows. Without a lesion it is the whole frame, or its middle.

    (A record made without a lesion that was wanted is never `ok`: see runtime/decision.py.)
    """
    if view.area == "middle":
        edge = frame_width // 8
        return Box(edge, 0, frame_width - 2 * edge, frame_height)
    if view.area == "frame" or lesion is None:
        return Box(0, 0, frame_width, frame_height)
    box = lesion.box
    pad_x, pad_y = int(view.margin * box.width + 0.5), int(view.margin * box.height + 0.5)
    x0, x1 = max(box.x - pad_x, 0), min(box.x + box.width + pad_x, frame_width)
    y0, y1 = max(box.y - pad_y, 0), min(box.y + box.height + pad_y, frame_height)
    if view.square:
        side = max(x1 - x0, y1 - y0)
        x0, x1 = _widen(x0, x1, side, frame_width)
        y0, y1 = _widen(y0, y1, side, frame_height)
    return Box(x0, y0, x1 - x0, y1 - y0)


def _widen(start: int, stop: int, side: int, limit: int) -> tuple[int, int]:
    """Grow start…stop to `side` about its centre, pushed back inside 0…limit, cut if too long."""
    side = min(side, limit)
    start = start - (side - (stop - start)) // 2
    start = min(max(start, 0), limit - side)
    return start, start + side


def cut_view(
    picture: Picture,
    view: ViewSpec,
    lesion: Lesion | None,
    frame: tuple[int, int] | None = None,
) -> Picture:
    """The pixels of a view at full resolution, blackened outside the mask where the view says.

    `frame` is the height and width of the frame that the lesion was found in, where the picture
    is another: what purification made of it.
    """
    size = picture.shape[0], picture.shape[1]
    frame = frame or size
    box = view_box(view, lesion, *frame).scaled(frame, size)
    crop = box.cut(picture)
    if view.background == "keep" or lesion is None:
        return crop
    return np.asarray(cv2.copyTo(crop, nearest(lesion.mask, *size, box)))


def nearest(mask: Mask, height: int, width: int, box: Box | None = None) -> Mask:
    """A mask at another size: pixel i takes the sample floor((i + ½) · mask / pixels). `box`: only
    this part of that."""
    box = box or Box(0, 0, width, height)
    rows = (2 * np.arange(box.y, box.y + box.height) + 1) * mask.shape[0] // (2 * height)
    columns = (2 * np.arange(box.x, box.x + box.width) + 1) * mask.shape[1] // (2 * width)
    return mask[np.ix_(rows, columns)]
