"""A contact sheet of written phantoms, a band for each class, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from runtime.errors import UsageError
from train.phantom.layout import Row, image_folder
from train.phantom.noise import Bits
from train.phantom.traits import LABELS

_COLUMNS, _ROWS_A_CLASS, _SIDE, _CAPTION = 7, 2, 224, 20


def _tile(out: Path, row: Row) -> Bits:
    """The whole image in a square, and under it what was drawn."""
    tile = np.full((_SIDE + _CAPTION, _SIDE, 3), 24, np.uint8)
    path = image_folder(out, row.part) / f"{row.image_id}.jpg"
    image: Bits = np.asarray(cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    scale = _SIDE / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    top, left = (_SIDE - height) // 2, (_SIDE - width) // 2
    tile[top : top + height, left : left + width] = small
    words = f"{row.label.rpartition('_')[2]}, tone {row.tone}, {row.age} {row.sex}"
    at, grey = (4, _SIDE + 14), (220, 220, 220)
    cv2.putText(tile, words, at, cv2.FONT_HERSHEY_SIMPLEX, 0.36, grey, 1, cv2.LINE_AA)
    return tile


def write_sheet(path: Path, out: Path, rows: Sequence[Row]) -> None:
    blank = np.full((_SIDE + _CAPTION, _SIDE, 3), 24, np.uint8)
    bands = []
    for label in LABELS:
        chosen = [row for row in rows if row.label == label][: _COLUMNS * _ROWS_A_CLASS]
        tiles = [_tile(out, row) for row in chosen]
        tiles += [blank] * (-len(tiles) % _COLUMNS)
        bands += [np.hstack(tiles[k : k + _COLUMNS]) for k in range(0, len(tiles), _COLUMNS)]
    _, packed = cv2.imencode(".png", np.vstack(bands))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed.tobytes())
    except OSError as exc:
        raise UsageError(
            f"The contact sheet could not be written to {path}.",
            got=exc.strerror or str(exc),
            remedy="Choose another file for --sheet; the data set itself is complete.",
        ) from exc
