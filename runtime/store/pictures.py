"""Pictures by the SHA-256 of what is stored: written whole, once, and never under another name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from runtime.errors import DermedgeError
from runtime.whole_file import PARTIAL, appearing_whole

SUFFIX = ".picture"


class PictureLost(DermedgeError):
    """A capture's picture is not what it was; the words go behind the capture's number."""


class Pictures:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, exist_ok=True)

    def place(self, name: str) -> Path:
        return self.folder / name[:2] / f"{name}{SUFFIX}"

    def add(self, stored: bytes) -> str:
        """On the disk when this returns, its name in the folder included."""
        name = hashlib.sha256(stored).hexdigest()
        place = self.place(name)
        place.parent.mkdir(mode=0o700, exist_ok=True)
        with appearing_whole(place, private) as file:
            file.write(stored)
        for folder in (place.parent, self.folder):
            _sync(folder)
        return name

    def read(self, name: str) -> bytes:
        return self.place(name).read_bytes()

    def read_whole(self, name: str) -> bytes:
        """As it was captured, or an error that says what became of it."""
        try:
            content = self.read(name)
        except OSError as exc:
            raise PictureLost(f"its picture cannot be read ({exc.strerror})") from exc
        if hashlib.sha256(content).hexdigest() != name:
            raise PictureLost("its picture was changed")
        return content

    def size(self, name: str) -> int:
        """In bytes; nothing where it is gone."""
        with suppress(FileNotFoundError):
            return self.place(name).stat().st_size
        return 0

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self.place(name).unlink()

    def names(self) -> Iterator[str]:
        for file in self.folder.glob(f"??/*{SUFFIX}"):
            yield file.stem

    def drop_parts(self) -> None:
        """What a kill left half written."""
        for file in self.folder.glob(f"??/.*{PARTIAL}"):
            file.unlink(missing_ok=True)


def private(path: str, flags: int) -> int:
    """For `open`: a file that its owner alone may read."""
    return os.open(path, flags, 0o600)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
