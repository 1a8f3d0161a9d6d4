"""What 8 bits cost a model, on images without labels: how far its answers move.

A classifier's loss on an image is the largest change of one of its class probabilities. A
segmenter's is what its mask no longer shares with the float one: one minus the Jaccard index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from runtime.backends.base import Graph
from runtime.backends.registry import load_graph
from runtime.decision import softmax
from runtime.errors import DermedgeError
from runtime.lesion import clean_mask
from train.data.metrics import overlap

if TYPE_CHECKING:
    from runtime.backends.base import Floats
    from runtime.bundle import ModelSpec, Segment

Said = Mapping[str, "Floats"]
PROBABILITY, MASK = "probability", "mask"


@dataclass(frozen=True, slots=True)
class Loss:
    mean: float
    worst: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} (worst {self.worst:.3f})"


@dataclass(frozen=True)
class Judge:
    """Compares what one model says in 8 bits with what it said in float, on the same inputs."""

    name: str
    model: ModelSpec
    classes: int
    backend: str
    feeds: Sequence[Said]
    said: Sequence[Said]
    segment: Segment | None = None  # how its mask is read, where it is the segmenter

    @property
    def measure(self) -> str:
        return PROBABILITY if self.segment is None else MASK

    def of(self, content: bytes) -> Loss:
        return self.compare(self.run(content))

    def of_first(self, count: int, content: bytes) -> Loss:
        fewer = replace(self, feeds=self.feeds[:count], said=self.said[:count])
        return fewer.of(content)

    def run(self, content: bytes) -> list[Said]:
        graph = Graph(self.name, f"{self.name}.onnx", "int8", content, self.model, self.classes)
        with load_graph(self.backend, graph) as engine:
            return [engine.run(feeds) for feeds in self.feeds]

    def compare(self, got: Sequence[Said]) -> Loss:
        each = [self._one(a, b) for a, b in zip(got, self.said, strict=True)]
        return Loss(float(np.mean(each)), float(np.max(each)))

    def _one(self, got: Said, expected: Said) -> float:
        if self.segment is not None:
            masks = (self._mask(said, self.segment) for said in (got, expected))
            return 1.0 - overlap(*masks)[1]
        change = np.abs(self.probabilities(got) - self.probabilities(expected)).max()
        return float(change) if np.isfinite(change) else 1.0

    def _mask(self, said: Said, segment: Segment) -> npt.NDArray[np.uint8]:
        values = said[self.model.output("mask") or ""][0, 0]
        return clean_mask(values, segment.threshold, segment.fill_holes)

    def probabilities(self, said: Said) -> npt.NDArray[np.float64]:
        name = self.model.output("probabilities")
        if name is not None:
            return np.asarray(said[name][0], dtype=np.float64)
        logits = self.model.output("logits")
        if logits is None:
            raise DermedgeError(
                f"'{self.name}' gives neither probabilities nor a mask to compare.",
                remedy="leave it out: name the others with --models",
            )
        return softmax(said[logits][0])
