"""Recordings and pictures in place of a camera: in real time, from the start again at the end."""

from __future__ import annotations

import os
import time
from pathlib import Path

import cv2

from runtime.capture.address import Address
from runtime.capture.source import FrameDamaged, Place, Source, SourceLost, put
from runtime.decode import read_image
from runtime.errors import InputError
from runtime.preprocess import Image
from runtime.sources import READ
from runtime.video import rate_of

PICTURE_SECONDS, PICTURE_RATE = 4.0, 10.0


class PlayedVideo(Source):
    still = True

    def __init__(self, address: Address) -> None:
        self.name = address.name
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        self._capture = cv2.VideoCapture(address.where)
        if not self._capture.isOpened():
            raise SourceLost(f"{self.name} cannot be played.", expected="a complete video file")
        self.fps = rate_of(self._capture)
        width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self.what = f"a recording, {width} × {height} at {self.fps:g} a second"
        self._due = time.monotonic()

    def read(self, place: Place) -> Image:
        self._due += 1 / self.fps
        self._grab()
        while (ahead := self._due - time.monotonic()) < -1 / self.fps:
            self.passed_over += 1
            self._due += 1 / self.fps
            self._grab()
        if ahead > 0:
            time.sleep(ahead)
        done, picture = self._capture.retrieve()
        if not done:
            raise FrameDamaged("A frame of the recording is damaged.")
        return put(picture, place)

    def _grab(self) -> None:
        if self._capture.grab():
            return
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
        if not self._capture.grab():
            raise SourceLost(f"{self.name} has no frame that can be read.")

    def close(self) -> None:
        self._capture.release()


class PlayedFolder(Source):
    still = True

    def __init__(self, address: Address) -> None:
        folder = Path(address.where)
        self._files = sorted(p for p in folder.iterdir() if p.suffix.lower() in READ)
        if not self._files:
            raise SourceLost(f"{address.name} holds no pictures.", expected=", ".join(READ))
        self.what = f"{len(self._files)} pictures, {PICTURE_SECONDS:g} s each"
        self._started = time.monotonic()
        self._count = 0
        self._shown = -1
        self._picture: Image | None = None

    def read(self, place: Place) -> Image:
        self._count += 1
        time.sleep(max(self._started + self._count / PICTURE_RATE - time.monotonic(), 0))
        number = int(self._count / (PICTURE_RATE * PICTURE_SECONDS)) % len(self._files)
        if number != self._shown:
            self._shown, self._picture = number, None
            try:
                self._picture = read_image(self._files[number]).frame
            except InputError as error:
                raise FrameDamaged("A picture cannot be read.", got=error.one_line) from error
        if self._picture is None:
            raise FrameDamaged("A picture cannot be read.", got=self._files[number].name)
        return put(self._picture, place)

    def close(self) -> None:
        self._picture = None
