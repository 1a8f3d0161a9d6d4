"""Hair and ruler marks taken off a picture, without a network: found as thin dark lines, painted
over from beside.

All of it is decided on a copy whose short side is SIDE pixels, so that a small copy and a camera's
frame of one scene are treated alike. Inside the lesion only a line is touched that comes in from
the skin: what is dark and thin and begins there (a pigment network, a streak) is what networks are
to see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from runtime.lesion import Mask, nearest
from runtime.preprocess import Image, resample

Grey = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

SIDE, LONGEST = 256, 1024
"""Pixels of the copy's sides. All lengths below are in its pixels, and depths in levels of 255."""
SMOOTHING = 0.7
FRAME = 2  # around some pictures
WIDEST = 9  # a line is filled by a closing with a disc of this diameter
LINE, DIRECTIONS = 15, 16  # a hair is straight for this long; bent ones in one direction of these
FAINT, CLEAR = 9, 16  # a line is at least so deep, and somewhere clearly so
IN_LESION = 25  # and so deep wherever it crosses the lesion, which has thin dark parts of its own
LONG = 25  # from end to end, on the skin
STROKE, STROKE_DEPTH, SLENDER = 6, 30, 2.2  # stubble and ticks: short, but dark, and no dots
BAR, BAR_WIDTH, BESIDE_BAR = 60, 5, 12  # a straight line of this length may be a scale's
GROWTH, GROWN_DEPTH = 6, 8  # a line's fainter ends and sides
RIM = 4  # of the lesion, where its own edge is darker than the skin
PATCH = 3  # how far beside a line inpainting looks
MOST = 0.6  # of a picture; under thicker hair there is too little skin to paint from


@dataclass(frozen=True, slots=True)
class Purified:
    picture: Image
    occlusions: Mask  # in the frame's size: 1 where the picture was painted over

    @property
    def unchanged(self) -> bool:
        return not self.occlusions.any()


def purify(frame: Image, lesion: Mask | None = None) -> Purified:
    """`lesion` is its mask at any size, None where there is no segmenter or no lesion.

    Where nothing is found, or hardly anything else, the picture is the very frame given.
    """
    height, width = frame.shape[:2]
    copy = _working_copy(frame)
    found = find_occlusions(copy, None if lesion is None else nearest(lesion, *copy.shape[:2]))
    if not 0 < found.mean() <= MOST:
        return Purified(frame, np.zeros((height, width), np.uint8))
    painted = cv2.inpaint(copy, found, PATCH, cv2.INPAINT_TELEA)
    occlusions = nearest(found, height, width)
    filling = cv2.resize(painted, (width, height), interpolation=cv2.INTER_LINEAR)
    picture = cv2.copyTo(filling, occlusions, frame.copy())
    return Purified(np.asarray(picture, np.uint8), occlusions)


def _working_copy(frame: Image) -> Image:
    height, width = frame.shape[:2]
    scale = min(SIDE / min(height, width), LONGEST / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    return frame if size == (height, width) else np.rint(resample(frame, *size)).astype(np.uint8)


def find_occlusions(copy: Image, lesion: Mask | None) -> Mask:
    """Where hair and marks lie on a picture of the working size."""
    depth, lines, strokes = _measured(copy)
    if lesion is None:  # then any of it may be lesion
        found = _long_lines(lines >= IN_LESION, lines >= IN_LESION)
    else:
        rim = _wider(lesion > 0, 2 * RIM + 1)
        skin = ~rim
        long = _long_lines((lines >= FAINT) & skin, (lines >= CLEAR) & skin)
        beside = _bars(long) & (depth >= CLEAR) & skin
        short = _slender(_apart(strokes >= STROKE_DEPTH, rim))
        found = _grown(long | beside | short, (depth >= GROWN_DEPTH) & skin)
        found |= _reached(long, rim & (lines >= IN_LESION))
    if not found.any():
        return np.zeros(depth.shape, np.uint8)
    # Between two hairs that cross is no skin to paint from, and a line's own blur is none either.
    closed = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_CLOSE, _disc(3))
    return np.asarray(cv2.dilate(closed, _disc(3)), np.uint8)


