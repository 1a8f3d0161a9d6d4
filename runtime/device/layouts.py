"""What host and kernels both know, as NumPy sees it: the structures of kernels/shared.cuh."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from runtime.specs import CHANNELS

MOST_CHANNELS = max(CHANNELS.values())
STRIP = 8  # cells that one thread adds up, where a kernel counts
MOST_PIXELS = 65535  # a side of a frame: so that the kernels' products fit into 32 bits


class Format(IntEnum):
    """How pixels lie in memory. YUYV and NV12 are what cameras send: BT.601, 16…235. PLANAR is
    what networks paint: red, green, blue, each by itself, as floats in 0…1."""

    BGR = 0
    YUYV = 1
    NV12 = 2
    PLANAR = 3


COLOURS = {"rgb": 0, "rgb_hsv_l": 1}
AREAS = {"frame": 0, "middle": 1, "lesion": 2}

FRAME = np.dtype(
    [
        ("pixels", np.uint64),
        ("height", np.int32),
        ("width", np.int32),
        ("pitch", np.int32),
        ("format", np.int32),
    ]
)
BOX = np.dtype([(name, np.int32) for name in ("x", "y", "width", "height")])
TARGET = np.dtype(
    [
        ("out", np.uint64),
        ("margin", np.float64),
        *((name, np.int32) for name in ("height", "width", "colour", "half")),
        *((name, np.int32) for name in ("area", "square", "black", "purified")),
        ("mean", np.float32, MOST_CHANNELS),
        ("scale", np.float32, MOST_CHANNELS),
    ]
)
STATE = np.dtype(
    [
        ("best", np.uint64),
        *((name, np.int32) for name in ("top", "left", "bottom", "right")),
        *((name, np.int32) for name in ("area", "next_area", "not_finite", "unused")),
    ]
)
LESION = np.dtype(
    [
        ("box", BOX),
        *((name, np.int32) for name in ("found", "area", "next_area")),
        *((name, np.int32) for name in ("touches_border", "not_finite")),
        ("unused", np.int32, 3),
    ]
)
SAID = np.dtype([("values", np.uint64), ("softmax", np.int32), ("unused", np.int32)])
STRUCTURES = {
    "Frame": FRAME,
    "Box": BOX,
    "Target": TARGET,
    "State": STATE,
    "Lesion": LESION,
    "Said": SAID,
}
