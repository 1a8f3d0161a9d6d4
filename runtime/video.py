"""Frames of a video file as items: one every so many seconds, or every one.

A frame's source is `clip.mp4#frame=123`, counted from 0, and its SHA-256 is that of the file: the
same file and number are the same frame, which is what a resumed scan has to know.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np

from runtime.decode import printable
from runtime.errors import InputError
from runtime.preprocess import Image
from runtime.sources import READ, Item, Known, Loaded, Sources, safe_name

FALLBACK_RATE = 30.0  # frames a second, where a file does not say
LOST_SHARE = 0.02  # of the announced frames may be missing: some files announce a little too many


def video(path: Path, every: float) -> Sources:
    """`every` is in seconds; 0 takes every frame."""
    capture = _open(path)
    rate = rate_of(capture)
    announced = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
    step = max(every * rate, 1.0)
    name = safe_name(path.name)
    items = _frames(capture, name, _sha256(path), step, announced)
    return Sources("video", path, (name,), items, math.ceil(announced / step) or None)


def rate_of(capture: cv2.VideoCapture) -> float:
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    return rate if math.isfinite(rate) and 1 <= rate <= 1000 else FALLBACK_RATE


def _open(path: Path) -> cv2.VideoCapture:
    shown = printable(str(path))
    if not path.is_file():
        raise InputError(
            f"{shown} is not a video file.",
            got="a folder" if path.is_dir() else "nothing that can be read at that path",
            expected="a video file",
            remedy="Check the name.",
        )
    if path.suffix.lower() in READ:
        raise InputError(
            f"{shown} is an image.",
            expected="a video file",
            remedy=f"dermedge infer --image {shown}",
        )
    # FFmpeg would print its own view of a damaged file between our lines.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        capture = cv2.VideoCapture(str(path.resolve()))  # absolute: never taken for an address
        opened = capture.isOpened()
    except (cv2.error, UnicodeError):
        opened = False
    if not opened:
        size = path.stat().st_size
        raise InputError(
            f"{shown} cannot be opened as a video.",
            got=f"{size:,} bytes that OpenCV's decoders do not take" if size else "an empty file",
            expected="a complete MP4, MOV, AVI, MKV or similar",
            remedy="Check that it plays; a recording that was cut off may lack its index.",
        )
    return capture


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _frames(
    capture: cv2.VideoCapture, name: str, sha256: str, step: float, announced: int
) -> Iterator[Item]:
    number, due = 0, 0.0
    try:
        while capture.grab():
            if number >= due:
                started = perf_counter()
                done, frame = capture.retrieve()
                if not done:
                    break
                milliseconds = (perf_counter() - started) * 1e3
                pixels = np.ascontiguousarray(frame, dtype=np.uint8)
                yield _item(name, number, sha256, pixels, milliseconds)
                due += step
            number += 1
    finally:
        capture.release()
    if number == 0 or number < announced * (1 - LOST_SHARE):
        error = InputError(
            f"{printable(name)} ends early.",
            got=f"{number} frames",
            expected=f"{announced or 'at least one'}, as the file says",
            remedy="Copy the file from its source again.",
        )
        source = f"{name}#frame={number}"
        yield Item(source, name, partial(_given, Loaded(sha256, error=error), source))


def _item(name: str, number: int, sha256: str, frame: Image, milliseconds: float) -> Item:
    source = f"{name}#frame={number}"
    loaded = Loaded(sha256, frame, decode_ms=milliseconds)
    return Item(source, name, partial(_given, loaded, source))


def _given(loaded: Loaded, source: str, known: Known) -> Loaded:
    return Loaded(loaded.sha256) if known(source, loaded.sha256) else loaded
