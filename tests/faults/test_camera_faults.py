"""`infer --camera` as a process, killed at any moment: what it acknowledged is there afterwards."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from runtime.bundle_files import load_bundle
from runtime.store.store import Store
from tests.runtime.capture.waiting import until
from tests.runtime.scans import bundle_at

KEPT = re.compile(r"Kept as capture (\d+)\.")
ANSWERS = re.compile(r"Kept as capture|There is no live picture")


class CameraLoop:
    """The command, with its words as they come."""

    def __init__(self, tmp_path: Path, source: str = "synthetic:320x240@60") -> None:
        words = ["--camera", source, "--bundle", tmp_path / "bundle", "--store", tmp_path / "store"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runtime.infer", *map(str, words), "--backend", "openvino"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.words = ""
        self._listener = Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.words += line

    @property
    def acknowledged(self) -> list[int]:
        return [int(number) for number in KEPT.findall(self.words)]

    def ask(self, patient: dict[str, object]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(patient) + "\n")
        self.process.stdin.flush()

    def wait_for(self, captures: int) -> None:
        until(lambda: len(self.acknowledged) >= captures, self.words)

    def first_capture(self) -> None:
        """At first there is no picture, and it says so: ask until there is one."""
        asked = 0
        while not self.acknowledged:
            self.ask({"patient": "first"})
            asked += 1
            until(lambda a=asked: len(ANSWERS.findall(self.words)) == a, "it says nothing")

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        self.process.wait(timeout=60)
        self._listener.join()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(BrokenPipeError):
                assert pipe is not None
                pipe.close()
        return self.process.returncode


@pytest.mark.slow
def test_killed_under_load_nothing_acknowledged_is_lost(tmp_path: Path, fault_rounds: int) -> None:
    bundle_at(tmp_path / "bundle")
    rng, acknowledged = random.Random(3), []
    for _ in range(fault_rounds):
        loop = CameraLoop(tmp_path)
        loop.first_capture()
        for number in range(30):
            loop.ask({"patient": f"p{number}"})
        loop.wait_for(len(loop.acknowledged) + rng.randrange(1, 10))
        time.sleep(rng.random() * 0.05)
        assert loop.end(signal.SIGKILL) == -signal.SIGKILL
        acknowledged += loop.acknowledged
        with Store(tmp_path / "store", writable=False) as store:
            assert list(store.problems()) == []
            kept = {capture.number: capture for capture in store.captures()}
            assert set(acknowledged) <= kept.keys()
            for capture in kept.values():
                assert capture.record is not None
                picture = store.picture(capture.image or "")
                assert picture.startswith(b"\x89PNG")
                assert picture.endswith(b"IEND\xaeB`\x82")
    assert len(acknowledged) == len(set(acknowledged))


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order(tmp_path: Path, how: signal.Signals) -> None:
    bundle_at(tmp_path / "bundle")
    loop = CameraLoop(tmp_path)
    loop.first_capture()
    assert loop.end(how) == (0 if how == signal.SIGTERM else 130)
    with Store(tmp_path / "store", writable=False) as store:
        (session,) = store.sessions()
        assert session["ended"]
        assert session["facts"]["camera"] == "synthetic"
        assert list(store.problems()) == []


@pytest.mark.slow
def test_what_is_kept_is_what_was_judged(tmp_path: Path) -> None:
    bundle_at(tmp_path / "bundle")
    loop = CameraLoop(tmp_path)
    loop.first_capture()
    before = len(loop.acknowledged)
    loop.ask({"patient": "p9", "age": 61, "note": "under the nail"})
    loop.wait_for(before + 1)
    loop.end(signal.SIGTERM)
    with Store(tmp_path / "store", writable=False) as store:
        capture = store.captures()[-1]
        picture = store.picture(capture.image or "")
    assert capture.patient == {"patient": "p9", "age": 61, "note": "under the nail"}
    record = capture.record or {}
    assert record["metadata"] == {"age": 61}
    assert record["source"] == "synthetic"
    assert record["frame_age_ms"] < 500
    from runtime.chain import open_chain
    from runtime.decode import decode_image

    with open_chain(load_bundle(tmp_path / "bundle"), "openvino") as chain:
        again = chain.process(decode_image(picture, "it"), {"age": 61})
    assert again.score == pytest.approx(record["score"], abs=1e-6)
