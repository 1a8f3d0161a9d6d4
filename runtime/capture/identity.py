"""Which camera a device is. /dev/video0 is whatever was plugged in first; a capture needs to know.

By what the kernel says in sysfs, which is there without udev as well: a USB camera by its maker,
product and serial number, or by its port where it has no number; any other by where it sits.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from runtime.capture.address import Address
from runtime.capture.source import SourceLost
from runtime.decode import printable

SYS = Path("/sys/class/video4linux")
DEV = Path("/dev")
LINKS = ("v4l/by-id", "v4l/by-path")  # below /dev, as udev makes them


def identity_of(device: Path) -> str | None:
    """In words; the same for the same camera. None where the kernel does not know the device."""
    entry = SYS / device.resolve().name
    if not (entry / "device").exists():
        return None
    hardware = (entry / "device").resolve()
    # A camera may have several devices, as one for a second lens.
    parts = [_text(entry / "name"), _of_usb(hardware) or f"at {_short(hardware)}"]
    return ", ".join(filter(None, [*parts, f"video {_text(entry / 'index') or 0}"]))


def device_of(identity: str) -> Path | None:
    """Where that camera is now."""
    names = sorted(entry.name for entry in SYS.glob("video*"))
    return next((DEV / name for name in names if identity_of(DEV / name) == identity), None)


def lasting_names(device: Path) -> list[str]:
    """What udev calls it, whatever its number is: by what it is, then by where it is plugged in."""
    target = device.resolve()
    links = (link for folder in LINKS for link in sorted((DEV / folder).glob("*")))
    return [str(link) for link in links if link.resolve() == target]


def _of_usb(hardware: Path) -> str | None:
    for place in (hardware, *hardware.parents):
        if (place / "idVendor").is_file():
            serial = _text(place / "serial")
            which = f"serial {serial}" if serial else f"at USB port {place.name}"
            return f"USB {_text(place / 'idVendor')}:{_text(place / 'idProduct')} {which}"
    return None


def _short(hardware: Path) -> str:
    return str(hardware).partition("/devices/")[2] or str(hardware)


def _text(file: Path) -> str:
    with suppress(OSError):
        return printable(file.read_text(encoding="utf-8", errors="replace").strip())
    return ""


def located(address: Address, expected: str | None) -> tuple[Address, str | None]:
    """Where a camera is now, and which it is. SourceLost where only another one is there."""
    if address.kind != "v4l2":
        return address, None
    found = identity_of(Path(address.where))
    if expected is None or found == expected:
        return address, found
    if (device := device_of(expected)) is not None:
        return address.model_copy(update={"where": str(device)}), expected
    raise SourceLost(
        f"{address.name} is " + ("away." if found is None else "another camera now."),
        got=found,
        expected=expected,
        remedy="plug that one in again, or start anew to use this one",
    )
