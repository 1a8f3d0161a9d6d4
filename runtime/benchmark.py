"""How long a frame takes, and where that time goes.

Whatever is compared is measured in turns within one run: a whole frame, then the engines alone on
the same inputs, then the next frame. A machine that slows down slows both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar, cast

import cv2

from runtime import machine
from runtime.backends.base import Engine, Floats
from runtime.backends.registry import BACKENDS
from runtime.bundle_files import LoadedBundle, load_bundle
from runtime.errors import InputError
from runtime.golden import check_golden
from runtime.gpu_timing import gpu_figures
from runtime.host_chain import HostChain
from runtime.judging import open_chains
from runtime.overlay import draw_overlay
from runtime.throughput import BLOCKS, compare_with_scan
from runtime.timings import summarise

if TYPE_CHECKING:
    from runtime.chain import Analysis
    from runtime.preprocess import Image
    from runtime.sources import Item

T = TypeVar("T")

WARM_UP_FRAMES = 3
FRAMES_SHARE = 0.6  # of the whole time, for the progress bar; the scans take the rest
WARM_UP_S = 1.0  # clocks need about that long to rise, and engines a few runs to settle
JPEG_QUALITY = [int(cv2.IMWRITE_JPEG_QUALITY), 85]


@dataclass(frozen=True)
class Plan:
    """What is measured: until `runs` frames, or if that is None until `seconds` have passed."""

    bundle: Path
    items: Sequence[Item]
    backend: str = "auto"
    seconds: float = 10.0
    runs: int | None = None
    threads: int | None = None
    precision: str | None = None  # None: what the bundle means for the backend

    def is_done(self, frames: int, elapsed: float) -> bool:
        if self.runs is not None:
            return frames >= self.runs
        return frames > 0 and elapsed >= self.seconds


class Stopwatch:
    """An engine that notes how long each run took, when the last was and what it was given."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.precision = engine.precision
        self.ms: list[float] = []
        self.span = (0.0, 0.0)
        self.feeds: dict[str, Floats] = {}

    def run(self, feeds: dict[str, Floats]) -> dict[str, Floats]:
        self.feeds = feeds
        started = perf_counter()
        outputs = self.engine.run(feeds)
        self.span = (started, perf_counter())
        self.ms.append(_since(started))
        return outputs


class TimedChain(HostChain):
    """The chain as it always is, with a stopwatch around each of its engines."""

    def __init__(
        self,
        bundle: LoadedBundle,
        backend: str,
        threads: int | None,
        precision: str | None = None,
    ) -> None:
        super().__init__(bundle, backend, threads, precision)
        self.watches = {name: Stopwatch(engine) for name, engine in self._engines.items()}
        self._engines = cast("dict[str, Engine]", self.watches)

    def busy_ms(self, names: Iterable[str]) -> float:
        """How long these engines ran for the last frame: they run one after the other."""
        spans = (self.watches[name].span for name in names)
        return sum(stop - start for start, stop in spans) * 1e3

    def run_engines(self) -> None:
        """Every engine as for a frame, on what it was given last, with nothing in between."""
        spec = self.bundle.spec.chain
        feeds = {name: watch.feeds for name, watch in self.watches.items()}
        for part in (spec.segment, spec.purify, spec.combine):
            if part is not None and part.model is not None:
                self.watches[part.model].run(feeds[part.model])
        self._classify(feeds)


@dataclass
class Frames:
    """Every frame's times in milliseconds, by what they were spent on."""

    chain: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)  # the chain, and reading and writing
    engines: list[float] = field(default_factory=list)  # of the chain: any engine was running
    together: list[float] = field(default_factory=list)  # the engines, with nothing in between
    parts: dict[str, list[float]] = field(default_factory=dict)  # what is not an engine
    in_chain: dict[str, list[float]] = field(default_factory=dict)  # each engine
    alone: dict[str, list[float]] = field(default_factory=dict)  # each engine, by itself


def _note(series: dict[str, list[float]], name: str, ms: float) -> None:
    series.setdefault(name, []).append(ms)


