"""A watched camera with its real reader process: what it gives, and how it comes back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.capture import gstreamer
from runtime.capture.address import parse_address
from runtime.capture.camera import HELD, KEPT, SPARE, Camera, Patience
from runtime.capture.source import SourceLost
from tests.runtime.capture.mjpeg_server import NetworkCamera, Way, network_camera, picture
from tests.runtime.capture.waiting import PATIENT_SECONDS, until

QUICK = Patience(stall=0.3, kill=1.0, frozen=0.3, thaw=1.0, waits=(0.05, 0.1))


def watch(source: str, patience: Patience = QUICK) -> Camera:
    return Camera(parse_address(source), patience=patience)


def balanced(camera: Camera) -> bool:
    return camera.status.counts.unaccounted == 0


def numbers(camera: Camera, how_many: int) -> list[int]:
    seen = [0]
    while len(seen) <= how_many:
        with camera.newest(after=seen[-1], timeout=PATIENT_SECONDS) as frame:
            assert frame is not None, camera.status
            seen.append(frame.number)
    return seen[1:]


def live(camera: Camera) -> bool:
    return camera.status.state == "live"


def reader_of(camera: Camera) -> int:
    """The process that reads for this camera: the one that has its socket's other end open."""
    mine = os.getpid()
    words = ["ps", "-o", "pid=,args=", "--ppid", str(mine)]
    out = subprocess.run(words, capture_output=True, text=True, check=True)
    lines = [line.split(None, 1) for line in out.stdout.splitlines()]
    (pid,) = [int(pid) for pid, words in lines if "runtime.capture.reader" in words]
    return pid


def test_frames_come_in_order_and_are_fresh() -> None:
    with watch("synthetic:320x240@60") as camera:
        seen = numbers(camera, 40)
        assert seen == sorted(set(seen))
        with camera.newest(after=seen[-1], timeout=PATIENT_SECONDS) as frame:
            assert frame is not None
            assert frame.pixels.shape == (240, 320, 3)
            assert 0 <= frame.age_ms < PATIENT_SECONDS * 1e3
        assert balanced(camera)
        assert "320 × 240 at 60" in camera.status.what


def test_a_loop_that_is_slow_gets_the_newest_and_the_rest_is_counted() -> None:
    with network_camera("burst") as served, watch(served.url) as camera:
        first = numbers(camera, 1)[0]
        time.sleep(1.0)
        second = numbers(camera, 1)
        with camera.newest(timeout=PATIENT_SECONDS) as frame:
            assert frame is not None
            assert frame.number >= second[0] > first
            counts = camera.status.counts
            assert counts.received - frame.number < KEPT + 5, "it was not among the newest"
        assert balanced(camera)


def test_a_frame_that_is_held_is_not_written_over() -> None:
    with watch("synthetic:320x240@120") as camera:
        until(lambda: live(camera), "no frame")
        with camera.newest(timeout=PATIENT_SECONDS) as frame:
            assert frame is not None
            before = frame.pixels.copy()
            numbers(camera, 4 * (KEPT + SPARE))
            assert np.array_equal(frame.pixels, before)


def test_recent_frames_are_kept_for_a_choice() -> None:
    with watch("synthetic:320x240@60") as camera:
        numbers(camera, 20)
        with camera.recent(PATIENT_SECONDS) as frames:
            assert len(frames) == KEPT
            held = [frame.number for frame in frames]
            assert held == sorted(held)
        with camera.recent(0.0) as frames:
            assert frames == []


@pytest.mark.parametrize("way", ["stalled", "frozen", "garbage", "half"])
def test_what_is_no_live_picture_is_given_to_nobody(way: Way) -> None:
    with network_camera() as served, watch(served.url, replace(QUICK, kill=60, thaw=60)) as camera:
        until(lambda: live(camera), "no frame")
        served.way = way
        until(lambda: camera.status.state == "stalled", f"{way} was not noticed")
        with camera.newest(timeout=0.5) as frame, camera.recent(60.0) as frames:
            assert frame is None
            assert frames == []
        assert camera.status.why
        served.way = "well"
        until(lambda: live(camera), f"it does not recover from {way}")
        numbers(camera, 3)
        assert camera.status.counts.openings == 1
        assert balanced(camera)


@pytest.mark.parametrize("way", ["stalled", "frozen", "garbage"])
def test_a_camera_that_stays_so_is_opened_again(way: Way) -> None:
    with network_camera() as served, watch(served.url) as camera:
        until(lambda: live(camera), "no frame")
        served.way = way
        until(lambda: camera.status.counts.openings >= 3, f"{way}: it was not opened again")
        served.way = "well"
        until(lambda: live(camera), f"it does not recover from {way}")
        assert balanced(camera)


