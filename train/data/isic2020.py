"""ISIC 2020 (SIIM-ISIC) as published: patients, age, sex, site; few diagnoses beside melanoma.

    {ISIC_2020_Training_Input,jpeg/train,train}/ISIC_0000000.jpg
    {ISIC_2020_Training_GroundTruth_v2,ISIC_2020_Training_GroundTruth,train}.csv
        image_name,patient_id,[lesion_id,]sex,age_approx,anatom_site_general_challenge,
        diagnosis,benign_malignant,target
    ISIC_2020_Training_Duplicates.csv    image_name_1,image_name_2
    {ISIC_2020_Test_Input,jpeg/test,test}/…    {ISIC_2020_Test_Metadata,test}.csv    (no labels)

Most images are only said to be benign. Of those that the publisher lists as duplicates one is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from train.data.facts import number_in
from train.data.listed import BESIDE, read_list
from train.data.published import PHOTOGRAPHS, UNPACK, Part, PublishedSet, files_in
from train.data.reader import BadRow, Format, Row, header_of
from train.data.table import Table

NAME = "isic2020"
DIAGNOSES = {
    "melanoma": "melanoma",
    "nevus": "nevus",
    "seborrheic keratosis": "seborrheic_keratosis",
    "solar lentigo": "solar_lentigo",
    "lichenoid keratosis": "lichenoid_keratosis",
    "lentigo nos": "lentigo",
    "cafe-au-lait macule": "cafe_au_lait_macule",
    # Nobody can tell from the name; what the set says of its one picture is that it is benign.
    "atypical melanocytic proliferation": "benign",
}
CLASSES = (*dict.fromkeys(DIAGNOSES.values()), "malignant")
DUPLICATES = BESIDE[0]
_TRAIN = ("ISIC_2020_Training_Input", "jpeg/train", "train")
_TEST = ("ISIC_2020_Test_Input", "jpeg/test", "test")
_TRUTH = ("ISIC_2020_Training_GroundTruth_v2.csv", "ISIC_2020_Training_GroundTruth.csv")
_TRAIN_TABLES = (*_TRUTH, "train.csv")  # the first of them has lesions too
_TEST_TABLES = ("ISIC_2020_Test_Metadata.csv", "test.csv")
_MALIGNANCY = {"malignant": 1.0, "benign": 0.0}
_FACTS = {
    "patient": "patient_id",
    "age": "age_approx",
    "sex": "sex",
    "site": "anatom_site_general_challenge",
}
_TEST_FACTS = _FACTS | {"patient": "patient", "site": "anatom_site_general"}
T = TypeVar("T")


def recognises(path: Path) -> bool:
    if any((path / name).exists() for name in (_TRAIN[0], _TEST[0], *_TRUTH, _TEST_TABLES[0])):
        return True
    tables = (path / "train.csv", path / "test.csv")  # names that anybody gives
    return any(t.is_file() and {"image_name", "patient_id"} <= {*header_of(t)} for t in tables)


def read(root: Path, classes: Sequence[str] | None = None) -> Table:
    found = PublishedSet(NAME, root)
    train, test = (_with_photographs(found, names) for names in (_TRAIN, _TEST))
    if train is not None:
        found.add(_training(found, train))
    if test is not None:
        found.add(_testing(found, test))
    return found.table(CLASSES, classes, UNPACK)


def _with_photographs(found: PublishedSet, names: Sequence[str]) -> Path | None:
    """Beside jpeg/train Kaggle has the same pictures as DICOM in train."""
    folders = [folder for name in names if (folder := found.folder(name)) is not None]
    filled = (folder for folder in folders if next(files_in(folder, PHOTOGRAPHS), None))
    return next(filled, folders[0] if folders else None)


def _training(found: PublishedSet, data: Path) -> Part:
    images = found.files(data)
    table = found.file(*_TRAIN_TABLES)
    if table is None:
        return Part("train", data.name, images, _TRAIN_TABLES[0])
    rows = found.rows(table, "image_name", (*_FACTS.values(), "target"))
    left_out = _copies(found, images)
    return Part(
        "train",
        data.name,
        _without(images, left_out),
        table.name,
        _without(found.labels(table, rows, _label), left_out),
        facts=_without(found.facts(table, rows, _FACTS | {"lesion": "lesion_id"}), left_out),
    )


def _testing(found: PublishedSet, data: Path) -> Part:
    """Two tables of the same, whose columns have other names."""
    table = found.file(*_TEST_TABLES)
    official = table is not None and "image" in header_of(table)
    columns, key = (_TEST_FACTS, "image") if official else (_FACTS, "image_name")
    facts = found.metadata("test", _TEST_TABLES, key, columns)
    return Part("test", data.name, found.files(data), "table of labels", facts=facts)


def _label(row: Row) -> str:
    """The diagnosis where it is told, and else only whether it is malignant."""
    target = number_in(row.cells.get("target", ""))
    if target not in (0, 1):
        raise BadRow(f"target is {row.cells.get('target', '')!r}, not 0 or 1")
    malignancy = row.get("benign_malignant")
    if malignancy is not None and _MALIGNANCY.get(malignancy.lower()) != target:
        raise BadRow(f"benign_malignant is {malignancy!r} where target is {target:g}")
    diagnosis = row.get("diagnosis")
    if diagnosis is None:
        return "malignant" if target else "benign"
    label = DIAGNOSES.get(diagnosis.lower())
    if label is None:
        raise BadRow(f"diagnosis is {diagnosis!r}, not one of {', '.join(DIAGNOSES)}")
    if (label == "melanoma") != bool(target):
        raise BadRow(f"diagnosis is {diagnosis!r} where target is {target:g}")
    return label


def _copies(found: PublishedSet, images: Collection[str]) -> set[str]:
    """All but one of those that are the same picture, of a chain of pairs too."""
    table = found.file(DUPLICATES)
    if table is None:
        found.note("train", f"no {DUPLICATES}, so the same picture may be there twice")
        return set()
    kept = {name: name for name in images}

    def kept_of(name: str) -> str:
        while kept[name] != name:
            name = kept[name]
        return name

    for first, second in read_list(table).pairs:
        if first in kept and second in kept:
            kept[kept_of(second)] = kept_of(first)
    left_out = {name for name in kept if kept[name] != name}
    if left_out:
        found.note("train", f"{len(left_out)} images are left out as duplicates of others")
    return left_out


def _without(things: Mapping[str, T], names: Collection[str]) -> dict[str, T]:
    return {name: thing for name, thing in things.items() if name not in names}


FORMAT = Format(
    "ISIC 2020",
    "a folder with ISIC_2020_Training_Input, ISIC_2020_Test_Input, or Kaggle's train.csv or "
    "test.csv",
    recognises,
    read,
)
