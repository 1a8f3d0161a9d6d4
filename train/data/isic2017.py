"""ISIC 2017 as published: three classes, lesion masks, age and sex.

    ISIC-2017_{Training,Validation,Test_v2}_Data/ISIC_0000000.jpg
    ISIC-2017_…_Part1_GroundTruth/ISIC_0000000_segmentation.png
    ISIC-2017_…_Part3_GroundTruth.csv    image_id,melanoma,seborrheic_keratosis   (0,0 = nevus)
    ISIC-2017_…_Data_metadata.csv        image_id,age_approximate,sex             (or "unknown")

A split whose data folder is absent is left out; one that is there must be complete, because an
image silently without its label would shift every number reported on the set.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from train.data.reader import Format, Problems, Row, read_rows
from train.data.table import Sample, Table

NAME = "isic2017"
CLASSES = ("melanoma", "seborrheic_keratosis", "nevus")
SPLITS = {"Training": "train", "Validation": "validation", "Test_v2": "test"}
_TRUTH = ("image_id", "melanoma", "seborrheic_keratosis")
_LABELS = {(1.0, 0.0): "melanoma", (0.0, 1.0): "seborrheic_keratosis", (0.0, 0.0): "nevus"}
_IMAGES = (".jpg", ".jpeg", ".png")


def recognises(path: Path) -> bool:
    return any((path / f"ISIC-2017_{part}_Data").is_dir() for part in SPLITS)


def read(root: Path, classes: Sequence[str] | None = None) -> Table:
    problems, warnings = Problems(root), list[str]()
    samples: list[Sample] = []
    for part, split in SPLITS.items():
        if (root / f"ISIC-2017_{part}_Data").is_dir():
            samples += _read_part(root, part, split, problems, warnings)
    problems.raise_if_any(
        expected="ISIC 2017 with one image and one truth row for every id",
        remedy="Unpack the archives of the split again, or remove its data folder to leave it out.",
    )
    return Table.of(NAME, samples, CLASSES if classes is None else classes, warnings)


def _read_part(
    root: Path, part: str, split: str, problems: Problems, warnings: list[str]
) -> list[Sample]:
    data = root / f"ISIC-2017_{part}_Data"
    images = _files(data, _IMAGES, not_ending="_superpixels")
    if not images:
        problems.add(f"{data.name} holds no images")
        return []
    masks = _files(root / f"ISIC-2017_{part}_Part1_GroundTruth", (".png",), ending="_segmentation")
    labels = _truth(root / f"ISIC-2017_{part}_Part3_GroundTruth.csv", problems)
    if labels is None:
        return []
    for name in sorted(labels.keys() - images.keys()):
        problems.add(f"{name} has a truth row but no image in {data.name}")
    for name in sorted(images.keys() - labels.keys()):
        problems.add(f"{name} is in {data.name} but has no truth row")
    unmasked = len(images.keys() - masks.keys())
    if unmasked:
        warnings.append(f"{NAME} {split}: {unmasked} of {len(images)} images have no lesion mask")
    patients = _metadata(root, part, split, problems, warnings)
    return [
        _sample(name, image, labels[name], split, masks.get(name), patients.get(name))
        for name, image in images.items()
        if name in labels
    ]


def _sample(
    name: str, image: Path, label: str, split: str, mask: Path | None, row: Row | None
) -> Sample:
    age = None if row is None else row.get("age_approximate")
    sex = None if row is None else row.get("sex")
    return Sample(
        id=name,
        dataset=NAME,
        image=image,
        label=label,
        split=split,
        mask=mask,
        age=None if age is None else float(age),
        sex=None if sex is None else sex.lower(),
    )


def _truth(path: Path, problems: Problems) -> dict[str, str] | None:
    if not path.is_file():
        problems.add(f"{path.name} is missing")
        return None
    labels: dict[str, str] = {}
    for row in read_rows(path, _TRUTH)[1]:
        name, *cells = (row.cells.get(column, "") for column in _TRUTH)
        where = f"{path.name} line {row.line}"
        flags = tuple(_number(cell) for cell in cells)
        if name in labels:
            problems.add(f"{where}: a second row for {name}")
        elif flags == (1.0, 1.0):
            problems.add(f"{where}: {name} is flagged as melanoma and as seborrheic keratosis")
        elif flags not in _LABELS:
            problems.add(f"{where}: {name} has the flags {', '.join(cells)}; each must be 0 or 1")
        else:
            labels[name] = _LABELS[flags]
    return labels


def _metadata(
    root: Path, part: str, split: str, problems: Problems, warnings: list[str]
) -> dict[str, Row]:
    """The official archive has this file inside the data folder, most copies have it beside."""
    name = f"ISIC-2017_{part}_Data_metadata.csv"
    places = (root / name, root / f"ISIC-2017_{part}_Data" / name)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        warnings.append(f"{NAME} {split}: no {name}, so age and sex are not known")
        return {}
    rows: dict[str, Row] = {}
    for row in read_rows(path, ("image_id", "age_approximate", "sex"))[1]:
        age, sex = row.get("age_approximate"), row.get("sex")
        if age is not None and not 0 <= _number(age) <= 120:
            problems.add(f"{name} line {row.line}: the age is {age!r}")
        elif sex is not None and sex.lower() not in {"male", "female"}:
            problems.add(f"{name} line {row.line}: the sex is {sex!r}")
        else:
            rows[row.cells["image_id"]] = row
    return rows


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan  # equal to nothing and within no range


def _files(
    folder: Path, suffixes: Sequence[str], *, ending: str = "", not_ending: str = "\0"
) -> dict[str, Path]:
    """Files by id, sorted. The case of suffixes varies between copies of the data set."""
    if not folder.is_dir():
        return {}
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        stem = path.stem
        hidden = stem.startswith(".")
        if hidden or path.suffix.lower() not in suffixes or stem.lower().endswith(not_ending):
            continue
        if stem.lower().endswith(ending):
            found[stem[: len(stem) - len(ending)]] = path
    return found


FORMAT = Format(
    "ISIC 2017",
    "a folder with ISIC-2017_Training_Data, ISIC-2017_Validation_Data or ISIC-2017_Test_v2_Data",
    recognises,
    read,
)
