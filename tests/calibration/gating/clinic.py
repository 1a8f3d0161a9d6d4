"""A small clinic: labelled pictures that the tiny networks can tell apart, and bundles to gate."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx

from calibration.quantising.record import FILE, CalibrationRecord, ImageRecord, TuningRecord
from runtime.bundle_files import LoadedBundle, fields_of, load_bundle, seal
from tests.bundle_factory import (
    WEIGHTS,
    add_golden,
    bundle_fields,
    make_bundle,
    member,
    operating_point,
    picture,
)
from train.data.content import sha256
from train.data.open_dataset import open_dataset

POSITIVES, NEGATIVES = 36, 54
THRESHOLD = 0.21
LIMITS = {"sensitivity_loss": 0.1, "auc_loss": 0.05, "flips": 0.1, "probability_change": 0.05}
"""Losses wide enough to be believed on so few images: one of 10 % takes 29 positives."""


def write_clinic(folder: Path, label: str = "melanoma") -> Path:
    """Blueish lesions are melanomas, dark ones nevi; the table that says so."""
    folder.mkdir(parents=True)
    rows = [["image", "label", "split"]]
    for number in range(POSITIVES + NEGATIVES):
        malignant = number < POSITIVES
        colour = (150 - number, 60, 60) if malignant else (35 + number // 4, 45 + number % 4, 70)
        name = f"c{number:03d}.png"
        frame = picture(60, 80, colour)
        (folder / name).write_bytes(cv2.imencode(".png", frame)[1].tobytes())
        split = "train" if number % 2 else "validation"
        rows.append([name, label if malignant else "nevus", split])
    table = folder / "labels.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return table


def write_reference(folder: Path, **changes: Any) -> LoadedBundle:
    fields = bundle_fields() | changes
    fields["decision"] = {"score": "melanoma", **operating_point(THRESHOLD)}
    fields["gate"] = {"limits": LIMITS}
    bundle = make_bundle(folder, fields)
    (folder / "card.md").write_text("# tiny 1\n\nWords.\n\n## How to check it\n\nMore words.\n")
    return add_golden(seal(folder, fields_of(bundle)))


def quantised(reference: LoadedBundle, folder: Path, factor: float = 1.002) -> LoadedBundle:
    """A copy whose members run other weights by default and keep their float files behind them.

    A factor near one is what rounding does; a wrong scale multiplies.
    """
    shutil.copytree(reference.path, folder)
    fields = fields_of(load_bundle(folder))
    for name, weights in WEIGHTS.items():
        file = f"models/{name}.int8.onnx"
        onnx.save(member(np.asarray(weights) * factor), str(folder / file))
        variants = fields["models"][name]["variants"]
        fields["models"][name]["variants"] = [{"precision": "int8", "file": file}, *variants]
    for golden in fields["golden"]:
        golden["tolerance"]["int8"] = 0.9  # these tests are of the gate, not of the self-test
    return seal(folder, fields)


def changed(bundle: LoadedBundle, **sections: dict[str, Any]) -> LoadedBundle:
    """The same bundle with some of its bundle.json replaced."""
    fields = fields_of(load_bundle(bundle.path))
    for name, values in sections.items():
        fields[name] = {**fields[name], **values} if isinstance(values, dict) else values
    return seal(bundle.path, fields)


def trained_on(table: Path) -> dict[str, Any]:
    """Provenance of networks that were trained on this data set."""
    data = open_dataset(table)
    return {"data": [{"name": data.name, "sha256": data.digest, "images": len(data)}]}


def with_record(
    bundle: LoadedBundle,
    images: Sequence[Path],
    method: str = "auto",
    tuned_on: Sequence[Path] | None = None,
) -> LoadedBundle:
    """As if it had been quantised on these images, and fine-tuned on those."""
    now = datetime.now(timezone.utc)
    tuning = None
    if tuned_on is not None:
        tuning = TuningRecord(
            created=now,
            models=(),
            images=_records(tuned_on),
            judged_on=(),
            held_out=0,
            unreadable=(),
            passes=1,
            batch=1,
            rate=0.0,
            torch="2",
        )
    record = CalibrationRecord(
        created=now,
        reference="0" * 64,
        method=method,
        images=_records(images),
        models={},
        tuning=tuning,
        versions={},
        machine={},
    )
    (bundle.path / FILE).write_text(record.to_json(), encoding="utf-8")
    return seal(bundle.path, fields_of(bundle))


def _records(images: Sequence[Path]) -> tuple[ImageRecord, ...]:
    return tuple(ImageRecord(name=image.name, sha256=sha256(image)) for image in images)
