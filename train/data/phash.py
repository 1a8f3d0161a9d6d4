"""Tells whether two files show the same picture of the same lesion.

Published sets repeat lesions: byte for byte, resized, recompressed, and (in ISIC 2017 itself) with
another white balance and a slightly shifted frame. Dermoscopy is also full of pictures that look
alike in a small thumbnail, a dark spot in the middle of pink skin, so no thumbnail can decide on
its own. Three steps, each cheaper by far than the one that follows:

1. A 64-bit DCT hash: pairs within `HASH_DISTANCE` bits.
2. Correlation of 24x24 thumbnails of at least `THUMB_CORRELATION`.
3. Registration: the second picture is laid over the first (affine, so a shift, zoom or stretch
   costs nothing), and only fine detail is compared, hairs, network and edges, which is at least
   `DETAIL_CORRELATION` for the same picture. Others reach 0.72, most of them less than 0.3.

Steps 1 and 2 are loose on purpose, they only save time. The limits were read off 17.8 million
pairs of ISIC 2017, HAM10000 and ISIC 2020 pictures, looking at every pair near them.
A picture and a tight crop of it are not matched.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError

HASH_DISTANCE = 18
THUMB_CORRELATION = 0.87
COARSE_CORRELATION = 0.55
DETAIL_CORRELATION = 0.78
MIRRORED_HASH_DISTANCE = 8  # mirrored copies come from augmentation: the same file, so near

THUMB = 48  # side of what is kept of every image
_FINE = 160
_DARK = 40  # grey level below which a pixel may belong to the black frame around the view
_LEAST_OVERLAP = 0.3

Gray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    sha256: str
    thumb: NDArray[np.uint8]  # THUMB x THUMB, aspect ratio given up


def load_gray(path: Path, side: int) -> NDArray[np.uint8]:
    """The picture squashed to a square: copies of a set differ in aspect ratio, lesions do not.

    Large files are decoded at a fraction of their size, which JPEG does for next to nothing.
    """
    size = path.stat().st_size if path.is_file() else 0
    mode = cv2.IMREAD_GRAYSCALE
    if size > 2_000_000:
        mode = cv2.IMREAD_REDUCED_GRAYSCALE_4
    elif size > 300_000:
        mode = cv2.IMREAD_REDUCED_GRAYSCALE_2
    image = cv2.imread(str(path), mode)
    if image is None:
        raise InputError(
            f"Cannot read the image {path}.",
            got="a damaged file or an unknown format" if size else "no file, or an empty one",
            expected="a JPEG, PNG, BMP or TIFF picture",
            remedy="Fetch the file again, or take it out of the data set.",
        )
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8)


def orientations(thumbs: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The stack as it is, then its seven mirror images and quarter turns."""
    turned = [np.rot90(thumbs, turns, axes=(1, 2)) for turns in range(4)]
    return turned + [t[:, :, ::-1] for t in turned]


def hashes(thumbs: NDArray[np.uint8]) -> Gray:
    """64 signs a picture: is this low frequency above the median? As ±1, for matrix products."""
    k = np.arange(8)[:, None] * (2 * np.arange(THUMB)[None, :] + 1)
    basis = np.cos(np.pi * k / (2 * THUMB)).astype(np.float32)
    basis[0] /= np.float32(np.sqrt(2))
    spectrum = (basis @ thumbs.astype(np.float32) @ basis.T).reshape(len(thumbs), 64)
    median = np.median(spectrum[:, 1:], axis=1, keepdims=True)  # the mean level says nothing
    return np.where(spectrum > median, 1, -1).astype(np.float32)


def descriptors(thumbs: NDArray[np.uint8]) -> Gray:
    """24x24 thumbnails of mean 0 and norm 1, so that a dot product is their correlation."""
    n, half = len(thumbs), THUMB // 2
    small = thumbs.reshape(n, half, 2, half, 2).mean(axis=(2, 4), dtype=np.float32)
    flat = small.reshape(n, half * half)
    flat = flat - flat.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(norm, 1e-3), dtype=np.float32)


def align_thumbs(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Gray | None:
    """The affine map from `a` to `b`, or None where even blurred they are not the same picture.

    Half a millisecond, which weeds out most of the pairs that only look alike.
    """
    first, second = a.astype(np.float32), b.astype(np.float32)
    warp = _register(first, second, np.eye(2, 3, dtype=np.float32), blur=3, steps=20)
    if warp is None or _detail_correlation(first, second, warp, 2.0) < COARSE_CORRELATION:
        return None
    return warp


def likeness(a: NDArray[np.uint8], b: NDArray[np.uint8], start: Gray) -> float:
    """Correlation of fine detail after registration that starts from the thumbnails' map."""
    first, second = a.astype(np.float32), b.astype(np.float32)
    scale = a.shape[0] / THUMB
    warp = start.copy()
    warp[:, 2] = scale * warp[:, 2] + (scale - 1) / 2 * (warp[:, :2].sum(axis=1) - 1)
    smooth = [cv2.GaussianBlur(_detail(x, 3.0), (0, 0), 1) for x in (first, second)]
    found = _register(smooth[0], smooth[1], warp, blur=1, steps=30)
    return 0.0 if found is None else _detail_correlation(first, second, found, 3.0)


def load_fine(path: Path) -> NDArray[np.uint8]:
    return load_gray(path, _FINE)


def _detail(image: Gray, sigma: float) -> Gray:
    return np.asarray(image - cv2.GaussianBlur(image, (0, 0), sigma), dtype=np.float32)


def _register(a: Gray, b: Gray, start: Gray, *, blur: int, steps: int) -> Gray | None:
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, steps, 1e-3)
    nowhere: Any = None
    try:
        _, warp = cv2.findTransformECC(a, b, start, cv2.MOTION_AFFINE, stop, nowhere, blur)
    except cv2.error:  # OpenCV's way to say that it did not converge
        return None
    return np.asarray(warp, dtype=np.float32)


def _detail_correlation(a: Gray, b: Gray, warp: Gray, sigma: float) -> float:
    """Over what both pictures show, without the black frame: its edge is the same in thousands."""
    size = (a.shape[1], a.shape[0])
    inverse = cv2.WARP_INVERSE_MAP
    detail = cv2.warpAffine(_detail(b, sigma), warp, size, flags=cv2.INTER_LINEAR | inverse)
    seen = cv2.warpAffine(_usable(b), warp, size, flags=cv2.INTER_NEAREST | inverse)
    margin = max(3, a.shape[0] // 20) | 1
    seen = cv2.erode(seen, np.ones((margin, margin), np.uint8), borderValue=0)
    mask = (seen > 0) & (_usable(a) > 0)
    if mask.mean() < _LEAST_OVERLAP:
        return 0.0
    x, y = _detail(a, sigma)[mask], detail[mask]
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum() + 1e-6))


def _usable(image: Gray) -> NDArray[np.uint8]:
    """1 where the picture is, 0 on dark areas that touch its border, and a little around them."""
    dark = (image < _DARK).astype(np.uint8)
    _, parts = cv2.connectedComponents(dark)
    rim = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    frame = np.isin(parts, np.setdiff1d(rim, [0])).astype(np.uint8)
    reach = max(3, image.shape[0] // 12) | 1
    return 1 - cv2.dilate(frame, np.ones((reach, reach), np.uint8))
