"""One image file → one BGR frame of 8 bits, or an InputError that says why not.

Training and the device both read images here, so a file is the same pixels to both:

- JPEG, PNG, TIFF, BMP and WebP. The orientation a camera noted (EXIF) is applied.
- Grey, palette and CMYK become BGR; 16 bits a sample become 8.
- Transparent parts are laid over white, as a viewer shows them; an opaque alpha is dropped.
- Refused, because a score would be of something else than was meant: truncated and damaged files,
  animations and files of several pages, and more than MAX_PIXELS.
"""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from runtime.errors import InputError
from runtime.image_headers import Header, read_header
from runtime.preprocess import Image

MAX_PIXELS = 200_000_000  # 600 MB as BGR; beyond it a file is an attack or a mistake
MAX_BYTES = 1_000_000_000

if hasattr(cv2, "setLogLevel"):
    cv2.setLogLevel(0)  # what OpenCV would print of a damaged file is said by our error


@dataclass(frozen=True, slots=True)
class Decoded:
    frame: Image
    sha256: str  # of the file's bytes


def read_image(path: Path, name: str | None = None) -> Decoded:
    """Read and decode a file. `name` is what messages call it, the path unless given."""
    name = printable(str(path) if name is None else name)
    data = read_bytes(path, name)
    return Decoded(decode_image(data, name), hashlib.sha256(data).hexdigest())


def printable(name: str) -> str:
    """A file name on one line: line breaks, control characters and stray bytes are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def read_bytes(path: Path, name: str) -> bytes:
    """The bytes of a regular file. Opening a named pipe would wait for ever, so it is refused."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise InputError(
                f"{name} is not a file.",
                got="a folder" if stat.S_ISDIR(found.st_mode) else "a pipe, socket or device",
                expected="an image file",
                remedy="Name an image file; a folder of them goes with --folder.",
            )
        if found.st_size > MAX_BYTES:
            raise InputError(
                f"{name} is too large.",
                got=f"{found.st_size:,} bytes",
                expected=f"at most {MAX_BYTES:,}",
                remedy="Save the picture as PNG or JPEG.",
            )
        return path.read_bytes()
    except OSError as exc:
        gone = isinstance(exc, FileNotFoundError)
        raise InputError(
            f"{name} cannot be read.",
            got=exc.strerror or str(exc),
            expected="a readable image file",
            remedy="Check the name." if gone else "Check the file's permissions and its disk.",
        ) from exc


def decode_image(data: bytes, name: str, most_pixels: int = MAX_PIXELS) -> Image:
    """Decode the bytes of one image file; `name` is what messages call it."""
    header = read_header(data, name)
    _check_header(header, name, most_pixels)
    frame = _imdecode(data, cv2.IMREAD_COLOR)
    if frame is None or frame.dtype != np.uint8 or frame.ndim != 3:
        raise InputError(
            f"{name} cannot be decoded.",
            got=f"a {header.kind} of {header.width} × {header.height} pixels that is damaged, or "
            "stores its samples in a way that is not read",
            expected="8 or 16 bits a sample, grey, palette, RGB or CMYK",
            remedy="Open it in an image viewer; if that shows it, save it as PNG.",
        )
    if header.kind == "JPEG" and _ends_early(data, header.end, frame):
        raise InputError(
            f"{name} is damaged: its data ends before the picture does.",
            got="a JPEG whose last part is missing",
            expected="a complete image file",
            remedy="Copy the file from its source again.",
        )
    if header.alpha:
        return _without_alpha(data, frame, header, name)
    return frame


def _check_header(header: Header, name: str, most_pixels: int) -> None:
    if header.pages > 1:
        raise InputError(
            f"{name} holds more than one picture, and which one is meant is not known.",
            got=f"a {header.kind} with {header.pages} pages or animation frames",
            expected="one picture",
            remedy="Save the one that is meant as a file of its own.",
        )
    if header.width * header.height > most_pixels:
        raise InputError(
            f"{name} has too many pixels.",
            got=f"{header.width} × {header.height}",
            expected=f"at most {most_pixels // 1_000_000} million",
            remedy="Scale the picture down, or cut out the lesion.",
        )


def _imdecode(data: bytes, flags: int) -> npt.NDArray[Any] | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except (cv2.error, MemoryError):
        return None


def _ends_early(data: bytes, end: int, frame: Image) -> bool:
    """Whether libjpeg filled a part of the picture with grey because the data ran out.

    It does so silently: the last block is then exactly mid-grey. Where a corner is, some bytes are
    put before the end mark: a complete picture does not need them and stays the same.
    """
    corners = frame[[0, 0, -1, -1], [0, -1, 0, -1]]
    if not (corners == 128).all(axis=1).any():
        return False
    filler = bytes(range(16, 144)) * 8
    padded = _imdecode(data[:end] + filler + b"\xff\xd9", cv2.IMREAD_COLOR)
    return padded is None or not np.array_equal(padded, frame)


def _without_alpha(data: bytes, frame: Image, header: Header, name: str) -> Image:
    raw = _imdecode(data, cv2.IMREAD_UNCHANGED)
    if raw is None or raw.ndim != 3 or raw.shape[2] != 4:
        return frame
    full = np.iinfo(raw.dtype).max
    alpha = raw[..., 3:].astype(np.float32) / np.float32(full)
    if alpha.min() == 1:
        return frame
    colours = raw[..., :3].astype(np.float32) * np.float32(255 / full)
    turned = _turn_between(colours, frame)
    if header.kind == "TIFF" or turned is None:
        raise InputError(
            f"{name} has transparent parts whose colours are not known for certain.",
            got=f"a {header.kind} with an alpha channel that is not opaque everywhere",
            expected="a picture without transparency",
            remedy="Save it without the alpha channel.",
        )
    over_white = colours * alpha + 255 * (1 - alpha)
    return np.ascontiguousarray(_turn(np.rint(over_white).astype(np.uint8), turned))


def _turn(image: npt.NDArray[Any], turned: int) -> npt.NDArray[Any]:
    """One of the eight orientations: quarter turns, and mirrored from the fourth on."""
    return np.rot90(image[:, ::-1] if turned >= 4 else image, turned % 4)


def _turn_between(raw: npt.NDArray[np.float32], frame: Image) -> int | None:
    """Which orientation OpenCV applied to the colours, as it does not to a raw image."""
    for turned in range(8):
        candidate = _turn(raw, turned)
        if candidate.shape == frame.shape and np.abs(candidate - frame).max() <= 1:
            return turned
    return None
