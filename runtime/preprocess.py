"""From a BGR frame to the tensor a network takes: the one definition, for training and device.

Resampling is separable, each axis for itself: where it shrinks, the exact box average; where it
grows, linear with pixel centres at half and edges replicated. `axis_weights` states that rule as a
matrix; `resample` is the same thing done fast by OpenCV, and the kernels in runtime/device do it
on a GPU. All three are held together by tests.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from runtime.specs import PreprocessSpec

Image = npt.NDArray[np.uint8]  # height × width × 3, BGR as OpenCV decodes it
Floats = npt.NDArray[np.float32]

# A large frame is averaged in bands of rows, so that a 100-megapixel photograph never exists as
# floats at once (1.2 GB), and a band stays in the cache.
BAND_ROWS = 64


def axis_weights(source: int, target: int) -> Floats:
    """The resampling of one axis as a `target` × `source` matrix whose rows sum to one."""
    weights = np.zeros((target, source), dtype=np.float64)
    scale = source / target
    for row in range(target):
        if target <= source:
            start, stop = row * scale, (row + 1) * scale
            first, last = int(start), min(int(np.ceil(stop)), source)
            cells = np.arange(first, last)
            cover = np.minimum(cells + 1, stop) - np.maximum(cells, start)
            weights[row, first:last] = np.clip(cover, 0.0, None) / scale
        else:
            centre = (row + 0.5) * scale - 0.5
            left = int(np.floor(centre))
            share = centre - left
            weights[row, min(max(left, 0), source - 1)] += 1.0 - share
            weights[row, min(max(left + 1, 0), source - 1)] += share
    return weights.astype(np.float32)


def resample(image: npt.NDArray[np.uint8] | Floats, height: int, width: int) -> Floats:
    """Resize to `height` × `width` in float32, by the rule above, without rounding."""
    rest = image.shape[2:]
    small = _shrink_y(image, height) if height < image.shape[0] else image.astype(np.float32)
    if width < small.shape[1]:
        small = cv2.resize(small, (width, small.shape[0]), interpolation=cv2.INTER_AREA)
        small = small.reshape(-1, width, *rest)
    if small.shape[:2] != (height, width):  # what is left to do on either axis is growing
        small = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
        small = small.reshape(height, width, *rest)
    return small


def _shrink_y(image: npt.NDArray[np.uint8] | Floats, height: int) -> Floats:
    """Rows as weighted sums of whole rows: both axes then take two thirds of OpenCV's time."""
    rows = image.reshape(image.shape[0], -1)
    first, weights = _row_weights(len(rows), height)
    out = np.empty((height, rows.shape[1]), dtype=np.float32)
    reach = weights.shape[1]
    top = 0
    while top < height:
        start = first[top]
        stop = max(start + BAND_ROWS, start + reach)
        band = rows[start:stop].astype(np.float32, copy=False)
        while top < height and first[top] + reach <= stop:
            at = first[top] - start
            np.dot(weights[top], band[at : at + reach], out=out[top])
            top += 1
    return out.reshape(height, *image.shape[1:])


def _row_weights(source: int, target: int) -> tuple[list[int], Floats]:
    """The rows of `axis_weights` without their zeros, and where each of them begins."""
    scale = source / target
    starts = np.arange(target) * scale
    reach = min(int(np.ceil(scale)) + 1, source)
    first = np.minimum(starts.astype(np.int64), source - reach)
    cells = first[:, None] + np.arange(reach)
    ends = np.minimum(cells + 1, (starts + scale)[:, None])
    cover = np.clip(ends - np.maximum(cells, starts[:, None]), 0.0, None) / scale
    return first.tolist(), cover.astype(np.float32)


def to_colour_space(bgr: Floats, colour: str) -> Floats:
    """BGR in 0…255 to the network's channels, each in 0…1, height × width × channels."""
    rgb = bgr[..., ::-1] * np.float32(1 / 255)
    if colour == "rgb":
        return rgb
    hsv = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2HSV)
    hsv[..., 0] *= np.float32(1 / 360)
    luminance = rgb @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return np.concatenate([rgb, hsv, luminance[..., None]], axis=-1)


def normalise(channels: Floats, spec: PreprocessSpec) -> Floats:
    """(x − mean) / std, to 1 × channels × height × width."""
    planes = np.empty((1, channels.shape[2], *channels.shape[:2]), dtype=np.float32)
    for plane, mean, std in zip(range(channels.shape[2]), spec.mean, spec.std, strict=True):
        # Plane by plane, into its place: six times as fast as the same on all of them at once.
        np.subtract(channels[..., plane], np.float32(mean), out=planes[0, plane])
        planes[0, plane] *= np.float32(1 / std)
    return planes


def to_tensor(frame: npt.NDArray[np.uint8] | Floats, spec: PreprocessSpec) -> Floats:
    """A whole frame, or a crop already cut from it, as the network's input."""
    height, width = spec.size
    return normalise(to_colour_space(resample(frame, height, width), spec.colour), spec)
