"""A camera that is made up: a lesion that wanders, with the noise of a sensor, at a steady rate.

For trying the loop where there is no camera. It is no dermoscopy, and scores of it mean nothing.
"""

from __future__ import annotations

import math
import time

import cv2
import numpy as np

from runtime.capture.address import SIZE, Address
from runtime.capture.source import Place, Source
from runtime.preprocess import Image

SKIN, LESION = (150, 175, 220), (50, 70, 110)  # blue, green, red
NOISE, FIELDS = 3.0, 16
WANDER, PERIOD_SECONDS = 0.12, 8.0  # of the short side; there and back


class Synthetic(Source):
    def __init__(self, address: Address) -> None:
        found = SIZE.fullmatch(address.where)
        assert found is not None, "parse_address wrote it"
        self.width, self.height = int(found["width"]), int(found["height"])
        self.fps = int(found["fps"])
        self.what = f"made up, {self.width} × {self.height} at {self.fps} a second"
        rng = np.random.default_rng(0)
        shape = (self.height, self.width, 3)
        self._noise = [rng.normal(0, NOISE, shape).astype(np.int8) for _ in range(FIELDS)]
        self._started = time.monotonic()
        self._count = 0

    def read(self, place: Place) -> Image:
        self._count += 1
        late = time.monotonic() - self._started - self._count / self.fps
        if late < 0:
            time.sleep(-late)
        else:
            missed = int(late * self.fps)
            self.passed_over += missed
            self._count += missed
        target = place(self.height, self.width)
        target[:] = SKIN
        side = min(self.height, self.width)
        turn = 2 * math.pi * self._count / self.fps / PERIOD_SECONDS
        x = self.width / 2 + WANDER * side * math.cos(turn)
        y = self.height / 2 + WANDER * side * math.sin(2 * turn)
        axes = (round(side * 0.24), round(side * 0.18))
        cv2.ellipse(target, (round(x), round(y)), axes, 20.0, 0.0, 360.0, LESION, cv2.FILLED)
        cv2.add(target, self._noise[self._count % FIELDS], dst=target, dtype=cv2.CV_8U)
        return target

    def close(self) -> None:
        self._noise.clear()
