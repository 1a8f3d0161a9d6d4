"""The pictures of a bundle's self-test: given ones, or phantoms, which anybody may pass on."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2

from runtime.bundle_files import LoadedBundle
from runtime.decode import read_image
from runtime.errors import BundleError, UsageError
from runtime.golden import measure_golden
from runtime.preprocess import Image
from runtime.sources import SUFFIXES

FOLDER = "golden"
WANTED = 3
CANDIDATES = 8  # phantoms to choose from: a weak network may see no lesion on some
PHANTOM_SIZE, PHANTOM_SEED = 320, 2017
MOST = 16  # given pictures: the self-test runs them all at every start


def golden_files(given: Sequence[Path]) -> list[Path]:
    """The files behind `--golden`; none of them is read yet."""
    files = [file for path in given for file in _images_at(path)]
    if len(files) > MOST:
        raise UsageError(
            "That are too many golden images: the self-test runs all of them at every start.",
            got=f"{len(files)} images",
            expected=f"at most {MOST}; {WANTED} are plenty",
        )
    return files


def real_looking(files: Sequence[Path]) -> list[Image]:
    """A few pictures to compare graphs on: given ones, or phantoms."""
    if files:
        return [read_image(file).frame for file in files[:WANTED]]
    return [_phantom(index) for index in range(WANTED)]


@cache
def _phantom(index: int) -> Image:
    from train.phantom.compose import make_phantom

    return make_phantom(PHANTOM_SEED, index, PHANTOM_SIZE).image


def write_golden(folder: Path, number: int, frame: Image) -> str:
    """As PNG, under a number: a file's own name may say whose picture it is."""
    inside = f"{FOLDER}/case{number}.png"
    (folder / FOLDER).mkdir(exist_ok=True)
    (folder / inside).write_bytes(cv2.imencode(".png", frame)[1].tobytes())
    return inside


def choose_golden(
    bundle: LoadedBundle, files: Sequence[Path], backends: Sequence[str]
) -> list[dict[str, Any]]:
    """Write and measure the cases. Pictures that were given are all taken, or refused."""
    if files:
        return _measure(bundle, [read_image(file).frame for file in files], backends)
    order = _lesions_first(bundle, backends[0])
    try:
        return _measure(bundle, order[:WANTED], backends)
    except BundleError:
        fit = [frame for frame in order if _fits(bundle, frame, backends)]
    if not fit:
        raise BundleError(
            "No phantom can serve as a golden image: engines and precisions differ on all of them.",
            got=f"{len(order)} phantoms tried",
            remedy="--golden IMAGES, with lesions that the networks are sure of",
        )
    return _measure(bundle, fit[:WANTED], backends)


def _measure(
    bundle: LoadedBundle, frames: Sequence[Image], backends: Sequence[str]
) -> list[dict[str, Any]]:
    shutil.rmtree(bundle.path / FOLDER, ignore_errors=True)
    images = [write_golden(bundle.path, n, frame) for n, frame in enumerate(frames, 1)]
    return measure_golden(bundle, images, backends)


def _lesions_first(bundle: LoadedBundle, backend: str) -> list[Image]:
    """Phantoms in whose pictures a lesion is found, as many as are wanted, then the others."""
    from runtime.host_chain import HostChain

    found: list[Image] = []
    empty: list[Image] = []
    with HostChain(bundle, backend) as chain:
        for frame in map(_phantom, range(CANDIDATES)):
            (empty if chain.analyse(frame).lesion is None else found).append(frame)
            if len(found) == WANTED:
                break
    return found + empty


def _fits(bundle: LoadedBundle, frame: Image, backends: Sequence[str]) -> bool:
    try:
        _measure(bundle, [frame], backends)
    except BundleError:
        return False
    return True


def _images_at(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = [p for p in path.glob("*") if p.suffix.lower() in SUFFIXES] if path.is_dir() else []
    if not found:
        raise UsageError(
            "There is no golden image.",
            got=f"{path}, "
            + ("a folder without images" if path.is_dir() else "which is not there"),
            expected="an image file, or a folder of a few",
        )
    return sorted(found)
