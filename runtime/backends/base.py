"""What an engine is: one network, loaded by one backend, at batch 1.

`run` checks what it is given and copies what it returns; a backend only fills in `_run`. An engine
is ready when it is made and holds its memory until it is closed, so use it in a `with`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from runtime.closing import Closing
from runtime.errors import BackendError, DermedgeError

if TYPE_CHECKING:
    from runtime.bundle import ModelSpec

Floats = npt.NDArray[np.float32]
Shape = tuple[int, ...]

ANY = -1
"""A dimension that only the first run settles."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A model's file, read and checked: all that a backend needs to load it."""

    name: str  # the model's, in its bundle
    file: str  # for messages
    precision: str
    content: bytes
    spec: ModelSpec
    classes: int  # only of use to a backend that does not read `content`


class Engine(Closing):
    backend: str  # a row of runtime/backends/registry.py
    inputs: dict[str, Shape]
    outputs: dict[str, Shape]
    device: str

    def __init__(self, graph: Graph, threads: int | None) -> None:
        self.name = graph.name
        self.precision = graph.precision
        self._open = True
        self._load(graph, threads)

    @abstractmethod
    def _load(self, graph: Graph, threads: int | None) -> None:
        """Load the graph; set `inputs`, `outputs` and `device`."""

    @abstractmethod
    def _run(self, feeds: dict[str, Floats]) -> dict[str, Floats]:
        """Compute every output. The arrays must not be written to again by this engine."""

    @abstractmethod
    def _free(self) -> None:
        """Let go of the network."""

    def run(self, feeds: Mapping[str, Floats]) -> dict[str, Floats]:
        """One sample through the network: arrays by input name to fresh arrays by output name."""
        if not self._open:
            raise DermedgeError(f"The engine of '{self.name}' is closed and cannot run.")
        if feeds.keys() != self.inputs.keys():
            raise DermedgeError(
                f"The engine of '{self.name}' was given other inputs than it has.",
                got=", ".join(feeds) or "none",
                expected=", ".join(self.inputs),
            )
        checked = {key: self._checked(key, feeds[key], shape) for key, shape in self.inputs.items()}
        try:
            return self._run(checked)
        except DermedgeError:
            raise
        except Exception as exc:  # a vendor's error can be any class at all
            raise BackendError(
                f"'{self.name}' failed in {self.backend}", got=first_line(exc)
            ) from exc

    def _checked(self, key: str, array: Floats, shape: Shape) -> Floats:
        fits = len(array.shape) == len(shape) and all(
            want in (have, ANY) for have, want in zip(array.shape, shape, strict=True)
        )
        if not fits or array.dtype != np.float32:
            raise DermedgeError(
                f"The engine of '{self.name}' was given a wrong array for '{key}'.",
                got=f"{array.dtype} {shape_text(array.shape)}",
                expected=f"float32 {shape_text(shape)}",
            )
        return np.ascontiguousarray(array)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._free()


def at_batch_one(dimensions: list[int | None]) -> Shape:
    """A graph's shape with the batch fixed: the first open dimension is the batch."""
    first, *rest = dimensions or [None]
    return (1 if first is None else first, *(ANY if size is None else size for size in rest))


def shape_text(shape: Shape) -> str:
    return "×".join("?" if size == ANY else str(size) for size in shape) or "a single number"


def first_line(error: Exception) -> str:
    """The sentence of a vendor's error that says something.

    OpenVINO's begin with the C++ files they passed through, and tell the story after that.
    """
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if line and not line.startswith("Exception from ")]
    return (telling or [type(error).__name__])[0][:300]
