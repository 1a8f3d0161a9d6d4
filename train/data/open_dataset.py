"""One door to every data set: says what lies at a path and reads it.

A further format is one file with a `Format`, and one line here. What is published is looked for
first: its folders have names that nobody else gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runtime.errors import UsageError
from train.data import (
    ham10000,
    isic2016,
    isic2017,
    isic2018,
    isic2019,
    isic2020,
    own_csv,
    ph2,
)
from train.data.listed import DuplicateList, lists_beside, tie
from train.data.reader import Format
from train.data.table import Table

PUBLISHED: tuple[Format, ...] = (
    isic2016.FORMAT,
    isic2017.FORMAT,
    isic2018.FORMAT,
    isic2019.FORMAT,
    isic2020.FORMAT,
    ham10000.FORMAT,
    ph2.FORMAT,
)
FORMATS = (*PUBLISHED, own_csv.FILE, own_csv.FOLDER)


def is_dataset(path: Path) -> bool:
    return any(known.recognises(path) for known in FORMATS)


def open_dataset(path: Path, classes: Sequence[str] | None = None) -> Table:
    """The table of the data set at `path`; `classes` fixes their order, which is the logits'."""
    looked_for = "\n            ".join(f"{f.name}: {f.looks_for}" for f in FORMATS)
    if not path.exists():
        raise UsageError(
            f"There is no data set at {path}.",
            got="no such file or folder",
            expected=looked_for,
            remedy="Check the path.",
        )
    published = [known.name for known in PUBLISHED if known.recognises(path)]
    if len(published) > 1:
        raise UsageError(
            f"{path} holds more than one data set.",
            got=" and ".join(published),
            expected="one, so that none is passed over",
            remedy="Put each into a folder of its own.",
        )
    for known in FORMATS:
        if known.recognises(path):
            return known.read(path, classes)
    raise UsageError(
        f"{path} is not a data set in a known format.",
        got=_glance(path),
        expected=looked_for,
        remedy="Name the folder that holds these, or describe your images in a CSV file.",
    )


def open_datasets(
    paths: Sequence[Path], classes: Sequence[str] | None = None, lists: Sequence[DuplicateList] = ()
) -> list[Table]:
    """Several at once: what is listed as the same beside one of them is so in the others too."""
    tables = [open_dataset(path, classes) for path in paths]
    return tie(tables, [*lists, *(found for path in paths for found in lists_beside(path))])


def _glance(path: Path) -> str:
    if path.is_file():
        return f"a file {path.name}"
    names = sorted(p.name for p in path.iterdir())
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    tables = [name for name in names if name.lower() in own_csv.FOLDER_NAMES]
    lacking = "".join(f"; {name} has no column image" for name in tables)
    return f"a folder with {', '.join(names[:5])}{more}{lacking}" if names else "an empty folder"
