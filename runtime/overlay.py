"""The picture kept beside a result: the frame with the lesion's outline, the crop, the score.

A sheet has a fixed anatomy, so that a report can take it apart again without being told sizes:
the frame on the left, a square with the lesion on its right, a caption strip below both.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from runtime.lesion import Box, Lesion, view_box
from runtime.preprocess import Image
from runtime.shrinking import shrink, within
from runtime.specs import ViewSpec

if TYPE_CHECKING:
    from runtime.chain import Analysis
    from runtime.record import Result

LONG_SIDE = 640
CROP_SIDE = 400  # of the square at most; more would be enlarged, and is dear to write
SHORT_SIDE = 160  # thinner frames are padded, so that crop and caption have room
CAPTION_ROWS = 32
MARGIN = 0.15  # of skin around the lesion in the crop

_CROP_VIEW = ViewSpec(area="lesion", margin=MARGIN, square=True)
_INK = 26  # greys only: what is drawn must not be taken for the colour of skin
_HALO, _FAINT, _PAPER = (20, 20, 20), (168, 168, 168), (255, 255, 255)
SHARES_SIDE = 480  # pixels that an outline for a screen is drawn at
_STRIDE = 4  # pixels between the points of an outline: cheaper to draw, and without stairs

Points = npt.NDArray[np.int32]  # points × 1 × 2, as OpenCV keeps a contour: x, y


def draw_overlay(frame: Image, analysis: Analysis) -> Image:
    """The whole sheet for one analysed frame, ready to be written as a JPEG."""
    picture = _padded(outlined(frame, analysis.lesion))
    rows, columns = picture.shape[:2]
    side = _crop_side(rows)
    sheet = np.full((rows + CAPTION_ROWS, columns + side, 3), _INK, dtype=np.uint8)
    sheet[:rows, :columns] = picture
    if analysis.lesion is not None:
        sheet[:side, columns:] = crop_thumbnail(frame, analysis.lesion, side)
    else:
        _write(sheet[:side, columns:], "no lesion found", 12, side // 2, _FAINT)
    _caption(sheet[rows:], analysis.result)
    return sheet


def split_overlay(sheet: Image) -> tuple[Image, Image] | None:
    """The frame and the crop of a sheet; None if these pixels cannot be one."""
    rows = sheet.shape[0] - CAPTION_ROWS
    side = _crop_side(rows)
    columns = sheet.shape[1] - side
    if min(rows, columns) < SHORT_SIDE:
        return None
    return sheet[:rows, :columns], sheet[:side, columns:]


def _crop_side(rows: int) -> int:
    return min(rows, CROP_SIDE)


def outlined(frame: Image, lesion: Lesion | None, long_side: int = LONG_SIDE) -> Image:
    """The frame with its longer side at most `long_side`, the lesion's outline and box on it."""
    height, width = frame.shape[:2]
    small = within(frame, long_side)
    if lesion is not None:
        _draw_box(small, lesion.box, small.shape[1] / width, small.shape[0] / height)
        curves = outline(lesion, *small.shape[:2])
        cv2.polylines(small, curves, True, _HALO, 5)  # one of the two tones is seen on any skin
        cv2.polylines(small, curves, True, _PAPER, 2, cv2.LINE_AA)
    return small


def outline(lesion: Lesion, height: int, width: int) -> list[Points]:
    """The border of the mask as smooth curves in the pixels of a `height` × `width` picture.

    The mask is a few hundred cells wide: blurring it before it is enlarged turns the stairs of
    its cells into curves. What is too thin to survive the blur is outlined as it is.
    """
    mask = lesion.mask * np.uint8(255)
    for soft in (cv2.GaussianBlur(mask, (5, 5), 1.2), mask):
        large = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
        curves, _ = cv2.findContours(
            cv2.threshold(large, 127, 255, cv2.THRESH_BINARY)[1],
            cv2.RETR_EXTERNAL,
            cv2.CHAIN_APPROX_NONE,
        )
        if curves:
            steps = [_STRIDE if len(curve) > 16 * _STRIDE else 1 for curve in curves]
            return [
                np.ascontiguousarray(curve[::step], dtype=np.int32)
                for curve, step in zip(curves, steps, strict=True)
            ]
    return []


