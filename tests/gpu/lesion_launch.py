"""Memory on a GPU for one mask's way to a lesion, and that way as launches."""

from __future__ import annotations

import numpy as np

from runtime.bundle import Segment
from runtime.device.arena import Arena, Mirrored
from runtime.device.driver import Cuda
from runtime.device.kernels import Kernels
from runtime.device.layouts import FRAME
from runtime.device.mask import MaskWork
from runtime.lesion import Lesion

HEIGHT, WIDTH = 480, 640  # of the frame that the box is in


class LesionLaunch:
    def __init__(self, cuda: Cuda, kernels: Kernels, mask: np.ndarray, fill: bool = True) -> None:
        self._cuda, self._kernels, self.stream = cuda, kernels, cuda.stream()
        self._work, self._results, self._given = Arena(cuda), Mirrored(cuda), Mirrored(cuda)
        segment = Segment(model="segmenter", threshold=0.5, fill_holes=fill)
        self._steps = MaskWork(segment, (1, 1, *mask.shape), 1, 0)
        self._steps.reserve(self._work, self._results)
        self._given.reserve("mask", mask.nbytes)
        self._given.reserve("frame", FRAME.itemsize)
        for arena in (self._work, self._results, self._given):
            arena.allocate()
        self._given.host("mask", np.float32, mask.shape)[...] = mask
        self._given.host("frame", FRAME, 1)[...] = (0, HEIGHT, WIDTH, 0, 0)
        self._given.upload(self.stream)

    def issue(self) -> None:
        given = self._given.address("mask"), self._given.address("frame"), 0
        self._steps.issue(self._kernels, self.stream, *given, self._work, self._results)

    def lesion(self) -> Lesion | None:
        self._results.download(self.stream)
        self._cuda.synchronize(self.stream)
        return self._steps.lesion(self._results, 0)

    def free(self) -> None:
        for arena in (self._work, self._results, self._given):
            arena.free()
