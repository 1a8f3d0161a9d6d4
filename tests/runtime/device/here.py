"""Kernels and memory as a launch has them, on this machine: done at once, in the order called."""

from __future__ import annotations

from typing import Any

import numpy as np

from runtime.device.kernels import BLOCK
from tests.runtime.device.host_kernels import launch


class Here:
    """Kernels as slots call them, done at once."""

    def __init__(self, seed: int = 0, workers: int = 1) -> None:
        self.seed, self.workers = seed, workers

    def __call__(
        self, name: str, stream: Any, *given: float, threads: int, rows: int = 1, frames: int = 1
    ) -> None:
        grid = (-(-threads // BLOCK), rows, frames)
        launch(name, grid, BLOCK, given, self.seed, self.workers)


class Room:
    """Arenas of host memory, for MaskWork. Rubbish until it is written to."""

    def __init__(self) -> None:
        self.parts: dict[str, np.ndarray] = {}

    def reserve(self, name: str, size: int) -> None:
        self.parts[name] = np.full(size, 0xC7, np.uint8)

    def address(self, name: str) -> int:
        return int(self.parts[name].ctypes.data)

    def host(self, name: str, dtype: Any, shape: Any) -> np.ndarray:
        return self.parts[name].view(dtype).reshape(shape)
