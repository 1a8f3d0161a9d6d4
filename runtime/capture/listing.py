"""`dermedge doctor --cameras`: what cameras there are, and a profile to set one up by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from runtime.capture.address import cameras
from runtime.capture.camera_profile import Profile
from runtime.capture.identity import identity_of, lasting_names
from runtime.capture.v4l2 import DECODED, Camera, Format, Size, examine
from runtime.errors import UsageError

SMOOTH = 15.0  # pictures a second that a live view needs
ENOUGH = 1920 * 1080  # pixels: more cost time and show a network nothing


def found_cameras() -> Iterator[Camera | str]:
    """Each camera, or why a device could not be asked."""
    for device in cameras():
        try:
            camera = examine(device)
        except OSError as exc:
            yield f"{device}: {exc.strerror}"
        else:
            if camera is not None:
                yield camera


def describe(camera: Camera) -> Iterator[str]:
    yield f"{camera.device}  {camera.name} ({camera.driver}, {camera.bus})"
    if identity := identity_of(Path(camera.device)):
        yield f"  which: {identity}"
    for name in lasting_names(Path(camera.device)):
        yield f"  as well: {name}"
    for each in camera.formats:
        yield f"  {each.name}  {each.words}"
        for size in each.sizes:
            rates = ", ".join(f"{rate:g}" for rate in size.rates) or "any rate"
            yield f"    {size.width} × {size.height}  at {rates} a second"
    for control in camera.controls:
        limits = f"{control.low} to {control.high}, usually {control.usual}"
        yield f"  {control.name}: {control.value}  ({limits})"


def profile_of(camera: Camera) -> Profile:
    """A format that is decoded here, at the largest size that is still smooth, as it is set now.

    By the name that stays with the camera, where udev gives it one: numbers are dealt out anew.
    """
    format_, size = _best(camera)
    rate = max(size.rates, default=None)
    return Profile(
        device=next(iter(lasting_names(Path(camera.device))), camera.device),
        format=format_.name,
        size=(size.width, size.height),
        fps=rate,
        controls={control.name: control.value for control in camera.controls},
    )


def write_profile(camera: Camera, file: Path) -> None:
    try:
        with file.open("x", encoding="utf-8") as text:
            text.write(profile_of(camera).to_yaml())
    except OSError as exc:
        raise UsageError(
            f"The profile cannot be written to {file}.", got=exc.strerror or str(exc)
        ) from exc


def _best(camera: Camera) -> tuple[Format, Size]:
    known = [each for each in camera.formats if each.name in DECODED and each.sizes]
    choices = [(each, size) for each in known or camera.formats for size in each.sizes]
    if not choices:
        raise UsageError(f"{camera.device} names no size that it could give.")

    def worth(choice: tuple[Format, Size]) -> tuple[bool, bool, int, bool]:
        format_, size = choice
        pixels = size.width * size.height
        smooth = max(size.rates, default=SMOOTH) >= SMOOTH
        return smooth, pixels <= ENOUGH, pixels, format_.name == DECODED[0]

    return max(choices, key=worth)
