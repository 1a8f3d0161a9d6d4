"""Buttons by the kernel's own input devices, and lines of a GPIO chip that is made up here.

Runs in the machine that `make vm` boots; elsewhere there is neither.
"""

from __future__ import annotations

import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from runtime.capture.button import READY, Button, parse_button
from tests.runtime.capture.waiting import PATIENT_SECONDS, until
from tests.runtime.scans import bundle_at

pytestmark = pytest.mark.skipif(
    not os.environ.get("DERMEDGE_VM"), reason="needs the machine of `make vm`"
)
BUS = "usb-0000:00:14.0-1"
LINE = 3
FEATURES = bytes.fromhex("0600ff0901a10185020901150026ff0075089504b102c0")


@contextmanager
def device(key: int, phys: str) -> Iterator[Callable[[int], None]]:
    """An input device with one key; what is given presses it, and lets it go."""
    from evdev import UInput, ecodes

    with UInput({ecodes.EV_KEY: [key]}, name="made up", phys=phys) as made:

        def act(value: int) -> None:
            made.write(ecodes.EV_KEY, key, value)
            made.syn()

        until(lambda: Path(made.device.path).exists(), "no device")
        act.path = made.device.path  # type: ignore[attr-defined]
        yield act


def press(act: Callable[[int], None]) -> None:
    act(1)
    act(0)


def ready(button: Button) -> None:
    until(lambda: button.status == READY, button.status)


def waits(button: Button) -> bool:
    select.select([button], [], [], PATIENT_SECONDS)
    return button.was_pressed()


def test_a_pedal_and_nobody_else_hears_it() -> None:
    from evdev import InputDevice, ecodes

    with device(ecodes.KEY_B, "pedal") as act:
        path = act.path  # type: ignore[attr-defined]
        other = InputDevice(path)
        with parse_button(f"evdev:{path}", lambda: None) as button:
            ready(button)
            press(act)
            assert waits(button)
            assert not select.select([other], [], [], 0.2)[0], "its letter would be written"
            act(1)
            act(2)  # held
            act(2)
            assert waits(button)
            time.sleep(0.2)
            assert not button.was_pressed()
            act(0)
        press(act)
        assert select.select([other], [], [], PATIENT_SECONDS)[0], "it was not given back"
        other.close()


def test_a_key_that_is_held_is_waited_for() -> None:
    from evdev import ecodes

    with device(ecodes.KEY_ENTER, "keyboard") as act:
        act(1)
        with parse_button(f"evdev:{act.path}", lambda: None) as button:  # type: ignore[attr-defined]
            until(lambda: "held down" in button.status, button.status)
            act(0)
            ready(button)


def test_the_camera_s_own_button_is_found_by_its_bus() -> None:
    from evdev import ecodes

    with (
        device(ecodes.KEY_CAMERA, "isa0060/hotkeys") as hotkey,
        device(ecodes.KEY_CAMERA, f"{BUS}/button") as own,
        parse_button("auto", lambda: BUS) as button,
    ):
        ready(button)
        press(hotkey)
        time.sleep(0.5)
        assert not button.was_pressed()
        press(own)
        assert waits(button)


def test_a_camera_s_button_comes_back_with_it() -> None:
    from evdev import ecodes

    with parse_button("auto", lambda: BUS) as button:
        until(lambda: f"no camera's button at {BUS}" in button.status, button.status)
        for _ in range(2):
            with device(ecodes.KEY_CAMERA, f"{BUS}/button") as own:
                ready(button)
                press(own)
                assert waits(button)
            until(lambda: button.status != READY, "it was not noticed")


def test_what_is_no_button() -> None:
    from evdev import UInput, ecodes

    with UInput({ecodes.EV_REL: [ecodes.REL_X]}, name="mouse") as mouse:
        until(lambda: Path(mouse.device.path).exists(), "no device")
        with parse_button(f"evdev:{mouse.device.path}", lambda: None) as button:
            until(lambda: "has no keys" in button.status, button.status)
    with parse_button("evdev:/dev/input/event99", lambda: None) as button:
        until(lambda: button.status == "No such file or directory", button.status)
    with parse_button("gpio:gpiochip77/1", lambda: None) as button:
        until(lambda: "no GPIO chip gpiochip77" in button.status, button.status)