def test_a_frozen_camera_gives_nothing_however_often_it_is_opened() -> None:
    with network_camera("frozen") as served, watch(served.url) as camera:
        until(lambda: camera.status.counts.openings >= 3, "it was not opened again")
        counts = camera.status.counts
        assert counts.given == 0
        assert counts.frozen > 3


def test_a_picture_that_freezes_is_as_old_as_it_is() -> None:
    with network_camera() as served, watch(served.url, replace(QUICK, frozen=30.0)) as camera:
        until(lambda: live(camera), "no frame")
        served.way = "frozen"

        def old() -> bool:
            with camera.newest(timeout=1.0) as frame:
                return frame is not None and frame.age_ms > 600

        until(old, "every repetition counts as new")


def test_trouble_with_the_reader_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when no handle is left: later there may be."""
    monkeypatch.setattr("runtime.capture.camera.ReaderProcess", _no_handle)
    with watch("synthetic:320x240@30") as camera:
        until(lambda: "Too many open files" in (camera.status.why or ""), "no reason")
        assert camera.is_watched
        monkeypatch.undo()
        until(lambda: live(camera), "it does not recover")


def _no_handle(*_: object) -> None:
    raise OSError(24, "Too many open files")


def test_a_connection_that_breaks_off_is_made_again() -> None:
    with network_camera() as served, watch(served.url) as camera:
        until(lambda: live(camera), "no frame")
        served.way = "reset"
        until(lambda: served.connections == 2, "it did not come back")
        until(lambda: live(camera), "no frame again")


def test_another_size_is_another_size() -> None:
    with network_camera() as served, watch(served.url) as camera:
        numbers(camera, 2)
        served.way = "larger"

        def larger() -> bool:
            with camera.newest(timeout=1.0) as frame:
                return frame is not None and frame.pixels.shape == (480, 640, 3)

        until(larger, "no larger frame")


def test_a_reader_that_is_killed_or_hangs_is_replaced() -> None:
    with watch("synthetic:320x240@30") as camera:
        until(lambda: live(camera), "no frame")
        last = numbers(camera, 3)[-1]
        for number, how in enumerate((signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV), start=2):
            os.kill(reader_of(camera), how)
            until(lambda n=number: camera.status.counts.openings == n, f"not reopened: {how}")
            until(lambda: live(camera), f"not live again: {how}")
            with camera.newest(after=last, timeout=PATIENT_SECONDS) as frame:
                assert frame is not None
                assert frame.number > last, "numbers go on"
                last = frame.number
        assert balanced(camera)


def test_a_reader_that_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a driver that hangs. No other is sent after it, and the loop can end without it."""
    monkeypatch.setattr(subprocess.Popen, "kill", lambda _: None)
    monkeypatch.setattr("runtime.capture.reader_process.ENDING_SECONDS", 0.2)
    with watch("synthetic:320x240@30") as camera:
        until(lambda: live(camera), "no frame")
        pid = reader_of(camera)
        os.kill(pid, signal.SIGSTOP)
        until(lambda: camera.status.why == HELD, str(camera.status))
        time.sleep(5 * max(QUICK.waits))
        assert camera.status.state == "lost"
        assert camera.status.counts.openings == 1
        os.kill(pid, signal.SIGKILL)
        until(lambda: live(camera), "it is not opened again")
        pid = reader_of(camera)
        os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists(), "it is left as a zombie")


def test_a_camera_that_was_live_is_opened_again_at_once() -> None:
    """However often it fails: only one that gives nothing is waited for longer and longer."""
    with watch("synthetic:320x240@30", replace(QUICK, waits=(0.05, 600.0))) as camera:
        for number in range(1, 4):
            until(lambda: live(camera), "not live")
            os.kill(reader_of(camera), signal.SIGKILL)
            until(lambda n=number: camera.status.counts.openings > n, "not reopened")


def test_at_every_moment_every_frame_is_accounted_for() -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that threads meet in the middle of everything
    try:
        with network_camera("burst") as served, watch(served.url) as camera:
            until(lambda: live(camera), "no frame")
            ending = time.monotonic() + 1.0
            while time.monotonic() < ending:
                assert balanced(camera), camera.status.counts
    finally:
        sys.setswitchinterval(before)


def test_in_the_dark_there_is_no_picture_and_no_reason_to_open_it_again() -> None:
    with network_camera("dark") as served, watch(served.url) as camera:
        until(lambda: camera.status.why == "the picture is black", "it says nothing")
        began = camera.status.counts

        def stays_open() -> bool:
            """For two seconds of frames, where one without any would have ended it."""
            nonlocal began
            counts = camera.status.counts
            if counts.openings != began.openings:  # a busy machine was silent for that long
                began = counts
            return counts.black > began.black + 60

        until(stays_open, "it is opened again and again")
        assert camera.status.counts.given == 0
        served.way = "well"
        until(lambda: live(camera), "not live in the light")
        served.way = "dark"
        until(lambda: camera.status.state == "stalled", "the dark was not noticed")
        with camera.newest(timeout=0.5) as frame, camera.recent(0.2) as frames:
            assert frame is None
            assert frames == []


