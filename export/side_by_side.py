"""Chains of the same system on the same frame, in turns: eager PyTorch, and engines.

All share the host's code, so that what differs is what computes the networks.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from export.graphs import DecidingGraph, Graph, MemberGraph
from runtime.host_chain import HostChain

if TYPE_CHECKING:
    from export.system import Part
    from runtime.backends.base import Engine
    from runtime.bundle_files import LoadedBundle
    from runtime.preprocess import Image

EAGER, FP32, INT8 = "eager PyTorch", "OpenVINO fp32", "OpenVINO int8"
BACKBONES, CHAIN = "backbones in turn", "whole chain"
TARGETS = {
    (FP32, EAGER): {BACKBONES: 2.0, CHAIN: 1.5},
    (INT8, FP32): {BACKBONES: 2.0, CHAIN: 1.8},
    (INT8, EAGER): {BACKBONES: 5.0, CHAIN: 3.0},
}
"""How many times as fast as the second the first ought to be."""

WARM_UP = 3
MATRIX, MATRIX_RUNS = 2048, 12


def deciding(graph: Graph) -> Graph | DecidingGraph:
    """What the chain asks of a network for a frame, and no more."""
    return DecidingGraph(graph) if isinstance(graph, MemberGraph) else graph


class EagerEngine:
    """A network in place of an engine: arrays in, arrays out, PyTorch in between."""

    precision = "fp32"

    def __init__(self, part: Part) -> None:
        self.graph = deciding(part.graph).eval()
        if part.sees:
            # mypy has no overload for a module and a memory format.
            self.graph = self.graph.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            said = self.graph(*(self._tensor(feeds[name]) for name in self.graph.inputs))
        said = said if isinstance(said, tuple) else (said,)
        return dict(zip(self.graph.outputs, (each.numpy() for each in said), strict=True))

    @staticmethod
    def _tensor(array: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(array)
        if tensor.ndim == 4:
            return tensor.contiguous(memory_format=torch.channels_last)
        return tensor


class Stopwatch:
    """Anything that runs like an engine, with a note of how long each run took."""

    def __init__(self, engine: Any) -> None:
        self.engine, self.precision = engine, engine.precision
        self.ms: list[float] = []

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        started = perf_counter()
        outputs = self.engine.run(feeds)
        self.ms.append((perf_counter() - started) * 1e3)
        return outputs


def compare(
    bundle: LoadedBundle,
    quantised: LoadedBundle | None,
    parts: Sequence[Part],
    frame: Image,
    runs: int,
    threads: int | None,
    step: Callable[[str], None],
) -> dict[str, Any]:
    """One frame through one chain after the other, as often as asked for."""
    if threads is not None:
        torch.set_num_threads(threads)
    chains = {kind: HostChain(bundle, "openvino", threads) for kind in (EAGER, FP32)}
    if quantised is not None:
        chains[INT8] = HostChain(quantised, "openvino", threads, precision="int8")
    watches: dict[str, dict[str, Stopwatch]] = {}
    try:
        for kind, chain in chains.items():
            engines = chain._engines.items()
            watches[kind] = {name: Stopwatch(engine) for name, engine in engines}
        for watch in watches[EAGER].values():
            watch.engine.close()  # networks take the place of this chain's engines
        watches[EAGER] = {part.name: Stopwatch(EagerEngine(part)) for part in parts}
        for kind, chain in chains.items():
            chain._engines = cast("dict[str, Engine]", watches[kind])
        totals = _take_turns(chains, watches, frame, runs, step)
    finally:
        for chain in chains.values():
            chain.close()
    step("counting and measuring arithmetic")
    work = {part.name: _gflop(part) for part in parts}
    figures = _figures(watches, totals, list(bundle.spec.chain.classify))
    return figures | {"gflop": work, "matrix_product_gflops": _matrix_product_gflops()}


def _take_turns(
    chains: Mapping[str, HostChain],
    watches: Mapping[str, Mapping[str, Stopwatch]],
    frame: Image,
    runs: int,
    step: Callable[[str], None],
) -> dict[str, list[float]]:
    step("warming up")
    for _ in range(WARM_UP):
        for chain in chains.values():
            chain.process(frame)
    for watch in (watch for by_name in watches.values() for watch in by_name.values()):
        watch.ms.clear()
    totals: dict[str, list[float]] = {kind: [] for kind in chains}
    for number in range(runs):
        step(f"frame {number + 1} of {runs}")
        for kind, chain in chains.items():
            started = perf_counter()
            chain.process(frame)
            totals[kind].append((perf_counter() - started) * 1e3)
    return totals


def _figures(
    watches: Mapping[str, Mapping[str, Stopwatch]],
    totals: Mapping[str, list[float]],
    backbones: Sequence[str],
) -> dict[str, Any]:
    """Medians, and of ratios the median of each run's own: a slow moment slows all of a run."""
    ms = {kind: {name: w.ms for name, w in by.items()} for kind, by in watches.items()}
    for kind, by in ms.items():
        by[BACKBONES] = [sum(run) for run in zip(*(by[n] for n in backbones), strict=True)]
        by[CHAIN] = totals[kind]
    rows = {
        name: {kind: statistics.median(by[name]) for kind, by in ms.items()} for name in ms[EAGER]
    }
    outside = {
        kind: 1 - sum(sum(w.ms) for w in by.values()) / sum(totals[kind])
        for kind, by in watches.items()
    }
    ratios = [
        {"of": fast, "to": slow, **_verdicts(ms[fast], ms[slow], targets)}
        for (fast, slow), targets in TARGETS.items()
        if fast in ms
    ]
    return {"median_ms": rows, "ratios": ratios, "share_outside_engines": outside}


def _verdicts(
    fast: Mapping[str, list[float]], slow: Mapping[str, list[float]], targets: Mapping[str, float]
) -> dict[str, Any]:
    times = {
        name: statistics.median(b / a for a, b in zip(fast[name], slow[name], strict=True))
        for name in fast
    }
    return {"times_as_fast": times, "targets": dict(targets)}


def _gflop(part: Part) -> float:
    """Of one run; a multiplication and an addition are two."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        deciding(part.graph)(*(torch.zeros(1, *shape) for shape in part.shapes))
    return float(counter.get_total_flops()) / 1e9


def _matrix_product_gflops() -> float:
    """The best of several, because a peak is what nothing can exceed."""
    square = torch.ones(MATRIX, MATRIX)
    seconds = []
    for _ in range(MATRIX_RUNS):
        started = perf_counter()
        square @ square
        seconds.append(perf_counter() - started)
    return 2 * MATRIX**3 / min(seconds) / 1e9
