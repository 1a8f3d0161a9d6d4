"""Good pictures spoilt in the ways that a bundle's limits are for, and how often each is noticed.

    python -m tests.runtime.spoilt --folder IMAGES

Lengths are for a long side of 600 pixels, and grow with the picture.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from runtime.preprocess import Image

if TYPE_CHECKING:
    from runtime.chain import Chain
    from runtime.lesion import Box

Spoil = Callable[[Image, np.random.Generator], Image]
SIDE = 600
TINY = 0.003  # of the frame: the box around a lesion that is far away


def _length(image: Image, pixels: float) -> float:
    return pixels * max(image.shape[:2]) / SIDE


def moved(image: Image, rng: np.random.Generator, pixels: float = 15) -> Image:
    """Smeared along a straight line."""
    side = 2 * max(round(_length(image, pixels) / 2), 1) + 1
    line = np.zeros((side, side), np.float32)
    line[side // 2] = 1
    turn = cv2.getRotationMatrix2D((side // 2, side // 2), rng.uniform(0, 180), 1)
    line = cv2.warpAffine(line, turn, (side, side))
    return np.asarray(cv2.filter2D(image, -1, line / line.sum()), np.uint8)


def defocused(image: Image, rng: np.random.Generator) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), _length(image, 3)), np.uint8)


def underexposed(image: Image, rng: np.random.Generator) -> Image:
    return (image * 0.15).astype(np.uint8)


def overexposed(image: Image, rng: np.random.Generator) -> Image:
    return np.clip(image * 2.2 + 60, 0, 255).astype(np.uint8)


def reflecting(image: Image, rng: np.random.Generator) -> Image:
    spoilt = image.copy()
    height, width = image.shape[:2]
    for _ in range(400):
        place = int(rng.uniform(0, width)), int(rng.uniform(0, height))
        cv2.circle(spoilt, place, round(_length(image, 5)), (250, 250, 250), cv2.FILLED)
    return spoilt


def hairy(image: Image, rng: np.random.Generator) -> Image:
    spoilt = image.copy()
    height, width = image.shape[:2]
    for _ in range(120):
        ends = rng.uniform(-0.2, 1.2, (2, 2)) * (width, height)
        bend = (rng.uniform(-0.15, 0.15, 2) + ends.mean(0) / (width, height)) * (width, height)
        at = np.linspace(0, 1, 24)[:, None]
        curve = (1 - at) ** 2 * ends[0] + 2 * at * (1 - at) * bend + at**2 * ends[1]
        thick = max(round(_length(image, 4)), 1)
        cv2.polylines(
            spoilt, [curve.astype(np.int32)], False, (20, 25, 30), thick, cv2.LINE_AA
        )  # fmt: skip
    return spoilt


def rimmed(image: Image, rng: np.random.Generator) -> Image:
    """Seen through a tube: a circle in the dark."""
    height, width = image.shape[:2]
    seen = np.zeros((height, width), np.uint8)
    cv2.circle(seen, (width // 2, height // 2), int(0.38 * min(width, height)), 1, cv2.FILLED)
    return image * seen[..., None]


def drained(image: Image, rng: np.random.Generator) -> Image:
    """Without colour."""
    return np.asarray(np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2), np.uint8)


def exchanged(image: Image, rng: np.random.Generator) -> Image:
    """Red for blue."""
    return np.ascontiguousarray(image[..., ::-1])


def halved(image: Image, lesion: Box) -> Image:
    """The lesion lies half beside the frame."""
    middle = lesion.x + lesion.width // 2
    parts = image[:, middle:], image[:, :middle]
    return np.ascontiguousarray(max(parts, key=np.size))


def far_away(image: Image, lesion: Box) -> Image:
    """With the skin around it that would then be seen."""
    scale = (TINY * image.shape[0] * image.shape[1] / (lesion.width * lesion.height)) ** 0.5
    height, width = image.shape[:2]
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    rows, columns = height - small.shape[0], width - small.shape[1]
    around = rows // 2, rows - rows // 2, columns // 2, columns - columns // 2
    return np.asarray(cv2.copyMakeBorder(small, *around, cv2.BORDER_REPLICATE), np.uint8)


def doubled(image: Image, lesion: Box) -> Image:
    """Beside another one."""
    return np.ascontiguousarray(np.hstack([image, image[:, ::-1]]))


SPOILT: dict[str, tuple[Spoil, str]] = {
    "moved": (moved, "motion"),
    "defocused": (defocused, "focus"),
    "underexposed": (underexposed, "exposure"),
    "overexposed": (overexposed, "bright_clipped"),
    "reflecting": (reflecting, "glare"),
    "hairy": (hairy, "hair"),
    "rimmed": (rimmed, "dark_rim"),
    "exchanged": (exchanged, "skin"),
    "drained": (drained, "skin"),
}
"""How, and the limit that should notice."""
MISPLACED: dict[str, tuple[Callable[[Image, Box], Image], str]] = {
    "halved": (halved, "lesion_at_border"),
    "far_away": (far_away, "lesion_area"),
    "doubled": (doubled, "next_lesion"),
}
"""The same, by where the lesion is."""


def _meant(ways: Mapping[str, tuple[object, str]]) -> dict[str, str]:
    return {name: meant for name, (_, meant) in ways.items()}


def _spoilt(name: str, file: Path, chain: Chain) -> Image | None:
    """None where a lesion should be moved and none is found."""
    image = np.asarray(cv2.imread(str(file), cv2.IMREAD_COLOR), np.uint8)
    if name in SPOILT:
        return SPOILT[name][0](image, np.random.default_rng(zlib.crc32(file.name.encode())))
    if name in MISPLACED:
        lesion = chain.find(image)
        return None if lesion is None else MISPLACED[name][0](image, lesion.box)
    return image


def main(folder: Path, images: int) -> None:
    from rich.console import Console
    from rich.table import Table

    from export.acquisition import ACQUISITION
    from runtime.bundle import QualityLimit
    from runtime.bundle_files import load_bundle
    from runtime.demo import BUNDLE
    from runtime.host_chain import HostChain

    limits = {name: QualityLimit(**fields) for name, fields in ACQUISITION.items()}
    files = sorted(file for file in folder.rglob("*.jpg"))[:images]
    grid = Table(title=f"{len(files)} pictures of {folder.name}", title_justify="left")
    for head in ("spoilt how", "told live", "rejected", "by the limit meant", "by the others"):
        grid.add_column(head, justify="left" if head == "spoilt how" else "right")
    with HostChain(load_bundle(BUNDLE)) as chain:
        for name, meant in {"not at all": "", **_meant(SPOILT), **_meant(MISPLACED)}.items():
            told, seen = [], []
            for file in files:
                spoilt = _spoilt(name, file, chain)
                if spoilt is None:
                    continue
                look = chain.look(spoilt)
                told.append(bool(look.hints))
                seen.append(
                    {k for k, v in look.quality.items() if k in limits and limits[k].excludes(v)}
                )
            share = [
                f"{np.mean([bool(which & set(names)) for which in seen]):.1%}"
                for names in (limits, {meant}, limits.keys() - {meant})
            ]
            grid.add_row(f"{name} ({meant})" if meant else name, f"{np.mean(told):.1%}", *share)
    Console().print(grid)


if __name__ == "__main__":
    import click

    click.command()(
        click.option("--folder", type=click.Path(exists=True, path_type=Path), required=True)(
            click.option("--images", type=int, default=200, show_default=True)(main)
        )
    )()
