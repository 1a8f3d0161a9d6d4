"""An engine without a network: results made from the input's content, the same on any machine.

It reads no graph, so that the chain, the capture loop and the screen can be tried where no engine
is installed. Darker pixels make a mask, and a picture's colours make probabilities: what comes
out means nothing, but it depends on what went in.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.backends.base import ANY, Engine, Floats, Graph, Shape
from runtime.decision import softmax
from runtime.machine import cpu
from runtime.specs import CHANNELS

Doubles = npt.NDArray[np.float64]

FEATURES = 128


class FakeEngine(Engine):
    backend = "fake"

    def _load(self, graph: Graph, threads: int | None) -> None:
        self.inputs = {}
        height, width = 1, 1
        for item in graph.spec.inputs:
            if item.kind == "image":
                height, width = item.preprocess.size
                channels = CHANNELS[item.preprocess.colour]
                self.inputs[item.name] = (1, channels, height, width)
            else:
                self.inputs[item.name] = (1, ANY) if item.kind == "metadata" else (1, ANY, ANY)
        by_role: dict[str, Shape] = {
            "probabilities": (1, graph.classes),
            "logits": (1, graph.classes),
            "features": (1, FEATURES),
            "ood": (1, 1),
            "mask": (1, 1, height, width),
            "heatmap": (1, 1, height, width),
            "image": (1, 3, height, width),
        }
        self.outputs = {item.name: by_role[item.role] for item in graph.spec.outputs}
        self._roles = {item.name: item.role for item in graph.spec.outputs}
        self._classes = graph.classes
        self.device = cpu()[0]
        self._phase = float(sum(graph.name.encode()))  # members differ as their names do

    def _run(self, feeds: dict[str, Floats]) -> dict[str, Floats]:
        first = next(iter(feeds.values()))
        mean = sum(float(array.mean(dtype=np.float64)) for array in feeds.values())
        return {
            name: self._make(self._roles[name], shape, first, mean).astype(np.float32)
            for name, shape in self.outputs.items()
        }

    def _make(self, role: str, shape: Shape, first: Floats, mean: float) -> npt.NDArray[Any]:
        if role in ("mask", "heatmap"):
            return _darkness(first)
        if role == "image":
            return np.resize(first, shape)
        if role == "ood":
            return np.array([[abs(mean)]])
        logits = self._logits(first, mean)
        return softmax(logits)[None] if role == "probabilities" else np.resize(logits, shape)

    def _logits(self, first: Floats, mean: float) -> Doubles:
        if first.ndim == 3:  # what members said: their mean
            said = np.clip(first[0].mean(axis=0, dtype=np.float64), 1e-9, None)
            return np.log(np.resize(said, self._classes))
        return np.sin(self._phase + (1 + np.arange(self._classes)) * (1 + 10 * mean))

    def _free(self) -> None:
        pass


def _darkness(image: Floats) -> Floats:
    """1 where a pixel is darker than the picture is on average, with a soft edge."""
    grey = image.mean(axis=1, keepdims=True, dtype=np.float64)
    spread = float(grey.std()) or 1.0
    return (1 / (1 + np.exp(4 * (grey - grey.mean()) / spread + 2))).astype(np.float32)
