"""A data set of lesions on skin of all tones, written so that training reads it as ISIC 2020.

tones.json says of every picture which tone it has and what it was made from. Pictures keep
their names, so that `dermedge audit` knows them for what they are: copies.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from calibration.evaluation.masks import read_mask
from calibration.skin.backgrounds import draw_tones, set_on
from calibration.skin.palette import Tone, palette
from runtime.decode import read_image
from runtime.errors import DermedgeError, InputError, UsageError
from runtime.lesion import Lesion, clean_mask, find_lesion
from runtime.preprocess import Image
from runtime.results import writing
from train.data.isic2020_folder import has_place_for, picture_file, write_table
from train.data.table import Sample, Table

MANIFEST, SCHEMA = "tones.json", 1
QUALITY = (
    cv2.IMWRITE_JPEG_QUALITY, 95,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
)  # fmt: skip
"""Colour as fine as light: else the tone would run into the lesion."""


@dataclass(frozen=True)
class Outlines:
    """Where lesions are known from; `name` goes into the manifest."""

    name: str
    find: Callable[[Sample, Image], Lesion | None]
    drawn: bool  # by people, in masks that not every image has


@dataclass
class Toned:
    """What was written, and why the rest was not."""

    samples: list[Sample] = field(default_factory=list)
    pictures: list[dict[str, Any]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def counts(self) -> dict[str, int]:
        found = Counter(picture["tone"] for picture in self.pictures)
        return {tone.name: found[tone.name] for tone in palette()}


def _of_mask(sample: Sample, frame: Image) -> Lesion | None:
    """Its largest part, without holes, as a bundle's outlines are."""
    assert sample.mask is not None
    mask = clean_mask(read_mask(sample.mask).astype(np.float32), 0.5, fill_holes=True)
    return find_lesion(mask, *frame.shape[:2])


DRAWN = Outlines("masks of the data set", _of_mask, drawn=True)


def write_toned(
    table: Table, out: Path, seed: int, outlines: Outlines,
    track: Callable[[list[Sample]], Iterable[Sample]] = iter,
) -> Toned:  # fmt: skip
    """`track` counts along."""
    toned = Toned()
    labelled = [sample for sample in table if has_place_for(sample.label)]
    toned.left_out["a label that ISIC 2020 has no word for"] = len(table) - len(labelled)
    fitting = [s for s in labelled if s.mask is not None or not outlines.drawn]
    toned.left_out["no mask"] = len(labelled) - len(fitting)
    with writing(out):
        picture_file(out, "").parent.mkdir(parents=True, exist_ok=True)
    tones = {label: draw_tones(label or "", seed) for label in table.labels}
    for sample in track(fitting):
        try:
            frame = read_image(sample.image).frame
            lesion = outlines.find(sample, frame)
        except InputError:
            toned.left_out["it cannot be read"] += 1
            continue
        if lesion is None:
            toned.left_out["no lesion was found"] += 1
            continue
        tone = next(tones[sample.label])  # not before: an image that is left out takes none
        _write_one(toned, sample, tone, lesion, set_on(tone, frame, lesion), out)
    if not toned.samples:
        raise _nothing(toned)
    with writing(out):
        write_table(out, toned.samples)
        _write_manifest(toned, table, out, seed, outlines)
    return toned


def _write_one(
    toned: Toned, sample: Sample, tone: Tone, lesion: Lesion, picture: Image, out: Path
) -> None:
    _, packed = cv2.imencode(".jpg", picture, QUALITY)
    with writing(out):
        picture_file(out, sample.id).write_bytes(packed.tobytes())
    box = lesion.box
    toned.samples.append(sample)
    toned.pictures.append(
        {
            "image": sample.id,
            "tone": tone.name,
            "label": sample.label,
            "dataset": sample.dataset,
            "split": sample.split,
            "box": [box.x, box.y, box.width, box.height],
        }
    )


def _write_manifest(toned: Toned, table: Table, out: Path, seed: int, outlines: Outlines) -> None:
    told = {
        "schema": SCHEMA,
        "seed": seed,
        "data": {"name": table.name, "sha256": table.digest, "images": len(table)},
        "outlines": outlines.name,
        "palette": {tone.name: {"lab": tone.lab, "rgb": tone.web} for tone in palette()},
        "left_out": {why: many for why, many in toned.left_out.items() if many},
        "images": toned.pictures,
    }
    text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
    (out / MANIFEST).write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, str]:
    """The tone of each picture by its name; nothing where the folder holds no such set."""
    file = folder / MANIFEST
    if not file.is_file():
        return {}
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        if told["schema"] != SCHEMA:
            raise ValueError(f"schema {told['schema']}")
        return {str(picture["image"]): str(picture["tone"]) for picture in told["images"]}
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InputError(
            f"{file} is no manifest of a toned data set.",
            got=f"{type(exc).__name__}: {exc}",
            expected=f"what `dermedge tones` writes, schema {SCHEMA}",
            remedy="Write the data set again, or remove the file: tones are then measured.",
        ) from exc


def _nothing(toned: Toned) -> DermedgeError:
    return UsageError(
        "There is no lesion to set on skin.",
        got="; ".join(f"{many} images: {why}" for why, many in toned.left_out.items() if many),
        expected="labelled images with a mask",
        remedy="--bundle BUNDLE, whose segmenter finds the lesions",
    )
