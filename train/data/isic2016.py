"""ISIC 2016 (then ISBI 2016) as published: benign or malignant, and lesion masks.

    ISBI2016_ISIC_Part3_{Training,Test}_Data/ISIC_0000000.jpg
    ISBI2016_ISIC_Part3_{…}_GroundTruth.csv       ISIC_0000000,benign   (no header; test: 0, 1)
    ISBI2016_ISIC_Part1_{…}_GroundTruth/ISIC_0000000_Segmentation.png

Part 1 has the same images under another name, and Part 3B has images and masks in one folder. Any
of the three will do. Part 1 alone has no labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from train.data.facts import number_in
from train.data.published import MASKS, UNPACK, Part, PublishedSet
from train.data.reader import BadRow, Format, Row
from train.data.table import Table

NAME = "isic2016"
CLASSES = ("malignant", "benign")
SPLITS = {"Training": "train", "Test": "test"}
_KINDS = ("Part3", "Part3B", "Part1")  # in the order in which their images are taken
_HEADER = ("image", "label")
_MASK = "_segmentation"


def recognises(path: Path) -> bool:
    return any((path / _data(kind, part)).is_dir() for kind in _KINDS for part in SPLITS)


def read(root: Path, classes: Sequence[str] | None = None) -> Table:
    found = PublishedSet(NAME, root)
    for part, split in SPLITS.items():
        kind = next((k for k in _KINDS if found.folder(_data(k, part))), None)
        if kind is not None:
            found.add(_part(found, kind, part, split))
    return found.table(CLASSES, classes, UNPACK)


def _part(found: PublishedSet, kind: str, part: str, split: str) -> Part:
    data = found.folder(_data(kind, part))
    masks = found.folder(f"ISBI2016_ISIC_Part1_{part}_GroundTruth", _data("Part3B", part))
    truth = None if kind == "Part1" else f"ISBI2016_ISIC_{kind}_{part}_GroundTruth.csv"
    table = None if truth is None else found.file(truth)
    labels = None
    if table is not None:
        rows = found.rows(table, _HEADER[0], header=_HEADER)
        labels = found.labels(table, rows, _label)
    return Part(
        split,
        _data(kind, part),
        found.files(data, not_ending=_MASK),
        truth,
        labels,
        found.files(masks, MASKS, ending=_MASK),
        masked=True,
    )


def _data(kind: str, part: str) -> str:
    return f"ISBI2016_ISIC_{kind}_{part}_Data"


def _label(row: Row) -> str:
    """Some copies have numbers in both tables, some words in both."""
    text = row.cells.get(_HEADER[1], "")
    if text.lower() in CLASSES:
        return text.lower()
    number = number_in(text)
    if number not in (0, 1):
        raise BadRow(f"the label is {text!r}, not benign, malignant, 0 or 1")
    return "malignant" if number else "benign"


FORMAT = Format(
    "ISIC 2016",
    "a folder with ISBI2016_ISIC_Part3_Training_Data or ISBI2016_ISIC_Part3_Test_Data "
    "(or Part3B, or Part1 without labels)",
    recognises,
    read,
)
