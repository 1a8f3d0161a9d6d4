"""The folder layout of ISIC 2020, written: one folder of pictures, one table of what they are."""

from __future__ import annotations

import csv
from pathlib import Path

from train.data.isic2020 import DIAGNOSES
from train.data.table import Sample
from train.data.vocabulary import as_one_of

PICTURES, TABLE = "ISIC_2020_Training_Input", "ISIC_2020_Training_GroundTruth_v2.csv"
COLUMNS = (
    "image_name", "patient_id", "lesion_id", "sex", "age_approx", "anatom_site_general_challenge",
    "diagnosis", "benign_malignant", "target",
)  # fmt: skip
_NAMED = {label: name for name, label in reversed(DIAGNOSES.items()) if label != "benign"}
_TARGETS = {"malignant": 1, "benign": 0}


def has_place_for(label: str | None) -> bool:
    """Whether the table can say it: it knows few diseases, and else malignant and benign."""
    return label is not None and as_one_of(label, tuple(_TARGETS)) in _TARGETS


def picture_file(out: Path, name: str) -> Path:
    return out / PICTURES / f"{name}.jpg"


def write_table(out: Path, samples: list[Sample]) -> None:
    with (out / TABLE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(_row(sample) for sample in samples)


def _row(sample: Sample) -> list[object]:
    label = sample.label or ""
    malignancy = as_one_of(label, tuple(_TARGETS))
    known = (sample.patient, sample.lesion, sample.sex, sample.age, sample.site)
    told = ["" if value is None else value for value in known]
    diagnosis = _NAMED.get(as_one_of(label, tuple(_NAMED)), "unknown")
    return [sample.id, *told, diagnosis, malignancy, _TARGETS[malignancy]]
