"""Frames as JPEG for a browser: encoded once each, however many look on."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

import cv2
import numpy as np

from runtime.decode import decode_image
from runtime.errors import DermedgeError
from runtime.preprocess import Image

if TYPE_CHECKING:
    from runtime.capture.camera import Camera

LIVE_SIDE, LIVE_QUALITY = 1280, 80
KEPT_QUALITY = 90


def as_jpeg(image: Image, long_side: int, quality: int) -> bytes:
    scale = min(1.0, long_side / max(image.shape[:2]))
    if scale < 1:
        size = max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    done, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise DermedgeError("The picture cannot be packed.", got=str(image.shape))
    return packed.tobytes()


def smaller(png: bytes, long_side: int) -> bytes:
    return as_jpeg(decode_image(png, "the capture"), long_side, KEPT_QUALITY)


class LivePictures:
    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._lock = Lock()
        self._last: tuple[int, bytes] = (0, b"")

    def after(self, number: int, timeout: float) -> tuple[int, bytes] | None:
        """The newest picture, where there is one that is newer; waits that long for it."""
        with self._camera.newest(number, timeout) as frame:
            if frame is None:
                return None
            with self._lock:
                if self._last[0] != frame.number:
                    self._last = frame.number, as_jpeg(frame.pixels, LIVE_SIDE, LIVE_QUALITY)
                return self._last
