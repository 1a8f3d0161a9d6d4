"""One door to every data set: says what lies at a path and reads it.

A further format is one file with a `Format`, and one line here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runtime.errors import UsageError
from train.data import isic2017, own_csv
from train.data.reader import Format
from train.data.table import Table

FORMATS: tuple[Format, ...] = (
    isic2017.FORMAT,
    own_csv.FILE,
    own_csv.FOLDER,
)


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
    for known in FORMATS:
        if known.recognises(path):
            return known.read(path, classes)
    raise UsageError(
        f"{path} is not a data set in a known format.",
        got=_glance(path),
        expected=looked_for,
        remedy="Name the folder that holds these, or describe your images in a CSV file.",
    )


def _glance(path: Path) -> str:
    if path.is_file():
        return f"a file {path.name}"
    names = sorted(p.name for p in path.iterdir())
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"a folder with {', '.join(names[:5])}{more}" if names else "an empty folder"
