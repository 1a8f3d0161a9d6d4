"""Bytes of files: the hash that tells whether two files are the same picture for certain."""

from __future__ import annotations

import hashlib
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


def sha256(path: Path) -> str:
    return hashlib.sha256(read_bytes(path)).hexdigest()
