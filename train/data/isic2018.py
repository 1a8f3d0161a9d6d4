"""ISIC 2018 as published: seven classes (Task 3), lesion masks of other images (Task 1), or both.

    ISIC2018_Task3_{Training,Validation,Test}_Input/ISIC_0024306.jpg
    ISIC2018_Task3_…_GroundTruth/ISIC2018_Task3_…_GroundTruth.csv
        image,MEL,NV,BCC,AKIEC,BKL,DF,VASC
    ISIC2018_Task3_Training_LesionGroupings.csv    image,lesion_id[,…]
    ISIC2018_Task1-2_{…}_Input/ISIC_0000000.jpg
    ISIC2018_Task1_{…}_GroundTruth/ISIC_0000000_segmentation.png

Images of Task 1 that Task 3 does not have are samples without a label.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from train.data.facts import Facts
from train.data.published import MASKS, UNPACK, Part, PublishedSet, one_hot
from train.data.reader import Format
from train.data.table import Table
from train.data.vocabulary import CODES

NAME = "isic2018"
COLUMNS = {code: CODES[code] for code in ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")}
SPLITS = {"Training": "train", "Validation": "validation", "Test": "test"}
_DATA = ("ISIC2018_Task3_{}_Input", "ISIC2018_Task1-2_{}_Input")
_LESIONS = "ISIC2018_Task3_Training_LesionGroupings.csv"


def recognises(path: Path) -> bool:
    return any((path / name.format(part)).is_dir() for name in _DATA for part in SPLITS)


def read(root: Path, classes: Sequence[str] | None = None) -> Table:
    found = PublishedSet(NAME, root)
    for part, split in SPLITS.items():
        _read_part(found, part, split)
    apart = "Where the two tasks do not fit together, keep each in a folder of its own."
    return found.table(tuple(COLUMNS.values()), classes, f"{UNPACK} {apart}")


def _read_part(found: PublishedSet, part: str, split: str) -> None:
    named, outlined = (name.format(part) for name in _DATA)
    folder = found.folder(f"ISIC2018_Task1_{part}_GroundTruth")
    masks = found.files(folder, MASKS, ending="_segmentation")
    classified: dict[str, Path] = {}
    if (data := found.folder(named)) is not None:
        classified = found.files(data)
        truth, labels = _labels(found, part)
        facts = _lesions(found) if split == "train" else {}
        found.add(Part(split, named, classified, truth, labels, masks, facts=facts))
    if (data := found.folder(outlined)) is not None:
        images = found.files(data)
        others = {name: path for name, path in images.items() if name not in classified}
        if others or not images:
            found.add(Part(split, outlined, others, masks=masks, masked=True))


def _labels(found: PublishedSet, part: str) -> tuple[str, dict[str, str] | None]:
    """The archive has the table in a folder of its own name."""
    folder = f"ISIC2018_Task3_{part}_GroundTruth"
    name = f"{folder}.csv"
    table = found.file(f"{folder}/{name}", name)
    if table is None:
        return name, None
    rows = found.rows(table, "image", tuple(code.lower() for code in COLUMNS))
    return name, found.labels(table, rows, one_hot(COLUMNS))


def _lesions(found: PublishedSet) -> dict[str, Facts]:
    places = (_LESIONS, f"ISIC2018_Task3_Training_GroundTruth/{_LESIONS}")
    return found.metadata("train", places, "image", {"lesion": "lesion_id"})


FORMAT = Format(
    "ISIC 2018",
    "a folder with ISIC2018_Task3_Training_Input or ISIC2018_Task1-2_Training_Input "
    "(or Validation, or Test)",
    recognises,
    read,
)
