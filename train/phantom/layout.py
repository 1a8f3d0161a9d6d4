"""The ISIC 2017 folder layout, written: names, splits, files, tables.

Beside what the real data set has, each image gets a hair mask and a ruler mask, and two tables:
artefacts.csv (what lies on the image) and phantoms.csv (what was drawn). Readers know the first.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from runtime.errors import UsageError
from train.phantom.compose import Phantom, make_phantom
from train.phantom.noise import Bits
from train.phantom.traits import ARTEFACTS, CUES, LABELS, label_of

FIRST_ID = 9_000_000  # far above any id the ISIC archive gave to a picture in 2017
FEWEST = 6  # two of each class: one to train, one to validate
MOST = 1_000_000
PARTS = ("Training", "Validation")
TRUTH_COLUMNS = ("image_id", "melanoma", "seborrheic_keratosis")
METADATA_COLUMNS = ("image_id", "age_approximate", "sex")
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class Job:
    """All that a worker needs to draw and write one phantom."""

    out: Path
    part: str
    seed: int
    index: int
    size: tuple[int, int]

    @property
    def image_id(self) -> str:
        return f"ISIC_{FIRST_ID + self.index:07d}"


@dataclass(frozen=True)
class Row:
    """What the tables say about one phantom."""

    image_id: str
    part: str
    label: str
    tone: int
    site: str
    age: str
    sex: str
    artefacts: dict[str, bool]
    cues: dict[str, bool]


def image_folder(out: Path, part: str) -> Path:
    return out / f"ISIC-2017_{part}_Data"


def mask_folder(out: Path, part: str) -> Path:
    return out / f"ISIC-2017_{part}_Part1_GroundTruth"


def truth_file(out: Path, part: str) -> Path:
    return out / f"ISIC-2017_{part}_Part3_GroundTruth.csv"


def folders(out: Path) -> list[Path]:
    parts = [make(out, part) for part in PARTS for make in (image_folder, mask_folder)]
    return [*parts, out / "hair_masks", out / "ruler_masks"]


def assign_parts(seed: int, count: int, fraction: float) -> list[str]:
    """The split of every phantom: the same share of each class, at least one on both sides."""
    parts = [PARTS[0]] * count
    rng = np.random.default_rng([seed, count, 978])
    labels = [label_of(seed, index) for index in range(count)]
    for label in LABELS:
        members = [index for index in range(count) if labels[index] == label]
        share = min(len(members) - 1, max(1, round(fraction * len(members))))
        for index in rng.permutation(members)[:share]:
            parts[index] = PARTS[1]
    return parts


def _write(path: Path, image: Bits, *settings: int) -> None:
    """`cv2.imwrite` only says that it failed; writing the bytes ourselves also says why."""
    _, packed = cv2.imencode(path.suffix, image, settings)
    path.write_bytes(packed.tobytes())


def draw_and_write(job: Job) -> Row:
    phantom = make_phantom(job.seed, job.index, job.size)
    name = job.image_id
    jpeg = (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY)
    try:
        _write(image_folder(job.out, job.part) / f"{name}.jpg", phantom.image, *jpeg)
        _write(mask_folder(job.out, job.part) / f"{name}_segmentation.png", phantom.mask)
        _write(job.out / "hair_masks" / f"{name}_hair.png", phantom.hair_mask)
        _write(job.out / "ruler_masks" / f"{name}_ruler.png", phantom.ruler_mask)
    except OSError as exc:
        raise UsageError(
            f"{name} could not be written to {job.out}.",
            got=exc.strerror or str(exc),
            remedy="Free some space or choose another --out; the folder is incomplete, remove it.",
        ) from exc
    return _row(job, phantom)


def _row(job: Job, phantom: Phantom) -> Row:
    return Row(
        image_id=job.image_id,
        part=job.part,
        label=phantom.label,
        tone=phantom.tone,
        site=phantom.site or "unknown",
        age="unknown" if phantom.age is None else str(phantom.age),
        sex=phantom.sex or "unknown",
        artefacts=phantom.artefacts,
        cues=phantom.cues,
    )


def _table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """In one step, so that a table is either absent or complete."""
    draft = path.with_suffix(".partial")
    with draft.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    os.replace(draft, path)


def _ones(shown: dict[str, bool], names: Iterable[str]) -> list[int]:
    return [int(shown[name]) for name in names]


def _truth(rows: Sequence[Row], part: str) -> Iterable[Sequence[object]]:
    for row in rows:
        if row.part == part:
            yield row.image_id, *(float(row.label == name) for name in LABELS[:2])


def write_tables(out: Path, rows: Sequence[Row]) -> None:
    """Called once every image is there; the training truth is last: nothing reads a set without."""
    _table(
        out / "artefacts.csv",
        ("image_id", *ARTEFACTS),
        ((r.image_id, *_ones(r.artefacts, ARTEFACTS)) for r in rows),
    )
    _table(
        out / "phantoms.csv",
        ("image_id", "part", "label", "tone", "site", "age", "sex", *CUES),
        (
            (r.image_id, r.part, r.label, r.tone, r.site, r.age, r.sex, *_ones(r.cues, CUES))
            for r in rows
        ),
    )
    for part in PARTS:
        metadata = [(r.image_id, r.age, r.sex) for r in rows if r.part == part]
        _table(out / f"ISIC-2017_{part}_Data_metadata.csv", METADATA_COLUMNS, metadata)
    for part in reversed(PARTS):
        _table(truth_file(out, part), TRUTH_COLUMNS, _truth(rows, part))
