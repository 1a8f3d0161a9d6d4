"""A camera's password goes to the camera: no list of processes, log, record or message has it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runtime.bench import _as_typed
from runtime.capture.address import parse_address, without_secrets
from runtime.capture.camera import Camera
from runtime.capture.camera_profile import Profile, read_profile
from runtime.errors import UsageError
from tests.runtime.capture.mjpeg_server import NetworkCamera, network_camera
from tests.runtime.capture.test_camera import QUICK
from tests.runtime.capture.waiting import until
from tests.runtime.scans import bundle_at

SECRET = "fe-word-9"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"no rtsp://ann:{SECRET}@10.0.0.9/live now", "no rtsp://…@10.0.0.9/live now"),
        (f"http://ann:a@{SECRET}@cam/x", "http://…@cam/x"),
        (f"http://cam/x?key={SECRET}&a=b, got 404", "http://cam/x?… got 404"),
        (f'rtspsrc user-pw={SECRET} user-id="ann" ! x', 'rtspsrc user-pw=… user-id="ann" ! x'),
        ("/dev/video0 is away; expected a@b", "/dev/video0 is away; expected a@b"),
    ],
)  # fmt: skip
def test_words_of_others_are_cleaned(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    "given", [f"ann:{SECRET}@cam/live", f"ann:a@{SECRET}@cam", f"ftp://ann:{SECRET}@cam/x"]
)
def test_what_is_refused_is_not_repeated(given: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(given)
    assert SECRET not in str(caught.value)
    assert "cam" in str(caught.value)


def test_an_address_is_printed_without_it() -> None:
    address = parse_address(f"rtsp://ann:{SECRET}@cam/live")
    assert SECRET not in f"{address} {address!r}"
    assert address.has_secret
    assert not parse_address("rtsp://cam/live").has_secret


def test_a_benchmark_s_file_has_its_command_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["bench", "--camera", f"http://ann:{SECRET}@cam/x", "--out", "b.json"]
    monkeypatch.setattr(sys, "argv", ["/usr/bin/dermedge", *words])
    assert _as_typed() == "dermedge bench --camera 'http://…@cam/x' --out b.json"


@pytest.mark.parametrize(
    "text", ["device: [{}", "device: {{}}\nzoom: {}", "{}", "a: b: {}", "!{} x"]
)
def test_a_broken_profile_is_not_repeated(tmp_path: Path, text: str) -> None:
    url = f"rtsp://ann:{SECRET}@cam/live"
    (tmp_path / "camera.yaml").write_text(text.format(url))
    with pytest.raises(UsageError, match="no profile") as caught:
        read_profile(tmp_path / "camera.yaml")
    assert SECRET not in str(caught.value)


@pytest.mark.skipif(shutil.which("gst-launch-1.0") is None, reason="GStreamer is not installed")
def test_a_pipeline_s_own_words_are_cleaned() -> None:
    pipeline = f"gst:filesrc location=rtsp://ann:{SECRET}@cam/x nosuch=1 ! fakesink"
    with Camera(parse_address(pipeline), patience=QUICK) as camera:
        until(lambda: "gives no pictures" in (camera.status.why or ""), str(camera.status))
        assert SECRET not in repr(camera.status)


def test_a_stream_that_does_not_answer(capfd: pytest.CaptureFixture[str]) -> None:
    with Camera(parse_address(f"rtsp://ann:{SECRET}@127.0.0.1:9/x"), patience=QUICK) as camera:
        until(lambda: "does not answer" in (camera.status.why or ""), str(camera.status))
        assert SECRET not in repr(camera.status)
    said = capfd.readouterr()
    assert SECRET not in said.out + said.err


@contextmanager
def running(
    folder: Path, served: NetworkCamera, words: list[str], variable: str
) -> Iterator[subprocess.Popen[str]]:
    bundle_at(folder / "bundle")
    words = ["--bundle", str(folder / "bundle"), "--backend", "openvino", *words]
    words += ["--store", str(folder / "store"), "--log", str(folder / "log"), "--headless"]
    process = subprocess.Popen(
        [sys.executable, "-m", "runtime.infer", "--camera", *words, "--web", "127.0.0.1:0"],
        env={**os.environ, "DERMEDGE_CAMERA": variable},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until(lambda: served.asked[1] is not None, "it does not ask for the stream")
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["variable", "profile"])
def test_nobody_is_told(tmp_path: Path, way: str) -> None:
    with network_camera() as served:
        url = served.url.replace("http://", f"http://ann:{SECRET}@")
        (tmp_path / "camera.yaml").write_text(Profile(device=url).to_yaml())
        words = [] if way == "variable" else ["--profile", str(tmp_path / "camera.yaml")]
        with running(tmp_path, served, words, url if way == "variable" else "") as process:
            assert process.stdout is not None
            screen = ""
            while "The screen is at" not in screen:
                screen = process.stdout.readline()
                assert screen, "it has ended"
            address = screen.split()[-1]
            listed = subprocess.run(["ps", "axww", "-o", "args="], capture_output=True, check=True)
            device = urllib.request.urlopen(f"{address}api/device").read()
            metrics = urllib.request.urlopen(f"{address}metrics").read()
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=60)
    assert served.asked[1] is not None
    assert json.loads(device)["camera"]["name"].endswith("/stream")
    (tmp_path / "camera.yaml").unlink()
    kept = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert (tmp_path / "log").exists()
    for content in (listed.stdout, device, metrics, said.encode(), screen.encode(), *kept):
        assert SECRET.encode() not in content


@pytest.mark.slow
def test_words_that_all_can_list_are_warned_of(tmp_path: Path) -> None:
    bundle_at(tmp_path / "bundle")
    words = ["--camera", f"http://ann:{SECRET}@127.0.0.1:9/x", "--bundle", tmp_path / "bundle"]
    words += ["--store", tmp_path / "file", "--backend", "openvino", "--headless"]
    (tmp_path / "file").write_text("no folder, so that it ends")
    done = subprocess.run(
        [sys.executable, "-m", "runtime.infer", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "every user of this machine can list it" in done.stderr
    assert "DERMEDGE_CAMERA" in done.stderr
    assert SECRET not in done.stderr
