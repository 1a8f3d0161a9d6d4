"""One engine on an NVIDIA GPU by itself: a plan of `dermedge build`, with memory on both sides.

A chain of engines is better served by runtime/device, which leaves on the GPU what only the next
engine wants. Everything here is allocated when the engine is opened.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np

from runtime.backends.base import Engine, Floats, Graph
from runtime.backends.trt_plan import OpenPlan
from runtime.device.driver import Bytes, Cuda

EVENTS = ("start", "h2d", "compute", "d2h")


class TensorRtEngine(Engine):
    backend = "tensorrt"
    timed_with = {"graph": False, "transfers": True, "spin_wait": False}
    """How `run_timed` measures. trtexec's own defaults changed, so figures say what theirs are."""

    def _load(self, graph: Graph, threads: int | None) -> None:
        self._cuda = Cuda()
        with self._cuda.current():
            self._plan = OpenPlan(graph, self.backend)
            self._plan.require_floats()
            self._prepare()
        self.inputs, self.outputs = self._plan.inputs, self._plan.outputs
        self.precision, self.device = self._plan.precision, self._plan.device

    def _prepare(self) -> None:
        """Memory on both sides for every tensor, for the one shape that there is."""
        cuda = self._cuda
        self._stream = cuda.stream()
        self._bytes: dict[str, Bytes] = {}
        self._host: dict[str, Floats] = {}
        self._memory: dict[str, Any] = {}
        for name, shape in (self._plan.inputs | self._plan.outputs).items():
            self._bytes[name] = cuda.pinned(4 * int(np.prod(shape)))
            self._host[name] = self._bytes[name].view(np.float32).reshape(shape)
            self._memory[name] = cuda.allocate(self._bytes[name].nbytes)
        self._context = self._plan.context()
        self._context.bind({name: int(memory) for name, memory in self._memory.items()})

    def _run(self, feeds: dict[str, Floats]) -> dict[str, Floats]:
        self._stage(feeds)
        with self._cuda.current():
            self._upload()
            self._context.enqueue(self._stream)
            self._download()
            self._cuda.synchronize(self._stream)
        return {name: np.array(self._host[name]) for name in self.outputs}

    def run_timed(self, feeds: dict[str, Floats]) -> dict[str, float]:
        """A run by the GPU's own clock: milliseconds of the way up, the network, the way down.

        `enqMs` is the host's, and no part of the latency. Nor is staging: the first mark is made
        when all that goes up lies ready.
        """
        self._stage(feeds)
        cuda, stream = self._cuda, self._stream
        with cuda.current():
            marks = {name: cuda.clock_event() for name in EVENTS}
            cuda.record(marks["start"], stream)
            self._upload()
            cuda.record(marks["h2d"], stream)
            began = perf_counter()
            self._context.enqueue(stream)
            enqueued = perf_counter()
            cuda.record(marks["compute"], stream)
            self._download()
            cuda.record(marks["d2h"], stream)
            cuda.synchronize(stream)
            times = {
                after: cuda.between(marks[before], marks[after])
                for before, after in (("start", "h2d"), ("h2d", "compute"), ("compute", "d2h"))
            }
        return {
            **{f"{name}Ms": ms for name, ms in times.items()},
            "enqMs": (enqueued - began) * 1e3,
        }

    def _stage(self, feeds: dict[str, Floats]) -> None:
        """Into memory that the GPU may read by itself. The run before has been waited for."""
        for name, array in feeds.items():
            np.copyto(self._host[name], array)

    def _upload(self) -> None:
        for name in self.inputs:
            self._cuda.upload(int(self._memory[name]), self._bytes[name], self._stream)

    def _download(self) -> None:
        for name in self.outputs:
            self._cuda.download(self._bytes[name], int(self._memory[name]), self._stream)

    def _free(self) -> None:
        with self._cuda.current():
            for memory in self._memory.values():
                memory.free()
            del self._context
            self._plan.close()
            del self._memory, self._host, self._bytes, self._stream


class TensorRtRtxEngine(TensorRtEngine):
    backend = "tensorrt_rtx"
