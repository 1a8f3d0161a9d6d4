"""Finds the pairs of files that show the same picture, among one or between two lists.

Every pair is compared by hash, as blocks of a matrix product: 30,000 files are 450 million pairs,
some seconds of it. The few in ten thousand that are left go through the stricter tests of `phash`,
which takes minutes for that many files, shared among all cores.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.data import phash
from train.data.fingerprints import Fingerprints, Progress

_BLOCK = 1024
_Indices = NDArray[np.intp]
_Thumbs = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Pair:
    first: int  # position in the first list
    second: int  # position in the second list, or in the first where there is one list only
    identical: bool  # byte for byte
    likeness: float  # correlation of fine detail, 1.0 for identical files
    mirrored: bool = False  # or turned


def find_pairs(
    first: Sequence[Path],
    second: Sequence[Path] | None = None,
    *,
    store: Fingerprints | None = None,
    progress: Progress | None = None,
) -> list[Pair]:
    """Pairs in the order of the lists. With one list every pair is named once, first < second."""
    store = Fingerprints() if store is None else store
    everything = [*first, *(second or ())]
    prints = store.of(everything, progress)
    if not first or not (first if second is None else second):
        return []
    left = prints[: len(first)]
    right = left if second is None else prints[len(first) :]
    within = second is None
    found = _identical([p.sha256 for p in left], [p.sha256 for p in right], within)
    a = np.stack([p.thumb for p in left])
    b = np.stack([p.thumb for p in right])

    jobs = [
        (i, j, turn)
        for turn, turned in enumerate(phash.orientations(b))
        for i, j in _candidates(a, turned, _limit(turn), within)
        if (i, j) not in found
    ]
    judge = _Judge(first, first if second is None else second, a, b)
    # Threads, as OpenCV lets go of the interpreter while it registers two pictures.
    with ThreadPoolExecutor(_cores()) as pool:
        for pair in pool.map(judge, jobs, chunksize=16):
            if pair is not None:
                found.setdefault((pair.first, pair.second), pair)
    return [found[key] for key in sorted(found)]


class _Judge:
    """Decides about one candidate: by thumbnails first, then by the pictures themselves."""

    def __init__(
        self, first: Sequence[Path], second: Sequence[Path], a: _Thumbs, b: _Thumbs
    ) -> None:
        self._paths = (first, second)
        self._thumbs = (a, b)
        self._fine = lru_cache(maxsize=2048)(phash.load_fine)

    def __call__(self, job: tuple[int, int, int]) -> Pair | None:
        i, j, turn = job
        warp = phash.align_thumbs(self._thumbs[0][i], _turned(self._thumbs[1][j], turn))
        if warp is None:
            return None
        picture = _turned(self._fine(self._paths[1][j]), turn)
        score = phash.likeness(self._fine(self._paths[0][i]), picture, warp)
        if score < phash.DETAIL_CORRELATION:
            return None
        return Pair(i, j, False, round(score, 3), turn > 0)


def _turned(image: _Thumbs, turn: int) -> _Thumbs:
    return np.ascontiguousarray(phash.orientations(image[None])[turn][0])


def _limit(turn: int) -> int:
    return phash.HASH_DISTANCE if turn == 0 else phash.MIRRORED_HASH_DISTANCE


def _identical(
    left: Sequence[str], right: Sequence[str], within: bool
) -> dict[tuple[int, int], Pair]:
    places: dict[str, list[int]] = defaultdict(list)
    for j, digest in enumerate(right):
        places[digest].append(j)
    return {
        (i, j): Pair(i, j, True, 1.0)
        for i, digest in enumerate(left)
        for j in places[digest]
        if not within or i < j
    }


def _candidates(a: _Thumbs, b: _Thumbs, limit: int, within: bool) -> Iterator[tuple[int, int]]:
    """Pairs that the hash and then the thumbnail leave standing."""
    hash_a, hash_b = phash.hashes(a), phash.hashes(b)
    small_a, small_b = phash.descriptors(a), phash.descriptors(b)
    least = 64 - 2 * limit  # a product of two ±1 hashes is 64 minus twice the differing bits
    for start in range(0, len(a), _BLOCK):
        skip = start if within else 0  # the pairs left of it were seen from the other side
        rows, columns = np.nonzero(hash_a[start : start + _BLOCK] @ hash_b[skip:].T >= least)
        rows, columns = rows + start, columns + skip
        if within:
            keep = rows < columns
            rows, columns = rows[keep], columns[keep]
        yield from _alike(small_a, small_b, rows, columns)


def _alike(
    a: NDArray[np.float32], b: NDArray[np.float32], rows: _Indices, columns: _Indices
) -> Iterator[tuple[int, int]]:
    for start in range(0, len(rows), 16 * _BLOCK):
        i, j = rows[start : start + 16 * _BLOCK], columns[start : start + 16 * _BLOCK]
        good = np.einsum("nd,nd->n", a[i], b[j]) >= phash.THUMB_CORRELATION
        yield from zip(i[good].tolist(), j[good].tolist(), strict=True)


def _cores() -> int:
    """Those this process may use, which in a container are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
