"""Cameras that OpenCV reads: USB and other V4L2 devices, and RTSP through FFmpeg."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from runtime.capture.address import Address
from runtime.capture.source import FrameDamaged, Place, Source, SourceLost, put
from runtime.capture.v4l2 import DECODED, set_controls
from runtime.decode import decode_image
from runtime.errors import InputError
from runtime.preprocess import Image

if TYPE_CHECKING:
    from runtime.capture.camera_profile import Profile

SILENCE_SECONDS = 5
# Of a stream that is joined in the middle, until it sends a whole picture again.
MOST_DAMAGED = 300
AT_ONCE_SECONDS = 0.01  # in which no camera takes a picture: it was there before


class V4l2Camera(Source):
    """MJPG is decoded here, not by OpenCV, which makes a grey picture of a damaged one."""

    def __init__(self, address: Address, profile: Profile) -> None:
        os.environ["OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"] = str(SILENCE_SECONDS)
        self.name, self._device = address.name, address.where
        self._capture = cv2.VideoCapture(address.where, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise SourceLost(
                f"{self.name} cannot be opened.",
                got=_why_not(address.where),
                expected="a camera that no other program holds",
                remedy="dermedge doctor --cameras",
            )
        self._ask_for(profile)
        code = int(self._capture.get(cv2.CAP_PROP_FOURCC))
        self.format = code.to_bytes(4, "little", signed=False).decode("latin-1").strip("\0 ")
        width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self._size = width, height
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        driver = self._capture.getBackendName()
        self.what = f"{driver} {self.format}, {width} × {height} at {rate:g} a second"
        if self.format not in DECODED:
            self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 1)

    def _ask_for(self, profile: Profile) -> None:
        """What the camera makes of it is read back: drivers answer with the nearest they have."""
        if profile.format is not None:
            self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*profile.format))
        if profile.size is not None:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, profile.size[0])
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, profile.size[1])
        if profile.fps is not None:
            self._capture.set(cv2.CAP_PROP_FPS, profile.fps)
        self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        if problems := set_controls(Path(self._device), profile.controls):
            self.close()
            raise SourceLost(
                f"{self.name} cannot be set up as its profile says.",
                got="; ".join(problems),
                remedy="dermedge doctor --cameras  lists its controls",
            )

    def read(self, place: Place) -> Image:
        done, raw = self._capture.read()
        if not done:
            raise SourceLost(f"{self.name} gives no frames.", got=_why_not(self._device))
        if self.format == "MJPG":
            try:
                picture = decode_image(raw.tobytes(), "the picture")
            except InputError as error:
                raise FrameDamaged("A picture is damaged.", got=error.one_line) from error
        elif self.format == "YUYV":
            picture = self._from_yuyv(raw)
        else:
            picture = raw
        return put(picture, place)

    def _from_yuyv(self, raw: np.ndarray) -> Image:
        width, height = self._size
        if raw.size != width * height * 2:
            raise FrameDamaged(
                "A frame is incomplete.", got=f"{raw.size:,} bytes", expected=width * height * 2
            )
        pairs = raw.reshape(height, width, 2)
        return np.asarray(cv2.cvtColor(pairs, cv2.COLOR_YUV2BGR_YUYV), dtype=np.uint8)

    def close(self) -> None:
        self._capture.release()


class RtspCamera(Source):
    def __init__(self, address: Address) -> None:
        os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "rtsp_transport;tcp"
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        limits = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, SILENCE_SECONDS * 1000,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC, SILENCE_SECONDS * 1000,
        ]  # fmt: skip
        self.name = address.name
        self._capture = cv2.VideoCapture(address.where, cv2.CAP_FFMPEG, limits)
        if not self._capture.isOpened():
            raise SourceLost(
                f"{self.name} does not answer.",
                expected="an RTSP stream within 5 s",
                remedy="try the address with  ffplay -rtsp_transport tcp",
            )
        width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self.what = f"RTSP, {width} × {height}"
        self._damaged = 0  # in a row
        self._failed_at_once = False
        self._pass_over_what_was_kept()

    def _pass_over_what_was_kept(self) -> None:
        """FFmpeg looks at a stream for up to a second before it opens it, and keeps that for us."""
        while self.passed_over < MOST_DAMAGED:
            asked = time.monotonic()
            if not self._capture.grab() or time.monotonic() - asked > AT_ONCE_SECONDS:
                return
            self.passed_over += 1

    def read(self, place: Place) -> Image:
        """OpenCV says the same of a stream that ended, fell silent or sent what is no picture. One
        that ended fails at once again and again: those were no frames, and are not counted as such.
        """
        asked = time.monotonic()
        done, picture = self._capture.read()
        took = time.monotonic() - asked
        if done:
            self._damaged, self._failed_at_once = 0, False
            return put(picture, place)
        ended = self._failed_at_once and took < AT_ONCE_SECONDS
        self._damaged, self._failed_at_once = self._damaged + 1, took < AT_ONCE_SECONDS
        if ended or self._damaged > MOST_DAMAGED or took > SILENCE_SECONDS / 2:
            raise SourceLost(f"{self.name} broke off.", got="no more pictures")
        raise FrameDamaged("A picture cannot be decoded.")

    def close(self) -> None:
        self._capture.release()


def _why_not(device: str) -> str:
    try:
        os.close(os.open(device, os.O_RDWR | os.O_NONBLOCK))
    except OSError as exc:
        return exc.strerror or str(exc)
    return "the driver gives no reason"
