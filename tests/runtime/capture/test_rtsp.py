"""A camera that speaks RTSP, of a real server: watched, locked, switched off and on again."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.capture.address import parse_address
from runtime.capture.camera import Camera, Patience
from tests.runtime.capture.waiting import PATIENT_SECONDS, until

DEBIANS_PYTHON = "/usr/bin/python3"
SERVER = Path(__file__).with_name("rtsp_server.py")
NEEDED = "import gi; gi.require_version('GstRtspServer', '1.0')"
QUICK = Patience(waits=(0.05, 0.1))
SIZE = (240, 320, 3)


def _server_is_here() -> bool:
    try:
        words = [DEBIANS_PYTHON, "-c", NEEDED]
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


pytestmark = pytest.mark.skipif(
    not _server_is_here(), reason="needs Debian's gir1.2-gst-rtsp-server-1.0 and python3-gi"
)


@pytest.fixture
def port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@contextmanager
def serving(port: str, *words: str) -> Iterator[None]:
    command = [DEBIANS_PYTHON, str(SERVER), port, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "serving\n"
            yield
        finally:
            process.kill()


def watch(port: str, login: str = "") -> Camera:
    return Camera(parse_address(f"rtsp://{login}127.0.0.1:{port}/lens"), patience=QUICK)


def until_live(camera: Camera) -> None:
    until(lambda: camera.status.state == "live", str(camera.status))


@pytest.mark.parametrize("coder", ["jpeg", "vp8", "h264"])
def test_it_gives_pictures_that_move(port: str, coder: str) -> None:
    with serving(port, coder), watch(port) as camera:
        until_live(camera)
        seen = 0
        for _ in range(10):
            with camera.newest(after=seen, timeout=PATIENT_SECONDS) as frame:
                assert frame is not None
                assert frame.pixels.shape == SIZE
                assert frame.number > seen
                seen = frame.number
        assert camera.status.counts.openings == 1
        assert "320 × 240" in camera.status.what


def test_what_was_kept_while_the_stream_was_examined_is_passed_over(port: str) -> None:
    """It would come in a burst, as pictures of now, and be up to a second old."""
    with serving(port, "jpeg"), watch(port) as camera:
        until_live(camera)
        with camera.newest(timeout=PATIENT_SECONDS) as frame:
            assert frame is not None
            assert camera.status.counts.unread > 3


def test_switched_off_and_on_it_is_live_again(port: str) -> None:
    with watch(port) as camera:
        with serving(port, "h264"):
            until_live(camera)
        until(lambda: camera.status.state in ("lost", "reopening"), str(camera.status))
        assert camera.status.why is not None
        with serving(port, "h264"):
            until_live(camera)
        assert camera.status.counts.openings > 1
        assert camera.status.counts.damaged <= camera.status.counts.openings, (
            "frames that never came"
        )


def test_a_lock_opens_to_its_password_which_nobody_reads(port: str) -> None:
    with serving(port, "h264", "lens", "s3cret"):
        with watch(port) as camera:
            until(lambda: camera.status.state == "lost", str(camera.status))
            assert "does not answer" in str(camera.status.why)
        with watch(port, "lens:s3cret@") as camera:
            until_live(camera)
            assert "s3cret" not in repr(camera.status)


def test_a_camera_that_hangs_is_opened_again(port: str) -> None:
    with serving(port, "h264"), watch(port) as camera:
        camera.patience = replace(QUICK, kill=1.0)
        until_live(camera)
        opened = camera.status.counts.openings
        subprocess.run(["pkill", "-STOP", "-f", f"{SERVER} {port} "], check=True)
        until(lambda: camera.status.state == "lost", str(camera.status))
        subprocess.run(["pkill", "-CONT", "-f", f"{SERVER} {port} "], check=True)
        until_live(camera)
        assert camera.status.counts.openings > opened
