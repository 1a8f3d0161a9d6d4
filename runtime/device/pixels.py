"""Where a frame lies for the GPU: pinned on the host, and copied over unless both share memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.device.layouts import MOST_PIXELS, Format
from runtime.errors import InputError

if TYPE_CHECKING:
    import numpy.typing as npt

    from runtime.device.driver import Bytes, Cuda
    from runtime.preprocess import Image


class Pixels:
    """Room for one frame, which grows to the largest that was seen."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda
        self._host: Bytes = np.zeros(0, np.uint8)
        self._memory: Any = None
        self._address = 0

    def memory(self, height: int, width: int) -> Image:
        """Where a BGR frame can be written to by whoever makes it, so that nobody copies it."""
        return self._room(height * width * 3).reshape(height, width, 3)

    def take(self, frame: npt.NDArray[np.uint8], format: Format, header: Any, stream: Any) -> None:
        """Have the GPU see the frame, and write down in `header` where and how it lies.

        BGR frames are height × width × 3; YUYV height × width × 2; NV12 1.5 height × width.
        """
        room = self._room(frame.size)
        if not _same(frame, room):
            np.copyto(room.reshape(frame.shape), frame)
        height = frame.shape[0] * 2 // 3 if format is Format.NV12 else frame.shape[0]
        header["pixels"] = self._address
        header["height"], header["width"] = height, frame.shape[1]
        header["pitch"] = frame.size // frame.shape[0]
        header["format"] = format
        if not self._cuda.integrated:
            self._cuda.upload(self._address, room, stream)

    def _room(self, size: int) -> Bytes:
        """Nothing may be under way here. What cannot be had leaves no room, and not half of it."""
        if size > self._host.size:
            self.free()
            host = self._cuda.pinned(size)
            if self._cuda.integrated:
                self._address = self._cuda.mapped(host)
            else:
                self._memory = self._cuda.allocate(size)
                self._address = int(self._memory)
            self._host = host
        return self._host[:size]

    def free(self) -> None:
        if self._memory is not None:
            self._memory.free()
            self._memory = None
        self._host = np.zeros(0, np.uint8)


def require_size(frame: npt.NDArray[np.uint8]) -> None:
    if max(frame.shape) > MOST_PIXELS:
        raise InputError(
            "A frame is too large for the GPU's kernels.",
            got=f"{frame.shape[1]} × {frame.shape[0]}",
            expected=f"at most {MOST_PIXELS} pixels a side",
            remedy="make the picture smaller, or judge it with --backend openvino",
        )


def _same(frame: npt.NDArray[np.uint8], room: Bytes) -> bool:
    return frame.flags.c_contiguous and frame.ctypes.data == room.ctypes.data
