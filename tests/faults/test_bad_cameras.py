"""`infer --camera` as a process, at cameras that fail: what a capture answers then."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from runtime.decode import decode_image
from runtime.preprocess import Image
from runtime.store.store import Store
from tests.faults.camera_loop import CameraLoop, check_kept, running
from tests.runtime.capture.mjpeg_server import NetworkCamera, Way, network_camera
from tests.runtime.capture.waiting import until
from tests.runtime.scans import bundle_at

KEPT, NOT_CAPTURED = 201, 409
STALE_MS = (
    1000.0  # a picture is at most half as old when it is chosen; a busy machine takes its time
)
MOST_BEHIND = 10  # frames: a twelfth of a second of the fastest camera here
DARKEST = 60.0  # the mean of a test's picture of skin is far above it


@dataclass
class Place:
    """One process for all tests here: it has to get over each of the faults."""

    camera: NetworkCamera
    loop: CameraLoop
    store: Path

    def capture(self) -> dict[str, Any] | None:
        """What was kept, if anything: then it is a picture of that moment, with light in it."""
        status, answer = self.loop.capture()
        if status == NOT_CAPTURED:
            return None
        assert status == KEPT, answer
        assert answer["record"]["frame_age_ms"] < STALE_MS
        assert self.picture(answer["number"]).mean() > DARKEST
        return answer

    def captures_again(self) -> None:
        """A busy machine may at times have no picture that is new enough, and says so."""
        until(lambda: self.capture() is not None, "it captures no more")

    def picture(self, number: int) -> Image:
        with Store(self.store, writable=False) as store:
            kept = store.capture(number)
            assert kept is not None
            return decode_image(store.picture(kept.image or ""), "it")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("place")
    with (
        network_camera() as camera,
        running(folder / "store", camera.url, bundle_at(folder / "bundle")) as loop,
    ):
        yield Place(camera, loop, folder / "store")
    check_kept(folder / "store", [])


@pytest.fixture
def place(started: Place) -> Iterator[Place]:
    yield started
    started.camera.way, started.camera.fps = "well", 30.0
    started.loop.until_live()
    started.captures_again()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("stalled", {"no frame comes"}),
        ("frozen", {"the picture does not change"}),
        # Both are true, and become so within the same second.
        ("black", {"the picture is black", "the picture does not change"}),
        ("dark", {"the picture is black"}),
        ("garbage", {"damaged"}),
        ("half", {"damaged"}),
    ],
)
def test_what_is_no_picture_is_never_judged(place: Place, way: Way, said: set[str]) -> None:
    place.captures_again()
    place.camera.way = way
    while place.loop.state == "live":
        place.capture()  # of the last pictures that were some, or none
    before = len(place.loop.captures())
    status, answer = place.loop.capture()
    assert status == NOT_CAPTURED
    assert answer["what"] == "There is no live picture to judge."
    assert any(words in answer["got"] for words in said), answer["got"]
    assert len(place.loop.captures()) == before


@pytest.mark.slow
@pytest.mark.parametrize("way", ["stalled", "garbage"])
def test_a_camera_that_stays_so_is_opened_again(place: Place, way: Way) -> None:
    openings = place.loop.device()["counts"]["openings"]
    place.camera.way = way
    until(lambda: place.loop.device()["counts"]["openings"] > openings, "it was not opened again")
    assert place.capture() is None
    place.camera.way = "well"
    place.loop.until_live(openings)


@pytest.mark.slow
def test_a_connection_that_is_reset(place: Place) -> None:
    openings = place.loop.device()["counts"]["openings"]
    for number in range(3):
        place.camera.way = "reset"  # once: then it is well
        place.loop.until_live(openings + number)
        place.captures_again()


@pytest.mark.slow
def test_a_camera_that_is_switched_off_and_on(tmp_path: Path) -> None:
    switched_off = ExitStack()
    camera = switched_off.enter_context(network_camera())
    with running(tmp_path / "store", camera.url, bundle_at(tmp_path / "bundle")) as loop:
        switched_off.close()
        camera.way = "reset"  # what was connected, too

        def says_so() -> bool:
            status, answer = loop.capture()
            return status == NOT_CAPTURED and "does not answer" in answer["got"]

        until(says_so, "it does not say why")
        with network_camera(port=urlsplit(camera.url).port or 0):
            loop.until_live()
            loop.first_capture()
    check_kept(tmp_path / "store", loop.acknowledged)


@pytest.mark.slow
def test_another_size_in_the_middle_of_the_stream(place: Place) -> None:
    openings = place.loop.device()["counts"]["openings"]
    sizes = set()
    for way in ("well", "larger", "well"):
        place.camera.way = way  # type: ignore[assignment]
        shape = (480, 640, 3) if way == "larger" else (240, 320, 3)

        def captured(wanted: tuple[int, ...] = shape) -> bool:
            answer = place.capture()
            if answer is None:
                return False
            found = place.picture(answer["number"]).shape
            sizes.add(found)
            box = answer["record"]["lesion"]["box"]
            return found == wanted and box[0] + box[2] <= found[1] and box[1] + box[3] <= found[0]

        until(captured, f"no picture of {shape}")
    assert sizes == {(240, 320, 3), (480, 640, 3)}
    assert place.loop.device()["counts"]["openings"] == openings


@pytest.mark.slow
@pytest.mark.parametrize("stopped", ["the loop", "its reader"])
def test_after_a_standstill_nothing_old_is_judged(place: Place, stopped: str) -> None:
    """What came meanwhile is larger, so that it is known by its size."""
    loop = place.loop.process.pid
    pid = loop if stopped == "the loop" else place.loop.process_of("runtime.capture.reader")
    place.captures_again()
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(0.2)
        place.camera.way = "larger"
        time.sleep(0.5)
        place.camera.way = "well"
        time.sleep(1.0)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(place.capture)
            os.kill(pid, signal.SIGCONT)
            first = asked.result()
    finally:
        os.kill(pid, signal.SIGCONT)
    for answer in [first, *(place.capture() for _ in range(5))]:
        if answer is not None:
            assert place.picture(answer["number"]).shape == (240, 320, 3)


@pytest.mark.slow
@pytest.mark.parametrize("fps", [5, 120])
def test_slow_and_fast_cameras(place: Place, fps: int) -> None:
    """Live, never behind, and not opened anew.

    There are few samples, one a capture, and where others have the cores a second without a frame,
    which is not live, takes two of them: half may be so. Whether it keeps up does not depend on
    that: what was sent while it was held up, it has to catch up with.
    """

    def on_the_way() -> int:
        return place.camera.sent - int(place.loop.device()["counts"]["received"])

    openings = place.loop.device()["counts"]["openings"]
    place.captures_again()
    before = on_the_way()
    place.camera.fps = fps
    ending, states = time.monotonic() + 3.0, []
    while time.monotonic() < ending:
        states.append(place.loop.state)
        place.captures_again()
    assert states.count("live") > len(states) / 2
    until(lambda: on_the_way() - before <= MOST_BEHIND, "it is behind")
    assert place.loop.device()["counts"]["openings"] == openings


@pytest.mark.slow
@pytest.mark.parametrize("source", ["synthetic:320x240@5", "synthetic:1280x720@120"])
def test_steady_cameras_of_other_rates(tmp_path: Path, source: str) -> None:
    with running(tmp_path / "store", source, bundle_at(tmp_path / "bundle")) as loop:
        loop.first_capture()
        for number in range(1, 5):
            loop.ask({"patient": "p1"})
            loop.wait_for(number)
        loop.until_live()
    check_kept(tmp_path / "store", loop.acknowledged)
