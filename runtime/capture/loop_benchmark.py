"""How long a capture takes while the loop runs, and whether the live picture keeps up with it.

What the loop adds is the time from the request to the result, less what the chain itself took for
that frame: waiting for a look to end, and choosing the sharpest frame. Until a capture is kept, the
picture is packed without a loss, and picture and record are synced to the disk; only then is there
an answer. All of it comes from the same run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from runtime.capture.loop import Loop
from runtime.capture.station import Station
from runtime.store.store import Store
from runtime.timings import summarise
from runtime.web.pictures import LivePictures

if TYPE_CHECKING:
    from runtime.capture.camera import Camera
    from runtime.chain import Chain

WARM_UP_CAPTURES = 5
BETWEEN_SECONDS = 0.2  # as fast as nobody captures; so the loop looks in between
LIVE_SECONDS = 60.0  # until a picture must be there


def measure_loop(
    camera: Camera, chain: Chain, seconds: float, progress: Callable[[float], None]
) -> dict[str, Any]:
    """With somebody looking on, as there is in use."""
    with (
        TemporaryDirectory() as place,
        Store(Path(place) / "store") as store,
        Loop(camera, chain) as loop,
    ):
        station = Station(loop, store, store.begin({}), "bench")
        live = _Onlooker(camera)
        with live:
            for _ in range(WARM_UP_CAPTURES):
                _wait_until_live(loop)
                loop.capture().result()
            live.begin()
            before, started = camera.status.counts.received, time.monotonic()
            waited, chains, ages = [], [], []
            while (passed := time.monotonic() - started) < seconds:
                progress(passed / seconds)
                _, captured = station.capture({})
                waited.append(captured.waited_ms)
                chains.append(captured.analysis.result.timing_ms["total"])
                ages.append(captured.age_ms)
                time.sleep(BETWEEN_SECONDS)
            rate = live.rate()
            view = loop.view()
            passed = time.monotonic() - started
    return {
        "camera": camera.status.what,
        "captures": len(waited),
        "capture_to_result_ms": summarise(waited),
        "capture_until_kept_ms": summarise(list(station.waited_ms)),
        "chain_ms": summarise(chains),
        "added_by_loop_ms": summarise(
            [one - other for one, other in zip(waited, chains, strict=True)]
        ),
        "frame_age_ms": summarise(ages),
        "frames_per_second": (view.camera.counts.received - before) / passed,
        "live_pictures_per_second": rate,
        "looks_per_second": view.looks_per_second,
        "counts": view.camera.counts.as_facts(),
    }


def _wait_until_live(loop: Loop) -> None:
    deadline = time.monotonic() + LIVE_SECONDS
    while loop.camera.status.state != "live" and time.monotonic() < deadline:
        time.sleep(0.05)


class _Onlooker:
    """A browser with the live picture, as far as this machine has to work for it."""

    def __init__(self, camera: Camera) -> None:
        self._pictures = LivePictures(camera)
        self._stop = Event()
        self._seen, self._began = 0, time.monotonic()
        self._thread = Thread(target=self._look_on, daemon=True)

    def begin(self) -> None:
        self._seen, self._began = 0, time.monotonic()

    def rate(self) -> float:
        return self._seen / (time.monotonic() - self._began)

    def _look_on(self) -> None:
        number = 0
        while not self._stop.is_set():
            found = self._pictures.after(number, 0.2)
            if found is not None:
                number = found[0]
                self._seen += 1

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
