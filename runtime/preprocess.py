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

# A wide frame is averaged along x in bands of rows, so that a 100-megapixel photograph never
# exists as floats at once (1.2 GB), and a band stays in the cache.
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
    narrowed = _shrink_x(image, min(width, image.shape[1]))
    if height < narrowed.shape[0]:
        narrowed = cv2.resize(
            narrowed, (narrowed.shape[1], height), interpolation=cv2.INTER_AREA
        ).reshape(height, *narrowed.shape[1:])
    if narrowed.shape[:2] != (height, width):  # what is left to do on either axis is growing
        shape = (height, width, *narrowed.shape[2:])
        narrowed = cv2.resize(narrowed, (width, height), interpolation=cv2.INTER_LINEAR).reshape(
            shape
        )
    return narrowed


def _shrink_x(image: npt.NDArray[np.uint8] | Floats, width: int) -> Floats:
    rows, columns = image.shape[:2]
    out = np.empty((rows, width, *image.shape[2:]), dtype=np.float32)
    for top in range(0, rows, BAND_ROWS):
        band = image[top : top + BAND_ROWS].astype(np.float32)
        if width < columns:
            band = cv2.resize(band, (width, band.shape[0]), interpolation=cv2.INTER_AREA)
        out[top : top + BAND_ROWS] = band.reshape(-1, *out.shape[1:])
    return out


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
