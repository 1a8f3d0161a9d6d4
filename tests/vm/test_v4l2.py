"""A V4L2 camera, by the kernel's own virtual one: formats, controls, silence, unplugging.

Runs in the machine that `make vm` boots; elsewhere there is no such camera.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from runtime.capture.address import cameras, parse_address
from runtime.capture.camera import Camera, Patience
from runtime.capture.camera_profile import Profile, read_profile
from runtime.capture.identity import device_of, identity_of
from runtime.capture.listing import found_cameras
from runtime.capture.v4l2 import Camera as Found
from runtime.capture.v4l2 import examine, set_controls
from runtime.doctor import command
from tests.runtime.capture.test_camera import balanced, live, numbers, reader_of
from tests.runtime.capture.waiting import until

pytestmark = pytest.mark.skipif(
    not os.environ.get("DERMEDGE_VM"), reason="needs the machine of `make vm`"
)
DRIVER = Path("/sys/bus/platform/drivers/vivid")
DROPPED = "Percentage of Dropped Buffers"
# Software emulation is slow: nothing here is about how fast.
SLOW = Patience(stall=5.0, kill=10.0, opening=60.0, frozen=10.0, thaw=60.0, waits=(0.2,))
SMALL = Profile(format="YUYV", size=(320, 180), fps=10)


@pytest.fixture
def device() -> Path:
    (found,) = [
        each for each in found_cameras() if isinstance(each, Found) and "vivid" in each.name
    ]
    set_controls(Path(found.device), {DROPPED: 0})
    return Path(found.device)


def watch(device: Path, profile: Profile = SMALL) -> Camera:
    return Camera(parse_address(str(device)), profile, SLOW)


def shape_seen(camera: Camera) -> tuple[int, ...]:
    until(lambda: live(camera), str(camera.status))
    with camera.newest(timeout=60) as frame:
        assert frame is not None
        return frame.pixels.shape


def test_doctor_lists_it(device: Path) -> None:
    out = CliRunner().invoke(command, ["--cameras"]).output
    assert f"{device}  vivid (vivid, platform:vivid-000)" in out
    for words in ("YUYV  YUYV 4:2:2", "320 × 180  at 1, 2", "Brightness: 128  (0 to 255"):
        assert words in out, out


def test_which_it_is(device: Path) -> None:
    known = identity_of(device)
    assert known is not None
    assert "at platform/vivid.0, video 0" in known
    assert device_of(known) == device


def test_a_profile_sets_it_up(device: Path, tmp_path: Path) -> None:
    out = CliRunner().invoke(command, ["--write", str(tmp_path / "camera.yaml")])
    assert out.exit_code == 0, out.output
    profile = read_profile(tmp_path / "camera.yaml")
    assert (profile.device, profile.format) == (str(device), "YUYV")
    assert profile.fps is not None
    assert profile.fps >= 15
    with watch(device, SMALL.model_copy(update={"controls": {"Brightness": 200}})) as camera:
        until(lambda: live(camera), str(camera.status))
        found = examine(device)
        assert found is not None
        assert {c.name: c.value for c in found.controls}["Brightness"] == 200
    set_controls(device, {"Brightness": 128})


def test_controls_that_are_none(device: Path) -> None:
    problems = set_controls(device, {"Zoom": 1, "Brightness": 999})
    assert problems == [
        "Zoom: the camera has no such control",
        "Brightness: 999 is not within 0 to 255",
    ]
    with watch(device, SMALL.model_copy(update={"controls": {"Zoom": 1}})) as camera:
        until(lambda: "no such control" in (camera.status.why or ""), str(camera.status))


@pytest.mark.parametrize(
    ("format_", "size"),
    [("YUYV", (320, 180)), ("YUYV", (640, 360)), ("NV12", (320, 180)), ("BGR3", (320, 180))],
)
def test_formats_and_sizes(device: Path, format_: str, size: tuple[int, int]) -> None:
    with watch(device, SMALL.model_copy(update={"format": format_, "size": size})) as camera:
        assert shape_seen(camera) == (size[1], size[0], 3)
        seen = numbers(camera, 3)
        assert seen == sorted(set(seen))
        assert format_ in camera.status.what
        assert balanced(camera)


def test_colours_are_right(device: Path) -> None:
    """The test pattern begins with a white bar and ends with a black one."""
    with watch(device) as camera:
        until(lambda: live(camera), str(camera.status))
        with camera.newest(timeout=60) as frame:
            assert frame is not None
            row = frame.pixels[150].astype(int)
    assert row[8].min() > 180, row[8]
    assert row[-8].max() < 80, row[-8]
    yellow = row[60]
    assert yellow[0] < 100 < yellow[1:].min(), yellow


def test_a_camera_that_falls_silent(device: Path) -> None:
    with watch(device) as camera:
        numbers(camera, 2)
        assert set_controls(device, {DROPPED: 100}) == []
        until(lambda: camera.status.state in ("stalled", "lost"), "silence was not noticed")
        with camera.newest(timeout=1.0) as frame:
            assert frame is None
        assert set_controls(device, {DROPPED: 0}) == []
        until(lambda: live(camera), str(camera.status))


def test_a_hang_in_read(device: Path) -> None:
    with watch(device) as camera:
        numbers(camera, 2)
        os.kill(reader_of(camera), signal.SIGSTOP)
        until(lambda: camera.status.counts.openings == 2, "it was not killed")
        until(lambda: live(camera), str(camera.status))


@pytest.fixture
def plug() -> Iterator[Path]:
    yield DRIVER
    if not (DRIVER / "vivid.0").exists():
        (DRIVER / "bind").write_text("vivid.0")


def test_unplugged_and_plugged_in_again(device: Path, plug: Path) -> None:
    with watch(device) as camera:
        numbers(camera, 2)
        (plug / "unbind").write_text("vivid.0")
        until(lambda: not live(camera), "it was not noticed")
        until(lambda: device not in cameras(), "the device is still there")
        with camera.newest(timeout=1.0) as frame:
            assert frame is None
        until(lambda: camera.status.counts.openings >= 2, "it is not looked for")
        (plug / "bind").write_text("vivid.0")
        until(lambda: live(camera), str(camera.status))
        assert camera.device == str(device)
        numbers(camera, 2)
        assert balanced(camera)