class Bridge:
    """A CP2112, eight lines behind USB: its driver is the kernel's, its answers are from here."""

    def __init__(self) -> None:
        self.levels = 0xFF  # pulled up
        self._over = Event()
        self._device = os.open("/dev/uhid", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        made = struct.pack(
            "<I128s64s64sHHIIII", 11, b"bridge", b"", b"", len(FEATURES), 3, 0x10C4, 0xEA90, 0, 0
        )
        os.write(self._device, made + FEATURES.ljust(4096, b"\0"))
        self._thread = Thread(target=self._answer, daemon=True)
        self._thread.start()

    def _answer(self) -> None:
        while not self._over.is_set():
            if not select.select([self._device], [], [], 0.1)[0]:
                continue
            with suppress(BlockingIOError):
                event = os.read(self._device, 4380)
                kind, number = struct.unpack_from("<II", event)
                if kind == 9:  # GET_REPORT
                    data = self._report(event[8])
                    head = struct.pack("<IIHH", 10, number, 0, len(data))
                    os.write(self._device, head + data.ljust(4096, b"\0"))
                elif kind == 13:  # SET_REPORT
                    os.write(self._device, struct.pack("<IIH", 14, number, 0))

    def _report(self, number: int) -> bytes:
        lengths = {2: 5, 3: 2, 5: 3, 6: 14, 0x20: 2}
        values = bytes([self.levels]) if number == 3 else b""
        return (bytes([number]) + values).ljust(lengths.get(number, 64), b"\0")

    def close(self) -> None:
        os.write(self._device, struct.pack("<I", 1).ljust(4376, b"\0"))  # DESTROY
        self._over.set()
        self._thread.join()
        os.close(self._device)


@contextmanager
def bridge() -> Iterator[Bridge]:
    before = set(Path("/dev").glob("gpiochip*"))
    made = Bridge()
    try:
        until(lambda: set(Path("/dev").glob("gpiochip*")) > before, "no chip")
        yield made
    finally:
        made.close()


def test_a_contact_to_ground() -> None:
    with bridge() as made, parse_button(f"gpio:cp2112_gpio/{LINE}", lambda: None) as button:
        ready(button)
        time.sleep(1.0)  # the driver asks for levels a few times a second, and has to see it up
        for _ in range(2):
            made.levels = 0xFF & ~(1 << LINE)
            assert waits(button)
            made.levels = 0xFF
            time.sleep(1.0)
            assert not button.was_pressed(), "letting go is no press"
        made.levels = 0xFF & ~(1 << (LINE + 1))
        time.sleep(1.0)
        assert not button.was_pressed(), "that was another line"


def test_a_line_that_is_none() -> None:
    with bridge():
        for line in ("99", "PEDAL"):
            with parse_button(f"gpio:cp2112_gpio/{line}", lambda: None) as button:
                until(lambda b=button, n=line: f"no line {n}" in b.status, line)


def test_the_command_hears_a_pedal(tmp_path: Path) -> None:
    """Unplugged in between, it goes on, and hears the next pedal at that place.

    Whether there is a picture to capture is another matter: the emulated machine is slow.
    """
    from evdev import ecodes

    bundle_at(tmp_path / "bundle")
    link = tmp_path / "pedal"
    words = ["--camera", "synthetic:320x240@5", "--bundle", tmp_path / "bundle", "--headless"]
    words += ["--store", tmp_path / "store", "--log", tmp_path / "log", "--backend", "fake"]
    with device(ecodes.KEY_B, "pedal") as act:
        link.symlink_to(act.path)  # type: ignore[attr-defined]
        words += ["--button", f"evdev:{link}"]
        process = subprocess.Popen([sys.executable, "-m", "runtime.infer", *map(str, words)])
        with ending(process):
            heard(tmp_path, act, 1)
    link.unlink()
    with ending(process):
        until(lambda: "No such" in said(tmp_path), said(tmp_path))
        with device(ecodes.KEY_B, "pedal") as act:
            link.symlink_to(act.path)  # type: ignore[attr-defined]
            heard(tmp_path, act, 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) == 0


@contextmanager
def ending(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """A test that fails leaves nothing that runs."""
    try:
        yield
    except BaseException:
        process.kill()
        raise


def said(folder: Path) -> str:
    return (folder / "log").read_text() if (folder / "log").exists() else ""


def heard(folder: Path, act: Callable[[int], None], many: int) -> None:
    until(lambda: said(folder).count(f'"{READY}"') == many, said(folder))
    before = said(folder).count("captured")
    press(act)
    until(lambda: said(folder).count("captured") == before + 1, said(folder))
