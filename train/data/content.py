"""What is on the disk: bytes, folders, and the hash by which two files are the same for certain."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from runtime.errors import InputError


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise InputError(
            f"Cannot read {path}.",
            got=exc.strerror or exc,
            expected="a file that can be read",
            remedy="Check that the data set is complete and its files are readable.",
        ) from exc


def listing(folder: Path) -> list[Path]:
    """Sorted, as file systems keep an order of their own."""
    try:
        return sorted(folder.iterdir())
    except OSError as exc:
        raise InputError(
            f"Cannot list {folder}.",
            got=exc.strerror or exc,
            expected="a folder that can be read",
            remedy="Check that you may read it, and that the disk is there.",
        ) from exc


def sha256(path: Path) -> str:
    """Read once for as long as the file stays as it is: many who ask, ask for all of a set."""
    try:
        stat = path.stat()
    except OSError:
        return hashlib.sha256(read_bytes(path)).hexdigest()  # fails, with a message of its own
    return _sha256(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1 << 17)
def _sha256(path: Path, _size: int, _changed: int) -> str:
    return hashlib.sha256(read_bytes(path)).hexdigest()
