"""Buttons that the kernel knows as input devices: a camera's own, foot pedals, keyboards."""

from __future__ import annotations

import os
import select
from collections.abc import Collection, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from runtime.capture.button import ButtonGone, Contact
from runtime.errors import missing_extra

if TYPE_CHECKING:
    from evdev import InputDevice

DOWN = 1  # of a key: 0 is up, 2 is held
NOT_ALLOWED = "this user may open none of them: usermod -a -G input USER"


def library() -> ModuleType:
    try:
        import evdev
    except ImportError as exc:
        raise missing_extra("evdev", "camera", "A button on an input device") from exc
    return evdev


class Keys(Contact):
    """The device is taken for this alone: a pedal that sends a letter would write it in a form."""

    def __init__(self, device: InputDevice[str], codes: Collection[int] | None = None) -> None:
        self._device, self._codes = device, codes
        if device.active_keys():
            # Taken now, its release would reach nobody else, for whom it would stay down.
            raise ButtonGone("A key is held down.", expected="that it is let go")
        device.grab()

    def pressed(self, seconds: float) -> bool:
        if not select.select([self._device], [], [], seconds)[0]:
            return False
        key = library().ecodes.EV_KEY
        downs = [e for e in self._device.read() if e.type == key and self._counts(e.code, e.value)]
        return bool(downs)

    def _counts(self, code: int, value: int) -> bool:
        return value == DOWN and (self._codes is None or code in self._codes)

    def close(self) -> None:
        self._device.close()


def any_key(path: str) -> Contact:
    evdev = library()
    device = evdev.InputDevice(path)
    try:
        if evdev.ecodes.EV_KEY not in device.capabilities():
            raise ButtonGone(f"{path} has no keys.", got=device.name)
        return Keys(device)
    except BaseException:
        device.close()
        raise


def of_camera(bus: str | None) -> Contact:
    """The one that hangs on the camera's bus; where a camera has none, any that is for cameras."""
    shutter = library().ecodes.KEY_CAMERA
    for device in _with_key(shutter):
        if bus is None or device.phys.startswith(f"{bus}/"):
            try:
                return Keys(device, (shutter,))
            except BaseException:
                device.close()
                raise
        device.close()
    raise ButtonGone(
        "There is no camera's button" + (f" at {bus}." if bus else "."),
        got=NOT_ALLOWED if _is_locked() else None,
        expected="an input device with KEY_CAMERA",
    )


def _with_key(code: int) -> Iterator[InputDevice[str]]:
    evdev = library()
    for path in _listed():
        try:
            device = evdev.InputDevice(str(path))
        except OSError:
            continue  # not for this user, or gone since it was listed
        if code in device.capabilities().get(evdev.ecodes.EV_KEY, ()):
            yield device
        else:
            device.close()


def _listed() -> list[Path]:
    return sorted(Path("/dev/input").glob("event*"))


def _is_locked() -> bool:
    there = _listed()
    return bool(there) and not any(os.access(path, os.R_OK) for path in there)
