"""Memory for everything of one launch, asked for once, and what each part of it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from runtime.device.driver import Bytes, Cuda

ALIGNMENT = 256  # what TensorRT asks of its tensors' addresses


class Arena:
    """On the GPU. First everything is reserved by name, then allocated, then used."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda
        self._places: dict[str, int] = {}
        self._memory: Any = None
        self.size = 0

    def reserve(self, name: str, size: int) -> None:
        self._places[name] = self.size
        self.size += -(-size // ALIGNMENT) * ALIGNMENT

    def allocate(self) -> None:
        self._memory = self._cuda.allocate(self.size)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def address(self, name: str) -> int:
        return int(self._memory) + self._places[name]

    def free(self) -> None:
        if self._memory is not None:
            self._memory.free()


class Mirrored(Arena):
    """With the same in the host's memory, to be copied there or back in one go."""

    def allocate(self) -> None:
        super().allocate()
        self._host: Bytes = self._cuda.pinned(self.size)

    def host(self, name: str, dtype: Any, shape: tuple[int, ...] | int) -> Any:
        """A part of the host's copy, as an array that shares its memory."""
        place, kind = self._places[name], np.dtype(dtype)
        size = int(np.prod(shape)) * kind.itemsize
        return self._host[place : place + size].view(kind).reshape(shape)

    def upload(self, stream: Any) -> None:
        self._cuda.upload(int(self._memory), self._host[: self.size], stream)

    def download(self, stream: Any, before: str | None = None) -> None:
        """All of it, or what was reserved before that name."""
        size = self.size if before is None else self._places[before]
        self._cuda.download(self._host[:size], int(self._memory), stream)

    def free(self) -> None:
        super().free()
        self._host = np.zeros(0, np.uint8)