def run_benchmark(
    plan: Plan, progress: Callable[[float], None] = lambda share: None
) -> dict[str, Any]:
    """All figures, ready to be written as JSON. `progress` is told the share that is done.

    Opening is timed cold as far as a process can tell: nothing of the bundle was loaded before,
    though the system may have had its files in memory.
    """
    bundle, verify_ms = _timed(lambda: load_bundle(plan.bundle))
    chain, open_ms = _timed(lambda: TimedChain(bundle, plan.backend, plan.threads, plan.precision))
    with chain:
        frame = _load(plan.items[0])
        _, first_ms = _timed(lambda: chain.process(frame))
        _, golden_ms = _timed(lambda: check_golden(chain))
        loaded_mib = machine.peak_memory_mib()
        _warm_up(chain, frame)
        frames = _measure(plan, chain, lambda share: progress(share * FRAMES_SHARE))
        figures = _figures(chain, frames)
        with open_chains(bundle, plan.backend, precision=plan.precision) as chains:
            rate = compare_with_scan(
                chains,
                plan.items,
                rounds=max(1, len(frames.whole) // (BLOCKS * len(plan.items))),
                engines_alone=chain.run_engines,
                progress=lambda share: progress(FRAMES_SHARE + share * (1 - FRAMES_SHARE)),
            )
    return {
        "machine": machine.facts(),
        "bundle": bundle.record.model_dump(),
        "backend": chain.backend.model_dump(),
        "threads": plan.threads,
        "images": len(plan.items),
        "load_ms": {"verify": verify_ms, "open": open_ms, "self_test": golden_ms},
        "first_frame_ms": first_ms,
        "memory_mib": {"loaded": loaded_mib, "peak": machine.peak_memory_mib()},
        **figures,
        "frames_per_second": rate,
        "device": _on_device(plan, bundle, chain.backend.name, frame),
    }


def _on_device(
    plan: Plan, bundle: LoadedBundle, backend: str, frame: Image
) -> dict[str, Any] | None:
    """The chain that leaves everything on the GPU. What is above has the host between engines."""
    if not BACKENDS[backend].compiled:
        return None
    from runtime.device.figures import device_figures

    return device_figures(bundle, backend, plan.precision, frame, plan.seconds)


def _load(item: Item) -> Image:
    loaded = item.load(lambda source, sha256: False)
    if loaded.frame is None:
        raise loaded.error or InputError(f"{item.source} holds no picture.")
    return loaded.frame


def _warm_up(chain: TimedChain, frame: Image) -> None:
    started = perf_counter()
    for done in count(1):
        chain.process(frame)
        if done >= WARM_UP_FRAMES and perf_counter() - started >= WARM_UP_S:
            break


def _measure(plan: Plan, chain: TimedChain, progress: Callable[[float], None]) -> Frames:
    frames = Frames()
    started = perf_counter()
    with TemporaryDirectory(prefix="dermedge-bench-") as folder:
        for done in count():
            elapsed = perf_counter() - started
            if plan.is_done(done, elapsed):
                return frames
            progress(done / plan.runs if plan.runs else elapsed / plan.seconds)
            _one_frame(plan.items[done % len(plan.items)], chain, Path(folder), frames)
            frames.together.append(_timed(chain.run_engines)[1])
            for name, watch in chain.watches.items():
                _note(frames.alone, name, _timed(partial(watch.engine.run, watch.feeds))[1])
    raise AssertionError("unreachable: count() does not end")


def _one_frame(item: Item, chain: TimedChain, folder: Path, frames: Frames) -> None:
    """A frame's way through a scan, step by step on one thread."""
    started = perf_counter()
    frame, decode_ms = _timed(lambda: _load(item))
    analysis, chain_ms = _timed(lambda: chain.analyse(frame))
    sheet, overlay_ms = _timed(lambda: draw_overlay(frame, analysis))
    _, write_ms = _timed(lambda: _write(folder, sheet, analysis))
    frames.whole.append(_since(started))
    frames.chain.append(chain_ms)
    _note(frames.parts, "decode", decode_ms)
    _note_stages(chain, analysis.result.timing_ms, frames)
    _note(frames.parts, "draw overlay", overlay_ms)
    _note(frames.parts, "write", write_ms)


def _note_stages(chain: TimedChain, timing_ms: dict[str, float], frames: Frames) -> None:
    """What is left of each stage of the chain when its engines are taken out."""
    spec = chain.bundle.spec.chain
    for name in chain.watches:
        _note(frames.in_chain, name, chain.busy_ms([name]))
    segment_ms = chain.busy_ms([spec.segment.model] if spec.segment else [])
    purify_ms = chain.busy_ms([spec.purify.model] if spec.purify and spec.purify.model else [])
    after_ms = chain.busy_ms(spec.classify)
    after_ms += chain.busy_ms([spec.combine.model] if spec.combine else [])
    frames.engines.append(segment_ms + purify_ms + after_ms)
    stages = {stage: ms for stage, ms in timing_ms.items() if stage != "total"}
    purified = {"purify": stages["purify"] - purify_ms} if spec.purify else {}
    parts = {
        "resize and mask": stages["segment"] - segment_ms,
        **purified,
        "crop and resize": stages["crop"],
        "between engines": stages["classify"] + stages["combine"] - after_ms,
        "quality and record": timing_ms["total"] - sum(stages.values()),
    }
    for name, ms in parts.items():
        _note(frames.parts, name, ms)


def _write(folder: Path, sheet: Image, analysis: Analysis) -> None:
    cv2.imwrite(str(folder / "overlay.jpg"), sheet, JPEG_QUALITY)
    with (folder / "results.jsonl").open("a", encoding="utf-8") as file:
        file.write(analysis.result.to_json() + "\n")


def _figures(chain: TimedChain, frames: Frames) -> dict[str, Any]:
    engines_ms, whole_ms = sum(frames.engines), sum(frames.whole)
    return {
        "frames": len(frames.whole),
        "engines": {
            name: {
                "precision": watch.precision,
                "backend": watch.engine.backend,
                "in_chain_ms": summarise(frames.in_chain[name]),
                "alone_ms": summarise(frames.alone[name]),
                "gpu": gpu_figures(watch.engine, watch.feeds),
            }
            for name, watch in chain.watches.items()
        },
        "all_engines": {
            "in_chain_ms": summarise(frames.engines),
            "alone_ms": summarise(frames.together),
        },
        "chain_ms": summarise(frames.chain),
        "frame_ms": summarise(frames.whole),
        "outside_engines": {
            "share_of_chain": 1 - engines_ms / sum(frames.chain),
            "share_of_frame": 1 - engines_ms / whole_ms,
            "parts_ms": {name: summarise(series) for name, series in frames.parts.items()},
        },
    }


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    started = perf_counter()
    made = work()
    return made, _since(started)


def _since(started: float) -> float:
    return (perf_counter() - started) * 1e3