def _measured(copy: Image) -> tuple[Grey, Grey, Grey]:
    """How much darker a pixel is than what is beside it, where what is dark is thin; and the same
    for the faintest place of a straight line through it, of LINE and of STROKE pixels."""
    luminance = cv2.cvtColor(copy, cv2.COLOR_BGR2LUV)[..., 0]
    smooth = cv2.GaussianBlur(luminance, (0, 0), SMOOTHING)
    # A hair may leave the picture, and a picture may have a frame of a pixel or two.
    edge = min(FRAME, (min(smooth.shape) - 1) // 2)
    inner = smooth[edge : smooth.shape[0] - edge, edge : smooth.shape[1] - edge]
    by = LINE + edge
    wide = cv2.copyMakeBorder(inner, by, by, by, by, cv2.BORDER_REPLICATE)
    depth = cv2.morphologyEx(wide, cv2.MORPH_BLACKHAT, _disc(WIDEST))
    within = slice(LINE, -LINE)
    measured = (depth, _along_lines(depth, LINE), _along_lines(depth, STROKE))
    first, second, third = (np.asarray(each[within, within], np.uint8) for each in measured)
    return first, second, third


def _along_lines(depth: Grey, length: int) -> Grey:
    best = np.zeros_like(depth)
    for turn in range(DIRECTIONS):
        line = _line(length, np.pi * turn / DIRECTIONS)
        cv2.max(best, cv2.morphologyEx(depth, cv2.MORPH_OPEN, line), dst=best)
    return best


def _long_lines(faint: Bools, clear: Bools) -> Bools:
    """What hangs together, reaches far enough and is clear somewhere."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(faint.astype(np.uint8), connectivity=8)
    far = np.hypot(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) >= LONG
    kept = np.zeros(len(stats), bool)
    kept[np.unique(labels[clear])] = True
    kept &= far
    kept[0] = False  # the background
    return np.asarray(kept[labels], bool)


def _bars(long: Bools) -> Bools:
    """Beside a straight line, which may be a scale's: there are its ticks and numbers."""
    band = np.zeros(long.shape, np.uint8)
    for outline in _outlines(long):
        box = cv2.minAreaRect(outline)
        centre, (one, other), angle = box
        if max(one, other) >= BAR and min(one, other) <= BAR_WIDTH:
            wider = (one + 2 * BESIDE_BAR, other + 2 * BESIDE_BAR)
            corners = cv2.boxPoints((centre, wider, angle))
            cv2.fillConvexPoly(band, np.rint(corners).astype(np.int32), 1)
    return band > 0


def _apart(strokes: Bools, rim: Bools) -> Bools:
    """Without those that reach the lesion: they may be its own, such as the streaks of some."""
    _, labels = cv2.connectedComponents(strokes.astype(np.uint8), connectivity=8)
    return strokes & ~np.isin(labels, np.unique(labels[rim & strokes]))


def _slender(strokes: Bools) -> Bools:
    """Those that are long for their width: a dot is none."""
    kept = np.zeros(strokes.shape, np.uint8)
    for outline in _outlines(strokes):
        _, (one, other), _ = cv2.minAreaRect(outline)
        longer, shorter = max(one, other) + 1, min(one, other) + 1
        if longer >= STROKE and longer >= SLENDER * shorter and shorter <= WIDEST:
            cv2.drawContours(kept, [outline], -1, 1, cv2.FILLED)
    return (kept > 0) & strokes


def _grown(found: Bools, dark: Bools) -> Bools:
    """With its fainter ends and sides."""
    for _ in range(GROWTH):
        found = found | (_wider(found, 3) & dark)
    return found


def _reached(long: Bools, lines: Bools) -> Bools:
    """Of the lines in the lesion those that hang together with one on the skin."""
    _, labels = cv2.connectedComponents((long | lines).astype(np.uint8), connectivity=8)
    return np.isin(labels, np.unique(labels[long])) & lines if long.any() else long


def _outlines(mask: Bools) -> Sequence[npt.NDArray[np.int32]]:
    outlines, _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    return outlines


def _wider(mask: Bools, diameter: int) -> Bools:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), _disc(diameter)), bool)


@cache
def _disc(diameter: int) -> Grey:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter))
    return np.asarray(disc, np.uint8)


@cache
def _line(length: int, angle: float) -> Grey:
    reach = length // 2
    x, y = round(np.cos(angle) * reach), round(np.sin(angle) * reach)
    line: Grey = np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8)
    cv2.line(line, (reach - x, reach - y), (reach + x, reach + y), 1)
    return line
