"""A USB camera: the kernel's own driver, and a device that is written in Python.

Runs in the machine that `make vm` boots; elsewhere there is no such bus.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from runtime.capture.address import parse_address
from runtime.capture.camera import HELD, Camera, Patience
from runtime.capture.camera_profile import Profile
from runtime.capture.identity import DEV, LINKS
from runtime.capture.listing import found_cameras, profile_of
from runtime.capture.v4l2 import Camera as Found
from runtime.doctor import command
from tests.runtime.capture.test_camera import balanced, live, numbers, reader_of
from tests.runtime.capture.waiting import PATIENT_SECONDS, until
from tests.vm.usb_camera import COLOURS, NAME, UsbCamera, Way
from tests.vm.usb_descriptors import BRIGHTNESS

pytestmark = pytest.mark.skipif(
    not os.environ.get("DERMEDGE_VM"), reason="needs the machine of `make vm`"
)
# Software emulation is slow: nothing here is about how fast.
SLOW = Patience(stall=3.0, kill=8.0, opening=60.0, frozen=10.0, thaw=60.0, waits=(0.2,))
SMALL = Profile(format="MJPG", size=(320, 240), fps=10)
INPUT_EVENT = struct.Struct("16xHHi")  # when, type, code, value
KEY, KEY_CAMERA = 1, 212
ASLEEP_FOR_GOOD = "D"  # of the states of a process, the one that no signal ends


def found() -> list[Found]:
    return [each for each in found_cameras() if isinstance(each, Found) and NAME in each.name]


@pytest.fixture
def usb() -> Iterator[UsbCamera]:
    with UsbCamera() as camera:
        until(lambda: bool(found()), "it is not listed")
        yield camera
    until(lambda: not found(), "it is still listed")


def watch(profile: Profile = SMALL, patience: Patience = SLOW) -> Camera:
    return Camera(parse_address(found()[0].device), profile, patience)


def colours_seen(camera: Camera, width: int, height: int) -> np.ndarray:
    """In the middle of each stripe."""
    until(lambda: live(camera), str(camera.status))
    with camera.newest(timeout=PATIENT_SECONDS) as frame:
        assert frame is not None
        assert frame.pixels.shape == (height, width, 3)
        return frame.pixels[height // 4, width // 6 :: width // 3].astype(int)


def test_doctor_lists_it(usb: UsbCamera) -> None:
    out = CliRunner().invoke(command, ["--cameras"]).output
    _, device, said = out.partition(f"{found()[0].device}  ")
    assert device, out
    for words in (
        f"{NAME} (uvcvideo, usb-vhci_hcd.0-1)",
        "MJPG  Motion-JPEG\n    320 × 240  at 30, 10 a second\n    640 × 480  at 30, 10",
        "YUYV  YUYV 4:2:2\n    320 × 240",
        "Brightness: 128  (0 to 255, usually 128)",
    ):
        assert words in said, said


@pytest.mark.parametrize(
    ("format_", "size"), [("MJPG", (320, 240)), ("MJPG", (640, 480)), ("YUYV", (640, 480))]
)
def test_formats_and_sizes(usb: UsbCamera, format_: str, size: tuple[int, int]) -> None:
    with watch(SMALL.model_copy(update={"format": format_, "size": size})) as camera:
        assert np.abs(colours_seen(camera, *size) - COLOURS).max() < 8
        assert f"{format_}, {size[0]} × {size[1]} at 10 a second" in camera.status.what
        assert usb.rate == 10
        seen = numbers(camera, 3)
        assert seen == sorted(set(seen))
        assert balanced(camera)


def test_unplugged_and_plugged_in_again(usb: UsbCamera) -> None:
    with watch(SMALL.model_copy(update={"controls": {"Brightness": 200}})) as camera:
        numbers(camera, 2)
        assert usb.settings[BRIGHTNESS] == 200
        usb.unplug()
        until(lambda: not live(camera), "it was not noticed")
        with camera.newest(timeout=1.0) as frame:
            assert frame is None
        until(lambda: not found(), "it is still listed")
        until(lambda: camera.status.counts.openings >= 2, "it is not looked for")
        usb.plug_in()
        assert usb.settings[BRIGHTNESS] == 128
        until(lambda: live(camera), str(camera.status))
        assert usb.settings[BRIGHTNESS] == 200, "it is set up anew"
        numbers(camera, 2)
        assert balanced(camera)


def test_a_cable_that_is_loose(usb: UsbCamera) -> None:
    """It is back before anybody has let go of what it was."""
    with watch() as camera:
        for _ in range(3):
            numbers(camera, 2)
            openings = camera.status.counts.openings
            usb.unplug()
            usb.plug_in()
            until(lambda n=openings: camera.status.counts.openings > n, "it was not noticed")
            until(lambda: live(camera), str(camera.status))


@pytest.fixture
def link() -> Iterator[Path]:
    """What udev would make, and follow, where there is one."""
    folder = DEV / LINKS[0]
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "usb-dermedge_Loop_Dermatoscope_0001-video-index0"
    yield link
    link.unlink()


def test_a_camera_that_comes_back_under_another_number(usb: UsbCamera, link: Path) -> None:
    """As it does where another program has not let go of what it was."""
    first = found()[0]
    link.symlink_to(first.device)
    profile = profile_of(first)
    assert profile.device == str(link)
    with (
        Path(first.device).open("rb"),
        Camera(parse_address(profile.device), SMALL, SLOW) as camera,
    ):
        numbers(camera, 2)
        usb.unplug()
        until(lambda: not found(), "it is still listed")
        usb.plug_in()
        until(lambda: bool(found()), "it is not listed again")
        assert found()[0].device != first.device
        link.unlink()
        link.symlink_to(found()[0].device)
        until(lambda: live(camera), str(camera.status))
        numbers(camera, 2)


@pytest.mark.parametrize("format_", ["MJPG", "YUYV"])
def test_a_camera_that_falls_silent(usb: UsbCamera, format_: str) -> None:
    with watch(SMALL.model_copy(update={"format": format_})) as camera:
        numbers(camera, 2)
        usb.way = "silent"
        until(lambda: camera.status.state in ("stalled", "lost"), "silence was not noticed")
        with camera.newest(timeout=1.0) as frame:
            assert frame is None
        until(lambda: camera.status.counts.openings == 2, "it was not opened again")
        usb.way = "well"
        until(lambda: live(camera), str(camera.status))


def test_a_driver_that_hangs(usb: UsbCamera) -> None:
    """It waits where no signal reaches it: its reader cannot even be killed."""
    with watch() as camera:
        numbers(camera, 2)
        pid = reader_of(camera)
        usb.die()
        until(lambda: camera.status.why == HELD, "it was not noticed")
        assert Path(f"/proc/{pid}/stat").read_text().split()[2] == ASLEEP_FOR_GOOD
        with camera.newest(timeout=1.0) as frame:
            assert frame is None
        assert camera.status.counts.openings == 1, "a second one would hang as well"
        usb.unplug()
        usb.plug_in()
        until(lambda: live(camera), str(camera.status))
        numbers(camera, 2)
        usb.die()
        until(lambda: camera.status.state != "live", "it was not noticed")
    assert not camera.is_watched, "the loop ends without it"


@pytest.mark.parametrize("way", ["garbage", "half"])
def test_damaged_pictures_are_counted_and_given_to_nobody(usb: UsbCamera, way: Way) -> None:
    with watch(patience=replace(SLOW, kill=60.0)) as camera:
        numbers(camera, 2)
        usb.way = way
        until(lambda: camera.status.state == "stalled", "it was not noticed")
        before = camera.status.counts
        until(lambda: camera.status.counts.damaged > before.damaged + 2, "they are not counted")
        assert camera.status.counts.given == before.given
        with camera.newest(timeout=1.0) as frame, camera.recent(60.0) as frames:
            assert frame is None
            assert frames == []
        assert "damaged" in (camera.status.why or "")
        usb.way = "well"
        until(lambda: live(camera), str(camera.status))
        assert camera.status.counts.openings == 1
        assert balanced(camera)


def test_raw_frames_that_are_incomplete(usb: UsbCamera) -> None:
    """The driver keeps them to itself, and nothing comes."""
    with watch(SMALL.model_copy(update={"format": "YUYV"})) as camera:
        numbers(camera, 2)
        usb.way = "half"
        until(lambda: camera.status.state in ("stalled", "lost"), "it was not noticed")
        usb.way = "well"
        until(lambda: live(camera), str(camera.status))
        assert balanced(camera)


def test_its_button_is_a_key(usb: UsbCamera) -> None:
    names = Path("/sys/class/input").glob("event*/device/name")
    (key,) = [each.parts[-3] for each in names if NAME in each.read_text()]
    with Path("/dev/input", key).open("rb", buffering=0) as events:
        until(lambda: not usb.button_is_heard, "it is heard though the camera is closed")
        with watch() as camera:
            numbers(camera, 1)
            usb.press()
            told = [INPUT_EVENT.unpack(events.read(INPUT_EVENT.size)) for _ in range(4)]
    assert [each for each in told if each[0] == KEY] == [(KEY, KEY_CAMERA, 1), (KEY, KEY_CAMERA, 0)]
