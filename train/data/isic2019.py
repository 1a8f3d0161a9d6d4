"""ISIC 2019 as published: eight classes and the unknown, lesions, age, sex and site.

    ISIC_2019_{Training,Test}_Input/ISIC_0000000.jpg      (2,074 ids end in _downsampled)
    ISIC_2019_…_GroundTruth.csv     image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK[,score_weight,…]
    ISIC_2019_…_Metadata.csv        image,age_approx,anatom_site_general[,lesion_id],sex

An id keeps its ending: the file is another one, though the picture is that of the shorter id,
which other sets have; `dermedge audit` knows both as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from train.data.published import UNPACK, Part, PublishedSet, one_hot
from train.data.reader import Format
from train.data.table import Table
from train.data.vocabulary import CODES

NAME = "isic2019"
COLUMNS = {
    code: CODES[code] for code in ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
}
SPLITS = {"Training": "train", "Test": "test"}
_FACTS = {"age": "age_approx", "sex": "sex", "site": "anatom_site_general"}


def recognises(path: Path) -> bool:
    return any((path / f"ISIC_2019_{part}_Input").is_dir() for part in SPLITS)


def read(root: Path, classes: Sequence[str] | None = None) -> Table:
    found = PublishedSet(NAME, root)
    for part, split in SPLITS.items():
        data = found.folder(f"ISIC_2019_{part}_Input")
        if data is not None:
            found.add(_part(found, part, split, data))
    return found.table(tuple(COLUMNS.values()), classes, UNPACK)


def _part(found: PublishedSet, part: str, split: str, data: Path) -> Part:
    name = f"ISIC_2019_{part}_GroundTruth.csv"
    truth = found.file(name)
    labels = None
    if truth is not None:
        rows = found.rows(truth, "image", tuple(code.lower() for code in COLUMNS))
        labels = found.labels(truth, rows, one_hot(COLUMNS))
    facts = _FACTS | ({"lesion": "lesion_id"} if split == "train" else {})
    metadata = (f"ISIC_2019_{part}_Metadata.csv",)
    return Part(
        split,
        data.name,
        found.files(data),
        name,
        labels,
        facts=found.metadata(split, metadata, "image", facts),
    )


FORMAT = Format(
    "ISIC 2019",
    "a folder with ISIC_2019_Training_Input or ISIC_2019_Test_Input",
    recognises,
    read,
)
