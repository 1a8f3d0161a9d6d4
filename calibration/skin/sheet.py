"""A contact sheet of a toned data set: a row for each tone, for people to look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from calibration.skin.palette import palette
from runtime.decode import read_image
from runtime.out_folder import write_whole
from runtime.preprocess import Image
from train.data.isic2020_folder import picture_file

if TYPE_CHECKING:
    from calibration.skin.toned_set import Toned

COLUMNS, SIDE = 10, 96


def write_sheet(file: Path, out: Path, toned: Toned) -> None:
    rows = []
    for tone in palette():
        names = [picture["image"] for picture in toned.pictures if picture["tone"] == tone.name]
        label = np.full((SIDE, SIDE, 3), tone.bgr, np.uint8)
        at, white = (6, SIDE - 8), (255, 255, 255)
        cv2.putText(label, tone.name, at, cv2.FONT_HERSHEY_SIMPLEX, 0.8, white, 2, cv2.LINE_AA)
        tiles = [label, *(_tile(picture_file(out, name)) for name in names[:COLUMNS])]
        tiles += [np.full_like(label, 255)] * (COLUMNS + 1 - len(tiles))
        rows.append(np.hstack(tiles))
    write_whole(file, cv2.imencode(".png", np.vstack(rows))[1].tobytes())


def _tile(file: Path) -> Image:
    """The whole picture, as large as it goes, on white."""
    image = read_image(file).frame
    scale = SIDE / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    tile = np.full((SIDE, SIDE, 3), 255, np.uint8)
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    tile[top : top + height, left : left + width] = small
    return tile