def test_a_frame_may_outlive_its_reader() -> None:
    with watch("synthetic:320x240@30") as camera:
        with camera.newest(timeout=PATIENT_SECONDS) as frame:
            assert frame is not None
            before = frame.pixels.copy()
            os.kill(reader_of(camera), signal.SIGKILL)
            until(lambda: camera.status.counts.openings == 2, "not reopened")
            assert np.array_equal(frame.pixels, before)
        until(lambda: live(camera), "not live again")
        numbers(camera, 2 * (KEPT + SPARE))


def test_the_reader_does_not_outlive_the_loop() -> None:
    with watch("synthetic:320x240@30") as camera:
        until(lambda: live(camera), "no frame")
        pid = reader_of(camera)
    assert not Path(f"/proc/{pid}").exists()


def test_a_camera_that_is_not_there_says_why_and_is_tried_again() -> None:
    with network_camera() as served:
        gone = served.url
    with watch(gone) as camera:
        until(lambda: camera.status.counts.openings >= 2, "it was not tried again")
        until(lambda: camera.status.why is not None, "no reason")
        assert "does not answer" in (camera.status.why or "")
    with network_camera() as served, watch(served.url.replace("stream", "other")) as camera:
        until(lambda: "404" in (camera.status.why or ""), "no reason")


def test_a_password_goes_to_the_camera_and_nowhere_else() -> None:
    with network_camera() as served:
        url = served.url.replace("http://", "http://ann:s%40fe-word@")
        with watch(url) as camera:
            until(lambda: live(camera), "no frame")
            assert served.asked[1] == "Basic YW5uOnNAZmUtd29yZA=="
            command = Path(f"/proc/{reader_of(camera)}/cmdline").read_bytes()
            assert b"fe-word" not in command
            assert "fe-word" not in repr(camera.status)


def test_pictures_and_recordings_are_played(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.jpg").write_bytes(picture(number))
    (tmp_path / "words.txt").write_text("no picture")
    with watch(str(tmp_path)) as camera:
        numbers(camera, 5)  # the same one, which is as it should be
        assert camera.status.counts.frozen == 0
    video = tmp_path / "visit.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 50.0, (64, 48))
    for level in range(10):
        writer.write(np.full((48, 64, 3), 20 * level, np.uint8))
    writer.release()
    with watch(str(video)) as camera:
        numbers(camera, 25)  # it begins again
        assert camera.status.counts.openings == 1


@pytest.mark.skipif(shutil.which("gst-launch-1.0") is None, reason="GStreamer is not installed")
@pytest.mark.parametrize("width", [320, 322])
def test_a_pipeline(width: int) -> None:
    caps = f"video/x-raw,width={width},height=240,framerate=30/1"
    pipeline = f"gst:videotestsrc is-live=true pattern=snow ! {caps}"
    with watch(pipeline) as camera, camera.newest(timeout=PATIENT_SECONDS) as frame:
        assert frame is not None
        assert frame.pixels.shape == (240, width, 3)
        assert 100 < frame.pixels.mean() < 155, "snow"


@pytest.mark.skipif(shutil.which("gst-launch-1.0") is None, reason="GStreamer is not installed")
def test_a_pipeline_that_cannot_be() -> None:
    with watch("gst:nosuchsource") as camera:
        until(lambda: "nosuchsource" in (camera.status.why or ""), "no reason")


def test_a_pipeline_that_does_not_say_its_size_is_given_up_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As GStreamer does at times; opened once more, it says it."""
    program = tmp_path / "mute"
    program.write_text("""#!/bin/bash
last="${!#}"
head -c 50000 /dev/zero >&"${last#fd=}"
echo Redistribute latency...
sleep 600
""")
    program.chmod(0o700)
    monkeypatch.setattr(gstreamer, "PROGRAM", str(program))
    monkeypatch.setattr(gstreamer, "MUTE_SECONDS", 0.2)
    with pytest.raises(SourceLost, match="does not say of what size") as caught:
        gstreamer.GStreamer(parse_address("gst:any"))
    assert caught.value.got == "Redistribute latency..."


def test_nothing_is_left_open() -> None:
    def handles() -> int:
        return len(os.listdir("/proc/self/fd"))

    with network_camera() as served:
        use_once(served)
        before = handles()
        for _ in range(5):
            use_once(served)
        assert handles() <= before + 2  # the server's own connections come and go


def use_once(served: NetworkCamera) -> None:
    with watch(served.url) as camera:
        numbers(camera, 2)
