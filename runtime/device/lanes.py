"""Streams that part and come together: what may run side by side, and what waits for what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.device.driver import Cuda


class Lanes:
    """One main stream, and others beside it. `in_line` leaves the others out."""

    def __init__(self, cuda: Cuda, beside: int) -> None:
        self._cuda = cuda
        self.main = cuda.stream()
        self.in_line = False
        self._beside = [(cuda.stream(), cuda.event(), cuda.event()) for _ in range(beside)]
        self._out = 0

    def begin(self) -> None:
        """Whatever a launch that failed had left open."""
        self._out = 0

    def fork(self, count: int) -> list[Any]:
        """That many streams, which begin where the main one is now; or the main one itself."""
        if self.in_line or count < 1:
            return [self.main] * count
        taken = self._beside[self._out : self._out + count]
        _, begun, _ = taken[0]
        self._cuda.record(begun, self.main)
        for stream, *_ in taken:
            self._cuda.wait(stream, begun)
        self._out += count
        return [stream for stream, *_ in taken]

    def join(self) -> None:
        """The main stream goes on when all that parted from it are done."""
        for stream, _, done in self._beside[: self._out]:
            self._cuda.record(done, stream)
            self._cuda.wait(self.main, done)
        self._out = 0

    def settle(self) -> None:
        """Until nothing is under way on any of them."""
        for stream in (self.main, *(stream for stream, *_ in self._beside)):
            self._cuda.synchronize(stream)