def outline_shares(lesion: Lesion | None, height: int, width: int) -> list[list[list[float]]]:
    """The same curves for a screen of any size: x and y in parts of the frame's sides."""
    if lesion is None:
        return []
    scale = SHARES_SIDE / max(height, width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    curves = outline(lesion, rows, columns)
    return [np.round(curve[:, 0] / (columns, rows), 4).tolist() for curve in curves]


def crop_thumbnail(frame: Image, lesion: Lesion, side: int = 320) -> Image:
    """The lesion with a little skin around it, without any drawing, in a `side`-pixel square."""
    crop = view_box(_CROP_VIEW, lesion, *frame.shape[:2]).cut(frame)
    scale = side / max(crop.shape[:2])
    fitted = shrink(
        crop, max(1, round(crop.shape[0] * scale)), max(1, round(crop.shape[1] * scale))
    )
    return _centred(fitted, side, side)


def overlay_name(source: str, sha256: str) -> str:
    """The file under overlays/ for a record: readable, and safe on every file system.

    Source and content are both in the hash: two files whose names differ only in characters that
    are dropped here, or one file that was changed between two scans, never share a picture.
    """
    plain = unicodedata.normalize("NFKD", source).encode("ascii", "ignore").decode()
    stem = re.sub(r"\.[A-Za-z0-9]{1,5}$", "", plain)
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", stem).strip("-")[-80:].strip("-")
    told = f"{len(source)}:{source}:{sha256}".encode("utf-8", "surrogatepass")
    return f"{slug or 'image'}-{hashlib.sha256(told).hexdigest()[:16]}.jpg"


def _padded(picture: Image) -> Image:
    rows, columns = max(picture.shape[0], SHORT_SIDE), max(picture.shape[1], SHORT_SIDE)
    return _centred(picture, rows, columns)


def _centred(picture: Image, rows: int, columns: int) -> Image:
    if picture.shape[:2] == (rows, columns):
        return picture
    sheet: Image = np.full((rows, columns, 3), _INK, dtype=np.uint8)
    top, left = (rows - picture.shape[0]) // 2, (columns - picture.shape[1]) // 2
    sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet


def _draw_box(picture: Image, box: Box, x_scale: float, y_scale: float) -> None:
    x0, y0 = round(box.x * x_scale), round(box.y * y_scale)
    x1 = max(round((box.x + box.width) * x_scale) - 1, x0)
    y1 = max(round((box.y + box.height) * y_scale) - 1, y0)
    cv2.rectangle(picture, (x0 - 1, y0 - 1), (x1 + 1, y1 + 1), _HALO, 1)
    cv2.rectangle(picture, (x0, y0), (x1, y1), _FAINT, 1)


def _caption(strip: Image, result: Result) -> None:
    words = {"ok": {True: "REFER", False: "no referral", None: "score only"}[result.refer]}
    verdict = words.get(result.status, result.status)
    numbers = "no score" if result.score is None else f"score {result.score:.3f}"
    if result.score is not None and result.threshold is not None:
        numbers += f"   threshold {result.threshold:.3f}"
    end = _write(strip, verdict, 12, 21, _PAPER)
    _write(strip, numbers, end + 20, 21, _FAINT)


def _write(picture: Image, text: str, x: int, y: int, colour: tuple[int, int, int]) -> int:
    """Returns the column where the text ends."""
    font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.5
    cv2.putText(picture, text, (x, y), font, size, colour, 1, cv2.LINE_AA)
    return x + int(cv2.getTextSize(text, font, size, 1)[0][0])
