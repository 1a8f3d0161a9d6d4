"""`infer --camera` as a process, killed at any moment: what it acknowledged is there afterwards."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from runtime.bundle_files import load_bundle
from runtime.store.store import Store
from runtime.timings import percentile
from tests.faults.camera_loop import CameraLoop, check_kept, running
from tests.runtime.scans import bundle_at

SOON_SECONDS = 5.0  # within which the loop is live again, whatever was killed
PIPELINE = (
    "gst:videotestsrc is-live=true pattern=snow ! video/x-raw,width=320,height=240,framerate=30/1"
)

LONG_FORM = 100  # rounds: `make faults`, for which nothing else runs on the machine

Soon = Callable[[str, Sequence[float]], None]


@pytest.fixture
def soon(capsys: pytest.CaptureFixture[str], fault_rounds: int) -> Soon:
    """Live again soon: every time in the long form. CI shares its machine with others, and there
    it has to be half of the times. How long it took is told where the tests' words are seen."""

    def check(what: str, seconds: Sequence[float]) -> None:
        with capsys.disabled():
            figures = ", ".join(f"p{p} {percentile(list(seconds), p):.2f}" for p in (50, 90, 99))
            print(f"\n{what}, {len(seconds)} times: {figures}, at most {max(seconds):.2f} s")
        slowest = max(seconds) if fault_rounds >= LONG_FORM else percentile(list(seconds), 50)
        assert slowest < SOON_SECONDS, what

    return check


@pytest.mark.slow
def test_killed_under_load_nothing_acknowledged_is_lost(
    tmp_path: Path, fault_rounds: int, soon: Soon
) -> None:
    """One time in five while it starts, which is when it sweeps its store."""
    bundle = bundle_at(tmp_path / "bundle")
    rng, last, took = random.Random(3), 0, []
    acknowledged: list[int] = []
    for number in range(fault_rounds):
        with CameraLoop(tmp_path / "store", bundle=bundle) as loop:
            if number % 5 == 4:
                time.sleep(rng.random() * percentile(took, 50))
            else:
                took.append(loop.until_live() - loop.began)
                for one in range(30):
                    loop.ask({"patient": f"p{one}"})
                loop.wait_for(rng.randrange(10))
                time.sleep(rng.random() * 0.1)
            assert loop.end(signal.SIGKILL) == -signal.SIGKILL
        acknowledged += loop.acknowledged
        kept = check_kept(tmp_path / "store", acknowledged, after=last)
        last = max([last, *(capture.number for capture in kept)])
    assert len(acknowledged) == len(set(acknowledged)) >= fault_rounds
    soon("From its start until it is live, after kill -9", took)
    words = [sys.executable, "-m", "runtime.sessions", "verify", "--store", str(tmp_path / "store")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("victim", "source", "how"),
    [
        ("runtime.capture.reader", "synthetic:320x240@60", signal.SIGKILL),
        ("runtime.capture.reader", PIPELINE, signal.SIGKILL),
        ("gst-launch-1.0", PIPELINE, signal.SIGKILL),
        ("runtime.capture.reader", "synthetic:320x240@60", signal.SIGSTOP),
    ],
)
def test_what_reads_the_camera_is_killed_and_the_loop_is_live_again(
    tmp_path: Path, fault_rounds: int, soon: Soon, victim: str, source: str, how: signal.Signals
) -> None:
    """A reader that is stopped is one that hangs in a driver: it is noticed by its silence."""
    if source == PIPELINE and shutil.which("gst-launch-1.0") is None:
        pytest.skip("GStreamer is not installed")
    bundle = bundle_at(tmp_path / "bundle")
    rng, took = random.Random(4), []
    rounds = fault_rounds if how == signal.SIGKILL else max(fault_rounds // 10, 3)
    with running(tmp_path / "store", source, bundle) as loop:
        loop.first_capture()
        for _ in range(rounds):
            for one in range(5):
                loop.ask({"patient": f"p{one}"})
            time.sleep(rng.random() * 0.5)
            openings = loop.device()["counts"]["openings"]
            killed = time.monotonic()
            os.kill(loop.process_of(victim), how)
            took.append(loop.until_live(openings) - killed)
        before = len(loop.acknowledged)
        loop.ask({"patient": "last"})
        loop.wait_for(before + 1)
    check_kept(tmp_path / "store", loop.acknowledged)
    soon(f"From {how.name} of {victim} ({source[:9]}) until it is live", took)


@pytest.mark.slow
def test_the_demo_bundle_is_live_soon_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault_rounds: int, soon: Soon
) -> None:
    """With networks of the usual size and their self-test, at the size of a usual camera; and with
    engines that were built before, as the unit of systemd has it."""
    monkeypatch.setenv("DERMEDGE_CACHE", str(tmp_path / "cache"))
    subprocess.run([sys.executable, "-m", "runtime.build", "--backend", "openvino"], check=True)
    took = []
    for _ in range(max(fault_rounds // 10, 3)):
        with CameraLoop(tmp_path / "store", "synthetic:1280x720@30") as loop:
            took.append(loop.until_live() - loop.began)
            loop.first_capture()
            loop.end(signal.SIGKILL)
        check_kept(tmp_path / "store", loop.acknowledged)
    soon("From its start until it is live, with the demo bundle", took)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order(tmp_path: Path, how: signal.Signals) -> None:
    with CameraLoop(tmp_path / "store", bundle=bundle_at(tmp_path / "bundle")) as loop:
        loop.first_capture()
        assert loop.end(how) == (0 if how == signal.SIGTERM else 130)
    with Store(tmp_path / "store", writable=False) as store:
        (session,) = store.sessions()
        assert session["ended"]
        assert session["facts"]["camera"] == "synthetic"
        assert list(store.problems()) == []


@pytest.mark.slow
def test_what_is_kept_is_what_was_judged(tmp_path: Path) -> None:
    with CameraLoop(tmp_path / "store", bundle=bundle_at(tmp_path / "bundle")) as loop:
        loop.first_capture()
        before = len(loop.acknowledged)
        loop.ask({"patient": "p9", "age": 61, "note": "under the nail"})
        loop.wait_for(before + 1)
        loop.end()
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
