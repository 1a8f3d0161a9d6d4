"""Names every overlap between data sets, and between the published splits of each.

    dermedge audit isic2017
    python train/audit.py isic2017 my_clinic/labels.csv --out overlaps.json

Same id, same patient, same lesion, identical file, same picture: the last is found by content,
whatever the file is called and however it was resized, recompressed or mirrored.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as Grid

from runtime.command import Verb
from runtime.errors import UsageError
from train.data import phash
from train.data.fingerprints import Fingerprints, default_cache
from train.data.open_dataset import open_dataset
from train.data.overlaps import MEANING, Overlap, find_overlaps, find_within
from train.data.table import Table

SCHEMA = 1
FOUND = 1  # exit code with --strict

_EPILOG = """\b
Examples:
  dermedge audit isic2017
  dermedge audit isic2017 my_clinic/labels.csv --out overlaps.json
  dermedge audit train.csv test.csv --strict      # in CI: exit code 1 on any overlap
"""


@dataclass(frozen=True)
class Comparison:
    a: str
    b: str
    overlaps: tuple[Overlap, ...]


@dataclass(frozen=True)
class Audit:
    tables: tuple[Table, ...]
    names: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    repeats: dict[str, tuple[Overlap, ...]]

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
            "comparisons": [
                {"a": c.a, "b": c.b, "overlaps": [o.as_dict() for o in c.overlaps]}
                for c in self.comparisons
            ],
            "repeats": {name: [o.as_dict() for o in r] for name, r in self.repeats.items()},
        }


def audit(
    tables: Sequence[Table],
    names: Sequence[str],
    *,
    store: Fingerprints | None = None,
    console: Console | None = None,
) -> Audit:
    """Compares every two tables and every two splits of each, and looks for repeats in each."""
    store = Fingerprints() if store is None else store
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
                a, b = (f"{name} [{split or 'no split'}]" for split in (one, other))
                comparisons.append(Comparison(a, b, tuple(found)))
            repeats[name] = tuple(within.repeats)
            bar.advance(task)
        for i, j in couples:
            between = tuple(find_overlaps(tables[i], tables[j], store=store))
            comparisons.append(Comparison(names[i], names[j], between))
            bar.advance(task)
    return Audit(tuple(tables), tuple(names), tuple(comparisons), repeats)


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


def _summary(result: Audit) -> Grid:
    grid = Grid(title="Overlaps: how often the same …")
    grid.add_column("between", no_wrap=True)
    for text in MEANING.values():
        grid.add_column(text.split()[-1], justify="right")
    for c in result.comparisons:
        count = Counter(o.kind for o in c.overlaps)
        cells = [f"[bold red]{count[kind]}[/]" if count[kind] else "0" for kind in MEANING]
        grid.add_row(escape(f"{c.a}\n{c.b}"), *cells)
    return grid


def _listing(comparison: Comparison, show: int) -> Iterator[str]:
    yield f"\n{comparison.a} and {comparison.b}:"
    for o in comparison.overlaps[:show]:
        detail = f"  ({o.detail})" if o.detail else ""
        yield f"  {MEANING[o.kind]}: {o.a_id} = {o.b_id}{detail}"
    if len(comparison.overlaps) > show:
        yield f"  … and {len(comparison.overlaps) - show} more; --out FILE writes them all"


def _print(result: Audit, console: Console, show: int) -> None:
    for name, table in zip(result.names, result.tables, strict=True):
        counts = ", ".join(f"{count} {label}" for label, count in table.counts().items())
        click.echo(f"{name}: {len(table)} samples ({counts})")
        for warning in table.warnings:
            click.echo(f"  note: {warning}")
    if result.comparisons:
        console.print(_summary(result))
    for comparison in result.comparisons:
        if comparison.overlaps:
            for line in _listing(comparison, show):
                click.echo(line)
    for name, repeats in result.repeats.items():
        if repeats:
            count = "one pair" if len(repeats) == 1 else f"{len(repeats)} pairs"
            click.echo(
                f"\n{name}: {count} of images that show the same picture within a split. "
                "Grouped folds keep them together."
            )
    if result.clean:
        click.echo("No overlaps.")


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
@click.option("--strict", is_flag=True, help="Exit with code 1 where there is an overlap.")
@click.option("--show", type=click.IntRange(0), default=20, show_default=True, help="Lines a pair.")
@click.option(
    "--cache/--no-cache",
    default=True,
    show_default=True,
    help="Remember images that were read in ~/.cache/dermedge.",
)
def command(data: tuple[Path, ...], out: Path | None, strict: bool, show: int, cache: bool) -> None:
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
    result = audit(tables, _names(data), store=store, console=Console(stderr=True))
    _print(result, Console(), show)
    if out is not None:
        _write(result, out)
        click.echo(f"\nwritten to {out}")
    if strict and not result.clean:
        click.get_current_context().exit(FOUND)


def _write(result: Audit, out: Path) -> None:
    text = json.dumps(result.as_dict(), indent=2, ensure_ascii=False)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n", encoding="utf-8")
    except OSError as exc:
        raise UsageError(f"Cannot write {out}.", got=exc.strerror or exc) from exc


if __name__ == "__main__":
    command()
