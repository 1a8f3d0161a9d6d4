"""Room for frames that two processes share: written by the reader, read by the loop, never copied.

The memory belongs to no name in the file system (memfd), so nothing is left behind by whoever is
killed, and nothing is limited by the size of /dev/shm. A slot has one owner at a time: to write is
the reader's until it publishes the slot, to read is the loop's until it hands it back. Both say so
over a socket, which is also what orders their view of the memory.
"""

from __future__ import annotations

import mmap
import os

import numpy as np

from runtime.closing import Closing
from runtime.errors import InputError
from runtime.preprocess import Image

LARGEST = 4096 * 2160 * 3  # bytes of a frame; memory is only taken once it is written to


class Slots(Closing):
    def __init__(self, count: int, descriptor: int | None = None) -> None:
        """New ones, or those of the process that `descriptor` came from."""
        self.count = count
        if descriptor is None:
            descriptor = os.memfd_create("dermedge-frames")
            os.ftruncate(descriptor, count * LARGEST)
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, count * LARGEST)

    def view(self, slot: int, height: int, width: int) -> Image:
        """A picture in this slot. Frames larger than a slot are refused, not cut."""
        if not 0 < height * width * 3 <= LARGEST:
            raise InputError(
                "The camera's pictures are too large.",
                got=f"{width} × {height}",
                expected=f"at most {LARGEST // 3:,} pixels",
                remedy="choose a smaller size in the camera's profile",
            )
        start = slot * LARGEST
        return np.frombuffer(self._memory, np.uint8, height * width * 3, start).reshape(
            height, width, 3
        )

    def close(self) -> None:
        """Pictures that are still looked at keep the memory until they are let go of."""
        os.close(self.descriptor)
