"""The scan: decode threads → chains → writer thread. Ordered, bounded, and safe to kill.

A picture's overlay is written before its record, and a record before the next one's, so whatever
has a record has everything. What a kill loses is work that has no record yet, and the next run
does that again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from queue import Empty, Queue
from threading import Thread
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING

import cv2

from runtime.heatmap import draw_heatmap
from runtime.judging import Metadata, judge_ahead
from runtime.out_folder import HEATMAPS, OutFolder
from runtime.overlay import draw_overlay, overlay_name
from runtime.prefetch import load_ahead
from runtime.record import Result
from runtime.results import SYNC_SECONDS, ResultLog, key_of, writing
from runtime.sources import Item, Loaded, Sources

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self

    from runtime.chain import Analysis, Chain
    from runtime.preprocess import Image

WAITING = 2  # analysed frames waiting for the writer
OVERLAY_QUALITY = 88


@dataclass(slots=True)
class Progress:
    """How far a scan is. `seconds` leaves out what an earlier run had recorded at the start."""

    seen: int = 0
    resumed: int = 0
    unreadable: int = 0
    started: float = 0.0
    seconds: float = 0.0

    @property
    def scanned(self) -> int:
        return self.seen - self.resumed

    @property
    def rate(self) -> float:
        return self.scanned / self.seconds if self.seconds > 0 else 0.0


def scan(
    chains: Sequence[Chain],
    sources: Sources,
    out: OutFolder,
    metadata: Metadata,
    report: Callable[[Progress], None],
    explain: bool = False,
) -> Progress:
    """Record every item of `sources` that is not recorded yet. `report` is told after each."""
    progress = Progress(started=perf_counter())

    def known(source: str, sha256: str) -> bool:
        return key_of(source, sha256) in out.done

    ahead = load_ahead(sources.items, known)
    judged = judge_ahead(chains, ahead, metadata, explain)
    with (
        _one_opencv_thread(),
        ResultLog(out.records) as log,
        _Writer(log, out) as writer,
        closing(ahead),
        closing(judged),
    ):
        for item, loaded, analysis in judged:
            progress.seen += 1
            if loaded.frame is not None and analysis is not None:
                writer.put(_completed(item, loaded, analysis.result), loaded.frame, analysis)
            elif loaded.error is not None:
                progress.unreadable += 1
                writer.put(_unreadable(item, loaded, chains[0], metadata(item.file)))
            else:
                progress.resumed += 1
                if not progress.scanned:
                    progress.started = perf_counter()
            progress.seconds = perf_counter() - progress.started
            report(progress)
    return progress


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """The pipeline keeps the cores busy; OpenCV's own threads beside it only get in the way.

    Measured on two cores with 1.2-megapixel images: 90 instead of 72 images a second.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _completed(item: Item, loaded: Loaded, result: Result) -> Result:
    timing = {"decode": loaded.decode_ms, **result.timing_ms}
    found = {"time": _now(), "source": item.source, "sha256": loaded.sha256, "timing_ms": timing}
    return result.model_copy(update=found)


def _unreadable(item: Item, loaded: Loaded, chain: Chain, metadata: Mapping[str, object]) -> Result:
    assert loaded.error is not None
    return Result(
        time=_now(),
        source=item.source,
        sha256=loaded.sha256,
        status="error",
        reason=loaded.error.one_line,
        metadata=dict(metadata),
        bundle=chain.bundle.record,
    )


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


class _Writer:
    """A thread that draws, encodes and writes. Its failure is raised where the next is put."""

    def __init__(self, log: ResultLog, out: OutFolder) -> None:
        self._log, self._out = log, out
        self._queue: Queue[tuple[Result, Image | None, Analysis | None] | None] = Queue(WAITING)
        self._failure: BaseException | None = None
        self._thread = Thread(target=self._run, name="write")

    def put(
        self, result: Result, frame: Image | None = None, analysis: Analysis | None = None
    ) -> None:
        if self._failure is not None:
            raise self._failure
        self._queue.put((result, frame, analysis))

    def _run(self) -> None:
        while True:
            try:
                entry = self._queue.get(timeout=SYNC_SECONDS)
            except Empty:
                self._guarded(self._log.sync)
                continue
            if entry is None:
                return
            self._guarded(self._write, *entry)

    def _guarded(self, step: Callable[..., None], *given: object) -> None:
        """After a failure the queue is still emptied, so that nobody waits for it for ever."""
        if self._failure is not None:
            return
        try:
            step(*given)
        except BaseException as exc:
            self._failure = exc

    def _write(self, result: Result, frame: Image | None, analysis: Analysis | None) -> None:
        if frame is not None and analysis is not None:
            name = overlay_name(result.source, result.sha256)
            _write_jpeg(self._out.overlays / name, draw_overlay(frame, analysis))
            if analysis.heat is not None:
                _write_jpeg(self._out.heatmaps / name, draw_heatmap(frame, analysis.heat))
                result = result.model_copy(update={"heatmap": f"{HEATMAPS}/{name}"})
        self._log.append(result)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._queue.put(None)
        self._thread.join()
        if error is None and self._failure is not None:
            raise self._failure


def _write_jpeg(path: Path, picture: Image) -> None:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, OVERLAY_QUALITY])
    with writing(path):
        path.write_bytes(data.tobytes())
