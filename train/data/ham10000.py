"""HAM10000 as published: seven classes, lesions, age, sex, site, and masks of a later paper.

    HAM10000_images_part_1/ISIC_0024306.jpg    HAM10000_images_part_2/…
    HAM10000_metadata[.csv]    lesion_id,image_id,dx,dx_type,age,sex,localization[,dataset]
    HAM10000_segmentations_lesion_tschandl/ISIC_0024306_segmentation.png

Copies hold a part twice, or all images in one folder. Its site is finer than the ISIC sets'.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from train.data.content import listing
from train.data.published import MASKS, PHOTOGRAPHS, Part, PublishedSet, files_in
from train.data.reader import BadRow, Format, Row
from train.data.table import Table
from train.data.vocabulary import CODES

NAME = "ham10000"
DIAGNOSES = {
    code.lower(): CODES[code] for code in ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
}
METADATA = ("HAM10000_metadata.csv", "HAM10000_metadata", "HAM10000_metadata.tab")
_IMAGES = "ham10000_images"
_MASKS = "HAM10000_segmentations_lesion_tschandl"
_FACTS = {"lesion": "lesion_id", "age": "age", "sex": "sex", "site": "localization"}


def recognises(path: Path) -> bool:
    return any(_folders(path)) or any((path / name).is_file() for name in METADATA)


def read(root: Path, classes: Sequence[str] | None = None) -> Table:
    found = PublishedSet(NAME, root)
    folders = list(_folders(root))
    images = found.one_each(
        pair for folder in folders for pair in files_in(found.folder(folder.name), PHOTOGRAPHS)
    )
    table = found.file(*METADATA)
    labels, facts = None, {}
    if table is not None:
        rows = found.rows(table, "image_id", (*_FACTS.values(), "dx"))
        labels = found.labels(table, rows, _label)
        facts = found.facts(table, rows, _FACTS | {"source": "dataset"})
    masks = found.files(found.folder(_MASKS), MASKS, ending="_segmentation")
    place = " and ".join(folder.name for folder in folders) or "HAM10000_images_part_1"
    found.add(Part("", place, images, METADATA[0], labels, masks, masked=True, facts=facts))
    remedy = "Unpack all parts of the images beside the table of metadata."
    return found.table(tuple(DIAGNOSES.values()), classes, remedy)


def _folders(root: Path) -> Iterator[Path]:
    """Archives on the web spell the name in more than one way."""
    for path in listing(root) if root.is_dir() else ():
        if path.is_dir() and path.name.lower().startswith(_IMAGES):
            yield path


def _label(row: Row) -> str:
    dx = row.cells.get("dx", "")
    if dx.lower() not in DIAGNOSES:
        raise BadRow(f"dx is {dx!r}, not one of {', '.join(DIAGNOSES)}")
    return DIAGNOSES[dx.lower()]


FORMAT = Format(
    "HAM10000",
    "a folder with HAM10000_images_part_1 and HAM10000_metadata.csv",
    recognises,
    read,
)
