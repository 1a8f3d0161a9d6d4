"""Names every overlap between data sets, and between the published splits of each.

    dermedge audit isic2017
    python train/audit.py isic2017 my_clinic/labels.csv --out overlaps.json

Same id (`_downsampled` or not), listed as duplicates, same patient, same lesion, identical file,
same picture: the last is found by content, whatever the file is called and however it was resized,
recompressed or mirrored.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from runtime.command import Verb
from runtime.errors import UsageError
from train import audit_screen
from train.data import phash
from train.data.fingerprints import Fingerprints, default_cache
from train.data.listed import DuplicateList, lists_beside, read_list, tie
from train.data.open_dataset import open_dataset
from train.data.overlaps import Overlap, find_between, find_within
from train.data.table import Table

SCHEMA = 1
FOUND = 1  # exit code with --strict

_EPILOG = """\b
Examples:
  dermedge audit isic2017
  dermedge audit isic2017 my_clinic/labels.csv --out overlaps.json
  dermedge audit train.csv test.csv --strict      # in CI: exit code 1 on any overlap
  dermedge audit isic2019 isic2020 --duplicates twins.csv

A list of duplicates has the header image_name_1,image_name_2. ISIC_2020_Training_Duplicates.csv and
a duplicates.csv of your own are found in the folder of a set, and hold for all sets that a command
is given: folds keep such images together, and evaluate refuses them.
"""


@dataclass(frozen=True)
class Comparison:
    a: str
    b: str
    a_size: int
    b_size: int
    overlaps: tuple[Overlap, ...]


@dataclass(frozen=True)
class Audit:
    tables: tuple[Table, ...]
    names: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    repeats: dict[str, tuple[Overlap, ...]]
    lists: tuple[DuplicateList, ...]

    @property
    def clean(self) -> bool:
        return not any(c.overlaps for c in self.comparisons)

    def as_dict(self) -> dict[str, Any]:
        sets = [
            {
                "name": name,
                "digest": table.digest,
                "samples": len(table),
                "classes": table.counts(),
                "splits": {split: len(table.where(split=split)) for split in table.splits},
                "warnings": list(table.warnings),
            }
            for name, table in zip(self.names, self.tables, strict=True)
        ]
        return {
            "schema": SCHEMA,
            "method": {
                "hash_distance": phash.HASH_DISTANCE,
                "thumbnail_correlation": phash.THUMB_CORRELATION,
                "detail_correlation": phash.DETAIL_CORRELATION,
            },
            "sets": sets,
            "duplicate_lists": [
                {"file": str(d.file), "pairs": len(d.pairs), "images_here": d.known(self.tables)}
                for d in self.lists
            ],
            "comparisons": [
                {"a": c.a, "b": c.b, "overlaps": [o.as_dict() for o in c.overlaps]}
                for c in self.comparisons
            ],
            "repeats": {name: [o.as_dict() for o in r] for name, r in self.repeats.items()},
        }


def audit(
    tables: Sequence[Table],
    names: Sequence[str],
    lists: Sequence[DuplicateList] = (),
    *,
    store: Fingerprints | None = None,
    console: Console | None = None,
) -> Audit:
    """Compares the splits of every two tables and those of each, and looks for repeats in each."""
    store = Fingerprints() if store is None else store
    tables = tie(tables, lists)
    comparisons: list[Comparison] = []
    repeats: dict[str, tuple[Overlap, ...]] = {}
    with _progress(console) as bar:
        images = [s.image for table in tables for s in table]
        task = bar.add_task("reading images", total=len(images))
        store.of(images, lambda done, _: bar.update(task, completed=done))
        couples = list(itertools.combinations(range(len(tables)), 2))
        task = bar.add_task("comparing", total=len(tables) + len(couples))
        for name, table in zip(names, tables, strict=True):
            within = find_within(table, store=store)
            for (one, other), found in within.splits.items():
                parts = _part(name, table, one), _part(name, table, other)
                comparisons.append(_comparison(*parts, found))
            repeats[name] = tuple(within.repeats)
            bar.advance(task)
        for i, j in couples:
            for (one, other), found in find_between(tables[i], tables[j], store=store).items():
                parts = _part(names[i], tables[i], one), _part(names[j], tables[j], other)
                comparisons.append(_comparison(*parts, found))
            bar.advance(task)
    return Audit(tuple(tables), tuple(names), tuple(comparisons), repeats, tuple(lists))


def _part(name: str, table: Table, split: str) -> tuple[str, int]:
    """What one published split is called, and how many images it has."""
    shown = f"{name} [{split or 'no split'}]" if any(table.splits) else name
    return shown, len(table.where(split=split))


def _comparison(a: tuple[str, int], b: tuple[str, int], found: Sequence[Overlap]) -> Comparison:
    return Comparison(a[0], b[0], a[1], b[1], tuple(found))


@contextmanager
def _progress(console: Console | None) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=console is None) as bar:
        yield bar


def _names(paths: Sequence[Path]) -> list[str]:
    """Short names that still tell the sets apart, even where two files are called labels.csv."""
    short = [path.resolve().name for path in paths]
    return [s if short.count(s) == 1 else str(p) for s, p in zip(short, paths, strict=True)]


@click.command(cls=Verb, epilog=_EPILOG)
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write everything that was found as JSON.",
)
@click.option(
    "--duplicates",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A list of ids that are the same picture. May be repeated.",
)
@click.option("--strict", is_flag=True, help="Exit with code 1 where there is an overlap.")
@click.option("--show", type=click.IntRange(0), default=20, show_default=True, help="Lines a pair.")
@click.option(
    "--cache/--no-cache",
    default=True,
    show_default=True,
    help="Remember images that were read in ~/.cache/dermedge.",
)
def command(
    data: tuple[Path, ...],
    out: Path | None,
    duplicates: tuple[Path, ...],
    strict: bool,
    show: int,
    cache: bool,
) -> None:
    """Name every overlap between data sets, and between the splits of each.

    DATA is the folder of a published set (ISIC 2016 to 2020, HAM10000, PH2), a CSV file with the
    columns image and label, or a folder with such a file called dataset.csv or labels.csv.
    """
    if len({path.resolve() for path in data}) < len(data):
        raise UsageError(
            "A data set is named twice.",
            got=", ".join(map(str, data)),
            expected="different data sets",
            remedy="One is enough to compare its own splits.",
        )
    tables = [open_dataset(path) for path in data]
    store = Fingerprints(default_cache() if cache else None)
    lists = _lists(data, duplicates)
    result = audit(tables, _names(data), lists, store=store, console=Console(stderr=True))
    audit_screen.show(result, Console(), show)
    if out is not None:
        _write(result, out)
        click.echo(f"\nwritten to {out}")
    if strict and not result.clean:
        click.get_current_context().exit(FOUND)


def _lists(data: Sequence[Path], named: Sequence[Path]) -> list[DuplicateList]:
    found = [*map(read_list, named), *(each for path in data for each in lists_beside(path))]
    return list({each.file.resolve(): each for each in found}.values())


def _write(result: Audit, out: Path) -> None:
    text = json.dumps(result.as_dict(), indent=2, ensure_ascii=False)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n", encoding="utf-8")
    except OSError as exc:
        raise UsageError(f"Cannot write {out}.", got=exc.strerror or exc) from exc


if __name__ == "__main__":
    command()
