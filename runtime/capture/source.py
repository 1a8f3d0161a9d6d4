"""The contract of a source of frames, as the reader process uses it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import numpy as np

from runtime.closing import Closing
from runtime.errors import DermedgeError
from runtime.preprocess import Image

Place = Callable[[int, int], Image]
"""Where a frame of so many rows and columns goes."""


def put(picture: Image, place: Place) -> Image:
    """A picture that was made elsewhere, where the loop will look for it."""
    target = place(*picture.shape[:2])
    np.copyto(target, picture)
    return target


class SourceLost(DermedgeError):
    """The camera is gone, or never came: it is opened again later."""


class FrameDamaged(DermedgeError):
    """One frame is no picture; the next one may be."""


class Source(Closing):
    """An opened camera. What it gives is never a stand-in: no signal is an error, not a frame."""

    what = ""  # driver, format, size and rate, for people
    still = False  # whether one picture again and again is as it should be
    passed_over = 0  # frames that came too fast to be read

    @abstractmethod
    def read(self, place: Place) -> Image:
        """Wait for the next frame and put it into `place`."""
