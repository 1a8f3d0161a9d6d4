"""Where frames come from: `--camera SRC` as a user writes it, understood once.

(nothing)            the first camera of this machine
0, /dev/video0       a USB or other V4L2 camera
csi://0              a camera on a Jetson's CSI connector
rtsp://HOST/PATH     a network camera
http://HOST/PATH     one that serves MJPEG, as ESP32 and IP dermatoscopes do
gst:PIPELINE         any GStreamer pipeline, without its sink
visit.mp4, FOLDER    a recording or pictures, played in real time, again and again
synthetic:           a picture that is made up; synthetic:1280x720@30 says how large and fast
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import Field

from runtime.decode import printable
from runtime.errors import UsageError
from runtime.specs import Spec

Kind = Literal["v4l2", "csi", "rtsp", "http", "gst", "video", "folder", "synthetic"]
SCHEMES: dict[str, Kind] = {"rtsp": "rtsp", "rtsps": "rtsp", "http": "http", "https": "http"}
FORMS = "an index, /dev/videoN, csi://0, rtsp://…, http://…, gst:PIPELINE, a video, a folder, "
SIZE = re.compile(r"(?P<width>\d{2,4})x(?P<height>\d{2,4})(@(?P<fps>\d{1,3}))?")


SECRETS = (
    (re.compile(r"(?<=://)[^\s/]*@"), "…@"),  # user and password
    (re.compile(r"(\w://[^\s?]*\?)\S+"), r"\1…"),  # a key in the query
    (re.compile(r"(?i)\b([\w-]*(?:pw|pass|secret|token|key)[\w-]*=)\S+"), r"\1…"),  # of a pipeline
)


class Address(Spec):
    """`where` may hold a password; `name` never does: it is what records and logs may say."""

    kind: Kind
    where: Annotated[str, Field(repr=False)]
    name: str

    @property
    def has_secret(self) -> bool:
        return without_secrets(self.where) != self.where


def without_secrets(text: str) -> str:
    """For words of other programs, which may repeat the address that they were given."""
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


def parse_address(given: str, absent: bool = False) -> Address:
    """A device may be `absent` where it is waited for: it will be plugged in."""
    if not given:
        first = "/dev/video0" if absent and not cameras() else _first_camera()
        return Address(kind="v4l2", where=first, name=first)
    if given.isascii() and given.isdigit():
        return _device(Path(f"/dev/video{int(given)}"), absent)
    if given.startswith("/dev/"):
        return _device(Path(given), absent)
    scheme, colon, rest = given.partition(":")
    if colon and scheme == "gst":
        return _pipeline(rest.strip())
    if colon and scheme == "synthetic":
        return _synthetic(rest)
    if "://" in given:
        return _url(given)
    path = Path(given)
    if path.is_dir():
        return Address(kind="folder", where=str(path.resolve()), name=printable(path.name))
    if path.is_file():
        return Address(kind="video", where=str(path.resolve()), name=printable(path.name))
    *before, shown = printable(given).rpartition("@")
    raise UsageError(
        f"{'…' if any(before) else ''}{shown} is no camera.",
        got="nothing that exists by that name",
        expected=FORMS + "synthetic:",
        remedy="dermedge doctor --cameras  lists the cameras of this machine",
    )


def cameras() -> list[Path]:
    """The video devices of this machine, in the order of their numbers."""
    found = (path for path in Path("/dev").glob("video*") if path.name[5:].isdigit())
    return sorted(found, key=lambda path: int(path.name[5:]))


def _first_camera() -> str:
    if devices := cameras():
        return str(devices[0])
    raise UsageError(
        "This machine has no camera that it knows of.",
        got="no /dev/video*",
        expected=FORMS + "synthetic:",
        remedy="plug it in; or name another source, as in  --camera http://192.168.4.1/stream",
    )


def _device(path: Path, absent: bool) -> Address:
    if not path.is_char_device() and not (absent and not path.exists()):
        present = ", ".join(map(str, cameras())) or "no video device"
        raise UsageError(
            f"{path} is no camera.",
            got=f"{present} on this machine",
            remedy="dermedge doctor --cameras  says which there are",
        )
    return Address(kind="v4l2", where=str(path), name=str(path))


def _url(given: str) -> Address:
    try:
        parts = urlsplit(given)
        shown = _shown(parts)
    except ValueError as exc:
        # What was not understood may be part of a password: it is not repeated.
        raise UsageError(
            "The camera's address cannot be read.",
            expected="rtsp://HOST/PATH; in a password / is written %2F, @ is %40",
        ) from exc
    if parts.scheme == "csi":
        if not parts.netloc.isdigit():
            raise UsageError("A CSI camera has a number.", got=shown, expected="csi://0")
        return Address(kind="csi", where=parts.netloc, name=given)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise UsageError(
            f"{shown} is no address of a camera.",
            expected="csi://N, rtsp://HOST/PATH or http://HOST/PATH",
            remedy="dermedge infer --help  lists every form",
        )
    return Address(kind=SCHEMES[parts.scheme], where=given, name=shown)


def _shown(parts: SplitResult) -> str:
    """Passwords stand before the @, and as often in the query."""
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return printable(f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path}")


def _pipeline(text: str) -> Address:
    if not text:
        raise UsageError(
            "gst: is followed by a pipeline.",
            got="nothing",
            expected="gst:v4l2src device=/dev/video0 ! videoconvert",
        )
    return Address(kind="gst", where=text, name="gst:" + text.split()[0])


def _synthetic(text: str) -> Address:
    text = text.strip("/")
    found = SIZE.fullmatch(text or "1280x720@30")
    if found is None or int(found["fps"] or 30) == 0:
        raise UsageError(
            "The synthetic camera takes a size and a rate.",
            got=printable(text),
            expected="synthetic:1280x720@30",
        )
    where = f"{int(found['width'])}x{int(found['height'])}@{int(found['fps'] or 30)}"
    return Address(kind="synthetic", where=where, name="synthetic")
