"""PyTorch's networks in the places of a chain's engines, on a GPU; three chains in turns."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from export.side_by_side import WARM_UP, deciding
from runtime.chain import Chain, Measured
from runtime.device.device_chain import DeviceChain
from runtime.device.opened import OpenedBundle
from runtime.errors import DermedgeError
from runtime.host_chain import HostChain

if TYPE_CHECKING:
    from export.system import Part
    from runtime.backends.base import Engine
    from runtime.bundle_files import LoadedBundle
    from runtime.preprocess import Image

EAGER, COMPILED, OURS = "eager PyTorch fp32", "torch.compile fp16", "dermedge fp16"
TARGETS = {EAGER: 10.0, COMPILED: 3.0}
"""How many times as fast as these ours ought to be, from a frame in the host's memory."""
HOST = "onnxruntime"  # opens the host's chain; its engines are taken out again


class TorchEngine:
    """A network in place of an engine, on a GPU: arrays in, arrays out."""

    def __init__(self, part: Part, device: str, half: bool) -> None:
        self.precision = "fp16" if half else "fp32"
        self._names = deciding(part.graph)
        copied = copy.deepcopy(self._names)  # the other precision wants these weights as they are
        self._kind = torch.float16 if half and not part.always_float else torch.float32
        self._device, self._image = device, part.sees
        graph = copied.eval().to(device, self._kind)
        if self._image:
            # mypy has no overload for a module and a memory format.
            graph = graph.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._graph: Any = torch.compile(graph) if half else graph

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            said = self._graph(*(self._tensor(feeds[name]) for name in self._names.inputs))
        every = said if isinstance(said, tuple) else (said,)
        arrays = (tensor.float().cpu().numpy() for tensor in every)
        return dict(zip(self._names.outputs, arrays, strict=True))

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(array).to(self._device, self._kind)
        return tensor.contiguous(memory_format=torch.channels_last) if self._image else tensor


def compare(
    whole: LoadedBundle,
    half: LoadedBundle,
    parts: Sequence[Part],
    backend: str,
    frame: Image,
    runs: int,
    step: Callable[[str], None],
    device: str = "cuda",
) -> dict[str, Any]:
    """A frame in the host's memory to probabilities there, by one after the other."""
    with ExitStack() as stack:
        chains: dict[str, Chain] = {}
        for name, is_half in ((EAGER, False), (COMPILED, True)):
            step(f"{name}: getting ready")
            chain = stack.enter_context(HostChain(whole, HOST))
            for engine in chain._engines.values():
                engine.close()
            engines = {part.name: TorchEngine(part, device, is_half) for part in parts}
            chain._engines = cast("dict[str, Engine]", engines)
            chains[name] = chain
        opened = stack.enter_context(OpenedBundle(half, backend, "fp16"))
        ours = stack.enter_context(DeviceChain(opened))
        chains[OURS] = ours
        times, said = _take_turns(chains, frame, runs, step)
    return {
        "mode": ours.launcher.mode,
        "why": ours.launcher.why,
        "median_ms": {name: statistics.median(row) for name, row in times.items()},
        "times_as_fast": {
            name: statistics.median(b / a for a, b in zip(times[OURS], times[name], strict=True))
            for name in TARGETS
        },
        "targets": TARGETS,
        "largest_difference": {name: float(abs(said[name] - said[OURS]).max()) for name in TARGETS},
    }


def _take_turns(
    chains: Mapping[str, Chain], frame: Image, runs: int, step: Callable[[str], None]
) -> tuple[dict[str, list[float]], dict[str, np.ndarray]]:
    """Networks only: the picture's quality is measured alike by all, and left out."""
    times: dict[str, list[float]] = {name: [] for name in chains}
    said: dict[str, np.ndarray] = {}
    for number in range(WARM_UP + runs):
        step(f"frame {number + 1} of {WARM_UP + runs}")
        for name, chain in chains.items():
            measured = Measured()
            started = perf_counter()
            chain._measure(frame, {}, measured)
            ms = (perf_counter() - started) * 1e3
            if measured.failure is not None or measured.combined is None:
                raise DermedgeError(f"{name} failed", got=measured.failure)
            said[name] = measured.combined
            if number >= WARM_UP:
                times[name].append(ms)
    return times, said
