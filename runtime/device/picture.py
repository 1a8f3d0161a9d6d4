"""What a purifier painted: where it lies on the GPU, and whether it is a picture at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.device.layouts import FRAME, STRIP, Format
from runtime.errors import DermedgeError

if TYPE_CHECKING:
    from runtime.device.arena import Mirrored
    from runtime.device.kernels import Kernels


class PictureWork:
    """One picture a frame, at the network's own size, as views are cut from."""

    def __init__(self, model: str, output: str, shape: tuple[int, ...], batch: int) -> None:
        self.model, self.output = model, output
        *_, self.height, self.width = shape
        self._numbers = int(np.prod(shape))
        self._batch = batch

    def reserve(self, tables: Mirrored, results: Mirrored) -> None:
        tables.reserve("pictures", self._batch * FRAME.itemsize)
        results.reserve("broken", self._batch * 4)

    def write(self, tables: Mirrored, address: int) -> None:
        rows = tables.host("pictures", FRAME, self._batch)
        rows["pixels"] = address + np.arange(self._batch, dtype=np.uint64) * (4 * self._numbers)
        rows["height"], rows["width"], rows["pitch"] = self.height, self.width, 4 * self.width
        rows["format"] = Format.PLANAR

    def issue(self, kernels: Kernels, stream: Any, pictures: int, results: Mirrored) -> None:
        broken = results.address("broken")
        kernels("clear_broken", stream, broken, self._batch, threads=self._batch)
        threads = -(-self._numbers // STRIP)
        kernels(
            "find_broken", stream, pictures, self._numbers, broken,
            threads=threads, rows=self._batch,
        )  # fmt: skip

    def check(self, results: Mirrored, number: int) -> None:
        if results.host("broken", np.int32, self._batch)[number]:
            raise DermedgeError(f"'{self.model}' did not give a picture: it has NaN or infinity")
