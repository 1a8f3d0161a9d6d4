"""The loop on a console: what asks for a capture, and what it leaves."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing, suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

import pytest

from runtime.capture import console
from runtime.capture.button import Button
from runtime.capture.station import Station
from runtime.capture.watch import Journal
from runtime.store.store import Limits, Store
from tests.bundle_factory import make_bundle
from tests.runtime.capture.mjpeg_server import network_camera
from tests.runtime.capture.test_button import Played
from tests.runtime.capture.test_loop import good, running
from tests.runtime.capture.waiting import until


def test_a_button_captures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It goes away in between, and the loop goes on."""
    words: SimpleQueue[bool | Exception] = SimpleQueue()
    with (
        closing(Journal(tmp_path / "log")) as journal,
        network_camera() as served,
        running(make_bundle(tmp_path / "B"), served.url) as loop,
        Store(tmp_path / "store", limits=Limits(free_mb=0)) as store,
        Button("pedal", lambda: Played(words)) as button,
    ):
        good(loop)
        station = Station(loop, store, store.begin({}), "test", journal=journal)

        def kept(many: int) -> bool:
            """As people do: where there is no live picture just now, they press again."""
            words.put(True)
            time.sleep(1.0)
            return len(store.captures()) >= many

        def hands() -> None:
            # Whatever goes wrong, the loop is ended: what is missing shows below.
            with suppress(AssertionError):
                until(lambda: kept(1), "no capture")
                words.put(OSError(19, "No such device"))
                until(lambda: kept(len(store.captures()) + 1), "no capture")
            os.kill(os.getpid(), signal.SIGTERM)

        pressing = Thread(target=hands)
        pressing.start()
        console.run(station, headless=True, button=button)
        pressing.join()
        captures = store.captures()
        assert len(captures) >= 2
        assert all(each.patient == {} for each in captures)
    said = capsys.readouterr()
    assert said.out.count("Kept as capture") == len(captures)
    assert "Button (pedal): ready" in said.err
    assert "Button (pedal): No such device" in said.err
    assert '"status": "No such device"' in (tmp_path / "log").read_text()
