"""Frames as JPEG for a browser: encoded once each, however many look on."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

import cv2

from runtime.decode import decode_image
from runtime.errors import DermedgeError
from runtime.preprocess import Image
from runtime.shrinking import within

if TYPE_CHECKING:
    from runtime.capture.camera import Camera

LIVE_SIDES, LIVE_QUALITY = (640, 960, 1280), 80
LIVE_SIDE = LIVE_SIDES[-1]
KEPT_QUALITY = 90


def as_jpeg(image: Image, long_side: int, quality: int) -> bytes:
    if max(image.shape[:2]) > long_side:
        image = within(image, long_side)
    done, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise DermedgeError("The picture cannot be packed.", got=str(image.shape))
    return packed.tobytes()


def smaller(png: bytes, long_side: int) -> bytes:
    return as_jpeg(decode_image(png, "the capture"), long_side, KEPT_QUALITY)


class LivePictures:
    """In a few sizes: a browser that shows a small picture need not decode a large one."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._lock = Lock()
        self._last: dict[int, tuple[int, bytes]] = {}

    def after(
        self, number: int, timeout: float, wanted: int = LIVE_SIDE
    ) -> tuple[int, bytes] | None:
        """The newest picture, where there is one that is newer; waits that long for it."""
        side = next((side for side in LIVE_SIDES if side >= wanted), LIVE_SIDE)
        with self._camera.newest(number, timeout) as frame:
            if frame is None:
                return None
            with self._lock:
                packed, jpeg = self._last.get(side, (0, b""))
                if packed != frame.number:
                    jpeg = as_jpeg(frame.pixels, side, LIVE_QUALITY)
                    self._last[side] = frame.number, jpeg
                return frame.number, jpeg
