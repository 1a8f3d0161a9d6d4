"""The pictures of a record, taken out of its overlay sheet and into the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from runtime.out_folder import HEATMAPS
from runtime.overlay import CROP_SIDE, overlay_name, split_overlay
from runtime.preprocess import Image
from runtime.record import Result

FRAME_SIDE = 560  # pixels of the longer side in the page: 200 cards stay near 10 MB
JPEG_QUALITY = 82


@dataclass(frozen=True)
class Picture:
    """A JPEG as a data address, so that the page needs no other file."""

    address: str
    width: int
    height: int


def load_pictures(overlays: Path, result: Result) -> tuple[Picture, Picture | None] | None:
    """The outlined frame, and the crop where a lesion was found; None without a usable sheet."""
    sheet = _read(overlays, result)
    parts = None if sheet is None else split_overlay(sheet)
    if parts is None:
        return None
    frame, crop = parts
    return _embed(frame, FRAME_SIDE), _embed(crop, CROP_SIDE) if result.lesion else None


def load_heatmap(folder: Path, result: Result) -> Picture | None:
    """`folder` is the one that holds the records; a record names its map below it."""
    if result.heatmap is None:
        return None
    picture = _read(folder / HEATMAPS, result)
    return None if picture is None else _embed(picture, FRAME_SIDE)


def _read(folder: Path, result: Result) -> Image | None:
    """By the name that was made for the record: a path in it could be made up."""
    try:
        data = np.fromfile(folder / overlay_name(result.source, result.sha256), dtype=np.uint8)
    except OSError:
        return None
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    return None if picture is None else np.asarray(picture, dtype=np.uint8)


def _embed(image: Image, side: int) -> Picture:
    scale = min(1.0, side / max(image.shape[:2]))
    width, height = (max(1, round(length * scale)) for length in image.shape[1::-1])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    encoded = base64.b64encode(data.tobytes()).decode("ascii")
    return Picture(f"data:image/jpeg;base64,{encoded}", width, height)
