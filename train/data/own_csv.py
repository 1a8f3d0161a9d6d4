"""Your own images: a CSV file with one line an image.

    image,label,mask,patient,lesion,age,sex,site,source,split,hair,ruler
    pictures/a17.jpg,melanoma,masks/a17.png,p12,l3,54,female,back,room 2,train,1,0

Only `image` and `label` must be there; an empty label is an image without one. Paths are relative
to the CSV file. The id is the `id` column, else the file name without its suffix: not the path,
so that the same picture is recognised when it turns up in another data set.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from runtime.errors import UsageError
from train.data.artefacts import ARTEFACTS, NOTHING_KNOWN
from train.data.facts import age_of, artefacts_of, sex_of
from train.data.reader import BadRow, Format, Problems, Row, header_of, read_rows
from train.data.table import Sample, Table
from train.data.vocabulary import as_one_of

T = TypeVar("T")
REQUIRED = ("image", "label")
OPTIONAL = ("id", "mask", "patient", "lesion", "age", "sex", "site", "source", "split", "dataset")
FOLDER_NAMES = ("dataset.csv", "labels.csv")
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def recognises_file(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in {".csv", ".tsv", ".txt"}


def recognises_folder(path: Path) -> bool:
    return bool(_tables_in(path))


def read_folder(path: Path, classes: Sequence[str] | None = None) -> Table:
    found = _tables_in(path)
    if len(found) > 1:
        raise UsageError(
            f"{path} holds more than one table.",
            got=", ".join(p.name for p in found),
            expected=f"one of {' or '.join(FOLDER_NAMES)}",
            remedy="Name the file instead of the folder.",
        )
    return read(found[0], classes)


def read(path: Path, classes: Sequence[str] | None = None) -> Table:
    header, rows = read_rows(path, REQUIRED)
    problems = Problems(path)
    lines: dict[str, int] = {}
    samples: list[Sample] = []
    for row in rows:
        sample = _sample(path, row, problems)
        if sample is None:
            continue
        first = lines.setdefault(sample.id, row.line)
        if first != row.line:
            problems.add(f"the id {sample.id} again, first in line {first}", row.line)
        samples.append(_with_class(sample, classes, row.line, problems))
    if not rows:
        problems.add("there are no rows below the header")
    _check_spelling(samples, problems)
    problems.raise_if_any(
        expected=f"the columns {', '.join(REQUIRED)}, and where known "
        + ", ".join((*OPTIONAL, *ARTEFACTS)),
        remedy="Correct these lines. Files of the same name need an id column.",
    )
    return Table.of(path.stem, samples, classes, _warnings(header, samples))


def title_of(table: Table, path: Path) -> str:
    """What reports call it: a table called labels.csv by its folder, because there are many."""
    if f"{table.name}.csv" not in FOLDER_NAMES:
        return table.name
    folder = path if path.is_dir() else path.parent
    return folder.resolve().name or table.name


def write(table: Table, path: Path) -> None:
    """Paths below the CSV are written relative to it, so that the folder can be moved."""
    flags = ARTEFACTS if any(s.artefacts != NOTHING_KNOWN for s in table) else ()
    columns = ("id", *REQUIRED, *OPTIONAL[1:])
    base = path.resolve().parent
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((*columns, *flags))
        for s in table:
            values = {name: getattr(s, name) for name in columns}
            for name in ("image", "mask"):
                if values[name] is not None:
                    values[name] = _relative(Path(values[name]).resolve(), base)
            values |= {name: _written(getattr(s.artefacts, name)) for name in flags}
            writer.writerow(["" if value is None else value for value in values.values()])


def _sample(source: Path, row: Row, problems: Problems) -> Sample | None:
    image = _path(source, row, "image", problems)
    if image is None:
        if row.get("image") is None:
            problems.add("no image is named", row.line)
        return None
    return Sample(
        id=row.get("id") or image.stem,
        dataset=row.get("dataset") or source.stem,
        image=image,
        label=row.get("label"),
        split=_split(row, problems),
        mask=_path(source, row, "mask", problems),
        patient=row.get("patient"),
        lesion=row.get("lesion"),
        age=_collected(lambda: age_of(row.get("age")), None, row, problems),
        sex=_collected(lambda: sex_of(row.get("sex")), None, row, problems),
        site=row.get("site"),
        source=row.get("source"),
        artefacts=_collected(lambda: artefacts_of(row), NOTHING_KNOWN, row, problems),
    )


def _path(source: Path, row: Row, column: str, problems: Problems) -> Path | None:
    text = row.get(column)
    if text is None:
        return None
    for spelling in (text, text.replace("\\", "/")):  # tables written on Windows
        path = source.parent / spelling
        if path.is_file():
            return path
    problems.add(f"{column} file {text!r} is not there", row.line)
    return None


def _split(row: Row, problems: Problems) -> str:
    text = row.get("split")
    if text is None:
        return ""
    if text.lower() not in _SPLITS:
        problems.add(f"split is {text!r}, not one of {', '.join(_SPLITS)}", row.line)
    return _SPLITS.get(text.lower(), "")


def _collected(read: Callable[[], T], instead: T, row: Row, problems: Problems) -> T:
    try:
        return read()
    except BadRow as exc:
        problems.add(str(exc), row.line)
        return instead


def _with_class(
    sample: Sample, classes: Sequence[str] | None, line: int, problems: Problems
) -> Sample:
    """Labels match whatever their case: `Melanoma` is no fourth class."""
    if classes is None or sample.label is None:
        return sample
    name = as_one_of(sample.label, classes)
    if name in classes:
        return replace(sample, label=name)
    problems.add(f"label {sample.label!r} is not one of {', '.join(classes)}", line)
    return replace(sample, label=None)


def _check_spelling(samples: Sequence[Sample], problems: Problems) -> None:
    seen: dict[str, str] = {}
    for label in sorted({s.label for s in samples if s.label is not None}):
        other = seen.setdefault(label.lower(), label)
        if other != label:
            problems.add(f"the labels {other!r} and {label!r} differ only in case")


def _warnings(header: Sequence[str], samples: Sequence[Sample]) -> list[str]:
    unknown = [name for name in header if name not in (*REQUIRED, *OPTIONAL, *ARTEFACTS)]
    warnings = [f"columns that are not used: {', '.join(unknown)}"] if unknown else []
    bare = sum(s.label is None for s in samples)
    if bare:
        warnings.append(f"{bare} of {len(samples)} images have no label")
    return warnings


def _written(flag: bool | None) -> int | None:
    return None if flag is None else int(flag)


def _relative(path: Path, base: Path) -> str:
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)


def _tables_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = [p for p in sorted(folder.iterdir()) if p.name.lower() in FOLDER_NAMES]
    return [p for p in found if "image" in header_of(p)]


FILE = Format("own CSV", "a CSV file with the columns image and label", recognises_file, read)
FOLDER = Format(
    "own CSV in a folder",
    f"a folder with {' or '.join(FOLDER_NAMES)} that has a column image",
    recognises_folder,
    read_folder,
)
