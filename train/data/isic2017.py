"""ISIC 2017 as published: three classes, lesion masks, age and sex.

    ISIC-2017_{Training,Validation,Test_v2}_Data/ISIC_0000000.jpg
    ISIC-2017_…_Part1_GroundTruth/ISIC_0000000_segmentation.png
    ISIC-2017_…_Part3_GroundTruth.csv    image_id,melanoma,seborrheic_keratosis   (0,0 = nevus)
    ISIC-2017_…_Data_metadata.csv        image_id,age_approximate,sex             (or "unknown")

A split whose data folder is absent is left out; one that is there must be complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from train.data.facts import number_in
from train.data.published import MASKS, UNPACK, Part, PublishedSet
from train.data.reader import BadRow, Format, Row
from train.data.table import Table

NAME = "isic2017"
CLASSES = ("melanoma", "seborrheic_keratosis", "nevus")
SPLITS = {"Training": "train", "Validation": "validation", "Test_v2": "test"}
_FACTS = {"age": "age_approximate", "sex": "sex"}
_LABELS = {(1.0, 0.0): "melanoma", (0.0, 1.0): "seborrheic_keratosis", (0.0, 0.0): "nevus"}


def recognises(path: Path) -> bool:
    return any((path / f"ISIC-2017_{part}_Data").is_dir() for part in SPLITS)


def read(root: Path, classes: Sequence[str] | None = None) -> Table:
    found = PublishedSet(NAME, root)
    for part, split in SPLITS.items():
        data = found.folder(f"ISIC-2017_{part}_Data")
        if data is not None:
            found.add(_part(found, part, split, data))
    return found.table(CLASSES, classes, UNPACK)


def _part(found: PublishedSet, part: str, split: str, data: Path) -> Part:
    name = f"ISIC-2017_{part}_Part3_GroundTruth.csv"
    truth = found.file(name)
    labels = None
    if truth is not None:
        labels = found.labels(truth, found.rows(truth, "image_id", CLASSES[:2]), _label)
    # The official archive has this file inside the data folder, most copies have it beside.
    metadata = f"ISIC-2017_{part}_Data_metadata.csv"
    masks = found.folder(f"ISIC-2017_{part}_Part1_GroundTruth")
    return Part(
        split,
        data.name,
        found.files(data, not_ending="_superpixels"),
        name,
        labels,
        found.files(masks, MASKS, ending="_segmentation"),
        masked=True,
        facts=found.metadata(
            split, (metadata, f"ISIC-2017_{part}_Data/{metadata}"), "image_id", _FACTS
        ),
    )


def _label(row: Row) -> str:
    cells = [row.cells.get(column, "") for column in CLASSES[:2]]
    flags = (number_in(cells[0]), number_in(cells[1]))
    name = row.cells["image_id"]
    if flags == (1.0, 1.0):
        raise BadRow(f"{name} is flagged as melanoma and as seborrheic keratosis")
    if flags not in _LABELS:
        raise BadRow(f"{name} has the flags {', '.join(cells)}; each must be 0 or 1")
    return _LABELS[flags]


FORMAT = Format(
    "ISIC 2017",
    "a folder with ISIC-2017_Training_Data, ISIC-2017_Validation_Data or ISIC-2017_Test_v2_Data",
    recognises,
    read,
)
