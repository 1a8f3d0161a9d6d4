"""What the GPU's chain costs, beside what its engines alone cost: in turns, by the GPU's clock.

The limit is the longest way through the engines: whatever runs beside it is for nothing. What the
chain takes above that is our doing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.device.device_chain import DeviceChain
from runtime.device.launching import WAYS
from runtime.device.opened import OpenedBundle, largest_batch
from runtime.timings import summarise

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.bundle_files import LoadedBundle
    from runtime.preprocess import Image

WARM_UP, LEAST = 10, 20
REPEATS = 10  # of an engine in one launch: what a launch costs would otherwise count as its own
CHAINS = 2  # of which one's frame goes up while the other's is judged
Step = Callable[[float], None]


def device_figures(
    bundle: LoadedBundle,
    backend: str,
    precision: str | None,
    frame: Image,
    seconds: float,
    step: Step = lambda share: None,
) -> dict[str, Any]:
    """Everything for one frame, then for as many at once as engines were built for."""
    with OpenedBundle(bundle, backend, precision) as opened:
        found = _one_by_one(opened, frame, seconds / 2, lambda share: step(share / 2))
    batch = largest_batch(bundle, backend, precision)
    with OpenedBundle(bundle, backend, precision, batch) as opened:
        found["batch"] = _several(opened, frame, seconds / 2, lambda s: step((1 + s) / 2))
    return found


def _one_by_one(opened: OpenedBundle, frame: Image, seconds: float, step: Step) -> dict[str, Any]:
    spec = opened.bundle.spec
    with ExitStack() as stack:
        chains, refused = _by_mode(opened, stack)
        first = next(iter(chains.values()))
        names = [f"engine {name}" for name in opened.plans]
        for name in opened.plans:
            issue = partial(first.slot.issue_engine, name, REPEATS)
            first.add_part(f"engine {name}", issue)
        first.add_part("engines", partial(first.slot.issue, bare=True))
        turns: dict[str, Callable[[], dict[str, float]]] = {
            mode: _turn(chain, frame) for mode, chain in chains.items()
        }
        turns |= {name: partial(_share, first, name, REPEATS) for name in names}
        turns["engines"] = partial(_share, first, "engines", 1)
        series = _in_turns(turns, seconds, step)
        alone = {name: series[f"engine {name}"]["gpu_ms"] for name in opened.plans}
        medians = {name: row["p50"] for name, row in alone.items()}
        limit, longest = longest_way(spec, first.slot.targets.waits, medians)
        best = series[first.launcher.mode]
        chain_ms = best.get("gpu_ms", best["wall_ms"])["p50"]
        return {
            "gpu": opened.cuda.name,
            "frame": list(frame.shape[:2]),
            "modes": {mode: series[mode] for mode in chains},
            "refused": refused,
            "engines": alone,
            "engines_together": series["engines"]["gpu_ms"],
            "sum_ms": sum(medians.values()),
            "longest_branch": longest,
            "limit_ms": limit,
            "ratio": chain_ms / limit,
            "over_engines": chain_ms / series["engines"]["gpu_ms"]["p50"],
        }


def _by_mode(
    opened: OpenedBundle, stack: ExitStack
) -> tuple[dict[str, DeviceChain], dict[str, str]]:
    """A chain in each of the ways it can be started, and what the others answered."""
    from runtime.errors import BackendError

    chains: dict[str, DeviceChain] = {}
    refused: dict[str, str] = {}
    for way in WAYS:
        try:
            chains[way] = stack.enter_context(DeviceChain(opened, (way,)))
        except BackendError as error:
            refused[way] = error.one_line
            if way == WAYS[-1] and not chains:
                raise
    return chains, refused


def _share(chain: DeviceChain, part: str, repeats: int) -> dict[str, float]:
    return {"gpu_ms": chain.timed_part(part) / repeats}


def _turn(chain: DeviceChain, frame: Image) -> Callable[[], dict[str, float]]:
    """A frame that lies where the GPU takes it from, to results on the host."""
    height, width = frame.shape[:2]
    place = chain.frame_memory(height, width)
    np.copyto(place, frame)

    def once() -> dict[str, float]:
        started, busy = perf_counter(), thread_time()
        if chain.launcher.mode == "staged":
            chain.run([place], [None])
            return {"wall_ms": (perf_counter() - started) * 1e3}
        chain.hand_over([place], [None])
        gpu_ms = chain.wait()
        return {
            "wall_ms": (perf_counter() - started) * 1e3,
            "host_ms": (thread_time() - busy) * 1e3,
            "gpu_ms": gpu_ms,
        }

    return once


def _in_turns(
    turns: Mapping[str, Callable[[], dict[str, float]]], seconds: float, step: Step
) -> dict[str, dict[str, Any]]:
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in turns}
    for turn in turns.values():
        for _ in range(WARM_UP):
            turn()
    started, rounds = perf_counter(), 0
    while rounds < LEAST or perf_counter() - started < seconds:
        for name, turn in turns.items():
            rows[name].append(turn())
        rounds += 1
        step(min((perf_counter() - started) / seconds, 1.0))
    return {
        name: {key: summarise([row[key] for row in found]) for key in found[0]}
        for name, found in rows.items()
    }


def longest_way(
    spec: Bundle, waits: Callable[[str], bool], ms: Mapping[str, float]
) -> tuple[float, str]:
    """Milliseconds of the longest way through the engines, and the member it goes through.

    A member that need not know the lesion, nor see what is purified, runs beside both.
    """
    chain = spec.chain
    first = sum(ms[part.model] for part in (chain.segment, chain.purify) if part and part.model)
    ways = {name: ms[name] + (first if waits(name) else 0.0) for name in chain.classify}
    longest = max(ways, key=lambda name: ways[name])
    last = ms[chain.combine.model] if chain.combine else 0.0
    return max(ways[longest], first) + last, longest


def _several(opened: OpenedBundle, frame: Image, seconds: float, step: Step) -> dict[str, Any]:
    """Frames a second of two chains on two threads, and of their engines with nothing between."""
    height, width = frame.shape[:2]
    with ExitStack() as stack:
        chains = [stack.enter_context(DeviceChain(opened)) for _ in range(CHAINS)]
        whole: list[Callable[[], object]] = []
        bare: list[Callable[[], object]] = []
        for chain in chains:
            places = [chain.frame_memory(height, width, n) for n in range(opened.batch)]
            for place in places:
                np.copyto(place, frame)
            chain.add_part("engines", partial(chain.slot.issue, bare=True))
            whole.append(partial(_judged, chain, places))
            bare.append(partial(chain.timed_part, "engines"))
        rates: dict[str, list[float]] = {"chain": [], "engines": []}
        started = perf_counter()
        while not rates["chain"] or perf_counter() - started < seconds:
            for name, work in (("chain", whole), ("engines", bare)):
                rates[name].append(_rate(work, opened.batch))
            step(min((perf_counter() - started) / seconds, 1.0))
        medians = {name: float(np.median(found)) for name, found in rates.items()}
        return {
            "frames_at_once": opened.batch,
            "mode": chains[0].launcher.mode,
            "frames_per_second": medians,
            "share": medians["chain"] / medians["engines"],
        }


def _judged(chain: DeviceChain, places: list[Image]) -> None:
    chain.hand_over(places, [None] * len(places))
    chain.wait()


def _rate(work: list[Callable[[], object]], batch: int) -> float:
    def repeat(once: Callable[[], object]) -> None:
        for _ in range(LEAST):
            once()

    started = perf_counter()
    with ThreadPoolExecutor(len(work)) as pool:
        list(pool.map(repeat, work))
    return LEAST * len(work) * batch / (perf_counter() - started)
