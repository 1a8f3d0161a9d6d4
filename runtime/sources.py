"""What `infer` looks at: one image, a folder of them, or frames of a video, as a list of items.

An item knows what it is called and how to load itself; loading happens in other threads, and what
cannot be loaded comes back as an error to be recorded, because one bad file must not end a scan.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

from runtime.decode import decode_image, printable, read_bytes
from runtime.errors import InputError, UsageError
from runtime.preprocess import Image

# Files of formats we cannot read are listed too: they get a record that says so, where passing
# them over in silence would look like a complete scan.
READ = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".dib", ".webp")
REFUSED = (".heic", ".heif", ".avif", ".gif", ".jp2", ".j2k", ".dcm")
SUFFIXES = frozenset(READ + REFUSED)
RESULT_FILES = frozenset({"run.json", "results.jsonl"})

# Python has one of these surrogates for a byte that is not UTF-8; its spelling is \x80 to \xff.
_BEFORE_A_BYTE = re.compile(r"\\+(?=[\udc80-\udcff]|x[89a-f][0-9a-f])")

Known = Callable[[str, str], bool]
"""Whether a record of this source with this SHA-256 is there already."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A frame, or why there is none, or neither where it is known already."""

    sha256: str = ""
    frame: Image | None = None
    error: InputError | None = None
    decode_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Item:
    source: str  # its name in the record
    file: str  # the file it is from, which metadata belongs to
    load: Callable[[Known], Loaded]


@dataclass(frozen=True, slots=True)
class Sources:
    kind: str
    path: Path
    files: tuple[str, ...]  # every file by its name below the folder
    items: Iterator[Item]
    total: int | None = None
    other_kinds: int = 0  # files in the folder that are no images by their name
    hidden: int = 0  # files and folders whose name begins with a dot

    @property
    def passed_over(self) -> str | None:
        """What a scan does not look at, in words."""
        told = [f"{self.other_kinds} of other kinds"] if self.other_kinds else []
        told += [f"{self.hidden} hidden"] if self.hidden else []
        return " and ".join(told) or None


def one_image(path: Path) -> Sources:
    name = safe_name(path.name)
    item = Item(name, name, partial(load_image, path, name))
    return Sources("image", path, (name,), iter([item]), total=1)


def folder(path: Path, leave_out: Path | None = None) -> Sources:
    """Every image below a folder, in the order of their names. `leave_out` is the output."""
    if not path.is_dir():
        raise InputError(
            f"{printable(str(path))} is not a folder.",
            got="a file" if path.exists() else "nothing at that path",
            expected="a folder of images",
            remedy="Name the folder, or a single image with --image.",
        )
    if leave_out is not None and leave_out.is_dir() and leave_out.samefile(path):
        raise UsageError(
            "The results cannot go into the scanned folder itself.",
            got=f"--out {printable(str(leave_out))}",
            expected="a folder of its own, which may lie below",
            remedy=f"--out {printable(str(path / 'results'))}",
        )
    found = _Walk(path, leave_out)
    names = tuple(name for name, _, _ in found.entries)
    items = (
        Item(name, name, partial(_cannot_list, error) if error else partial(load_image, at, name))
        for name, at, error in found.entries
    )
    return Sources("folder", path, names, items, len(names), found.other_kinds, found.hidden)


def safe_name(name: str) -> str:
    """A file name as text, another for each name: two files with one would share a record.

    Bytes that are not UTF-8 are spelled \\xff, because JSON cannot hold them. The backslashes of
    names that have such a byte, or its spelling, right behind them are doubled; no other name
    changes.
    """
    doubled = _BEFORE_A_BYTE.sub(lambda found: found[0] * 2, name)
    return os.fsencode(doubled).decode("utf-8", "backslashreplace")


class _Walk:
    """The images below a folder. Links are followed, but no folder is entered twice.

    The order is that of the names, so that a resumed scan reaches a folder by the same link.
    """

    def __init__(self, root: Path, leave_out: Path | None) -> None:
        self.entries: list[tuple[str, Path, InputError | None]] = []
        self.other_kinds = self.hidden = 0
        self._entered: set[tuple[int, int]] = set()
        if leave_out is not None and leave_out.is_dir():
            self._entered.add(_identity(leave_out.stat()))
        self._enter(root, "")
        self.entries.sort(key=lambda entry: entry[0])

    def _enter(self, at: Path, below: str) -> None:
        pending = [(at, below)]
        while pending:
            at, below = pending.pop()
            try:
                identity = _identity(at.stat())
                if identity in self._entered:
                    continue
                self._entered.add(identity)
                with os.scandir(at) as scanned:
                    children = sorted(scanned, key=lambda child: child.name)
            except OSError as exc:
                self._note_unlisted(at, below, exc)
                continue
            if below and {child.name for child in children} >= RESULT_FILES:
                continue  # the results of an earlier scan; its overlays are no lesions
            for child in children:
                name = below + safe_name(child.name)
                if child.name.startswith("."):
                    self.hidden += 1
                elif _is_folder(child) and Path(child.name).suffix.lower() not in SUFFIXES:
                    pending.append((Path(child.path), name + "/"))
                elif Path(child.name).suffix.lower() in SUFFIXES:
                    self.entries.append((name, Path(child.path), None))
                else:
                    self.other_kinds += 1

    def _note_unlisted(self, at: Path, below: str, exc: OSError) -> None:
        error = InputError(
            f"{below or printable(str(at))} cannot be listed.",
            got=exc.strerror or str(exc),
            expected="a folder that can be read",
            remedy="Check the folder's permissions and its disk.",
        )
        if not below:
            raise error from exc
        self.entries.append((below, at, error))


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return stat.S_ISDIR(entry.stat().st_mode)
    except OSError:  # a link that leads nowhere, or to itself
        return False


def _cannot_list(error: InputError, known: Known) -> Loaded:
    return Loaded(error=error)


def load_image(path: Path, name: str, known: Known) -> Loaded:
    started, sha256 = perf_counter(), ""
    try:
        data = read_bytes(path, printable(name))
        sha256 = hashlib.sha256(data).hexdigest()
        if known(name, sha256):
            return Loaded(sha256)
        frame = decode_image(data, printable(name))
    except InputError as error:
        return Loaded(sha256, error=error)
    return Loaded(sha256, frame, decode_ms=(perf_counter() - started) * 1e3)
