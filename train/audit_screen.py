"""What `dermedge audit` prints: the sets, how many images they share, which, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from train.data.overlaps import MEANING, Overlap

if TYPE_CHECKING:
    from train.audit import Audit, Comparison

_COLUMNS = {
    "id": "id", "listed": "listed", "patient": "patient", "lesion": "lesion", "bytes": "file",
    "phash": "picture",
}  # fmt: skip
NEXT = """
Leave the images that a test shares with the training set out of the test, or keep both on one side.
`dermedge train` does so among all that it is given, and `dermedge evaluate` refuses such images."""


def show(result: Audit, console: Console, most: int) -> None:
    for name, table in zip(result.names, result.tables, strict=True):
        counts = ", ".join(f"{count} {label}" for label, count in table.counts().items() if count)
        click.echo(f"{name}: {len(table)} samples ({counts})")
        for warning in table.warnings:
            click.echo(f"  note: {warning}")
    for each in result.lists:
        known = each.known(result.tables)
        click.echo(f"{each.file}: {len(each.pairs)} pairs of duplicates, {known} images are here")
    shared = [c for c in result.comparisons if c.overlaps]
    if shared:
        console.print(_summary(shared))
    for comparison in shared:
        for line in _listing(comparison, most):
            click.echo(line)
    for name, repeats in result.repeats.items():
        if repeats:
            count = len({(o.a_id, o.b_id) for o in repeats})
            click.echo(
                f"\n{name}: {'one pair' if count == 1 else f'{count} pairs'} of images that show "
                "the same picture within a split. Grouped folds keep them together."
            )
    apart = len(result.comparisons) - len(shared)
    if not shared:
        click.echo("No overlaps.")
    elif apart:
        click.echo(f"\nThe other {apart} of {len(result.comparisons)} comparisons: no overlap.")
    if shared:
        click.echo(NEXT)


def _summary(shared: Iterable[Comparison]) -> Grid:
    """Two lines a comparison: how many images of each side are tied to the other."""
    grid = Grid(title="Images with the same … on the other side", title_justify="left")
    grid.add_column("of", overflow="fold")
    for text in ("images", *_COLUMNS.values(), "any"):
        grid.add_column(text, justify="right")
    for c in shared:
        for name, size, ids in (
            (c.a, c.a_size, [(o.kind, o.a_id) for o in c.overlaps]),
            (c.b, c.b_size, [(o.kind, o.b_id) for o in c.overlaps]),
        ):
            tied = {kind: len({i for k, i in ids if k == kind}) for kind in _COLUMNS}
            every = len({i for _, i in ids})
            cells = [f"[bold red]{n}[/]" if n else "0" for n in (*tied.values(), every)]
            grid.add_row(escape(name), str(size), *cells, end_section=name == c.b)
    return grid


def _listing(comparison: Comparison, most: int) -> Iterator[str]:
    """A line a pair, with all that ties the two."""
    yield f"\n{comparison.a} = {comparison.b}:"
    pairs: dict[tuple[str, str], list[Overlap]] = {}
    for o in comparison.overlaps:
        pairs.setdefault((o.a_id, o.b_id), []).append(o)
    for (first, second), ties in list(pairs.items())[:most]:
        kinds = ", ".join(MEANING[o.kind] for o in ties)
        notes = dict.fromkeys(note for o in ties for note in o.detail.split("; ") if note)
        yield f"  {first} = {second}: {kinds}" + (f"  ({'; '.join(notes)})" if notes else "")
    if len(pairs) > most:
        yield f"  … and {len(pairs) - most} more; --out FILE writes them all"
