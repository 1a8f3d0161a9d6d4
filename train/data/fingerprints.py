"""Fingerprints of many files, kept between runs: decoding 30,000 photographs takes minutes.

A file is known by its path, size and time of change; one that was replaced is read again. The
cache is a plain npz without pickles. It may be deleted at any time, and a damaged one is ignored.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from train.data.content import sha256
from train.data.phash import THUMB, Fingerprint, load_gray

FILE_NAME = "fingerprints-1.npz"  # the number changes with what a fingerprint is
Progress = Callable[[int, int], None]  # done, of how many
_Key = tuple[str, int, int]


def default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "dermedge"


class Fingerprints:
    """Makes fingerprints and remembers them, on disk too where a cache folder is given."""

    def __init__(self, cache: Path | None = None) -> None:
        self._file = None if cache is None else cache / FILE_NAME
        self._known: dict[_Key, Fingerprint] = {} if self._file is None else _load(self._file)

    def of(self, paths: Sequence[Path], progress: Progress | None = None) -> list[Fingerprint]:
        result, fresh = [], 0
        for done, path in enumerate(paths, start=1):
            key = _key(path)
            found = self._known.get(key)
            if found is None:
                found = self._known[key] = Fingerprint(sha256(path), load_gray(path, THUMB))
                fresh += 1
            result.append(found)
            if progress is not None:
                progress(done, len(paths))
        if fresh and self._file is not None:
            _save(self._file, self._known.items())
        return result


def _key(path: Path) -> _Key:
    try:
        stat = path.stat()
    except OSError:
        return (str(path), -1, -1)  # reading it is about to fail, with a message of its own
    return (str(path.resolve()), stat.st_size, stat.st_mtime_ns)


def _load(file: Path) -> dict[_Key, Fingerprint]:
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
            columns = [stored[name] for name in ("paths", "sizes", "times", "hashes", "thumbs")]
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error):
        return {}
    if columns[4].shape[1:] != (THUMB, THUMB) or len({len(c) for c in columns}) != 1:
        return {}
    return {
        (str(path), int(size), int(time)): Fingerprint(str(digest), thumb)
        for path, size, time, digest, thumb in zip(*columns, strict=True)
    }


def _save(file: Path, entries: Iterable[tuple[_Key, Fingerprint]]) -> None:
    """Through a temporary name, so that a run that is stopped leaves no half a cache."""
    rows = list(entries)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".tmp", delete=False) as part:
            np.savez_compressed(
                part,
                paths=np.array([key[0] for key, _ in rows]),
                sizes=np.array([key[1] for key, _ in rows], dtype=np.int64),
                times=np.array([key[2] for key, _ in rows], dtype=np.int64),
                hashes=np.array([value.sha256 for _, value in rows]),
                thumbs=np.stack([value.thumb for _, value in rows]),
            )
        os.replace(part.name, file)
    except OSError:
        return  # a full or read-only disk costs the next run some minutes, nothing else
