"""The data sets that a training is given: labelled ones, and ones that only teach the segmenter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from runtime.errors import UsageError
from train.data.open_dataset import open_datasets
from train.data.table import Table
from train.data.vocabulary import as_one_of
from train.recipe import Recipe


def open_labelled(paths: tuple[Path, ...], recipe: Recipe, needs_masks: bool) -> Table:
    """Training images only: what a publisher set aside for testing stays aside."""
    tables = open_datasets(paths, recipe.classes)
    samples = [s for table in tables for s in table if s.split != "test" and s.label is not None]
    table = Table.of("+".join(t.name for t in tables), samples, recipe.classes)
    for warning in (w for t in tables for w in t.warnings):
        click.echo(f"note: {warning}", err=True)
    without = [s.id for s in samples if s.mask is None]
    if without and recipe.segmenter is not None and needs_masks:
        raise UsageError(
            "The segmenter learns from masks, and some images have none.",
            got=f"{len(without)} of {len(samples)} without a mask, the first {without[0]}",
            expected="a mask for every image",
            remedy="--masks DATA, with a data set that has masks",
        )
    few = {c: n for c, n in table.counts().items() if n < recipe.folds}
    if few:
        raise UsageError(
            "There are too few images of a class to cross-validate.",
            got=", ".join(f"{n} of {c}" for c, n in few.items()),
            expected=f"at least {recipe.folds} of each, one a fold",
            remedy="more images of it, or a recipe with fewer folds or other classes",
        )
    return table


def open_drawn(paths: tuple[Path, ...], recipe: Recipe) -> list[Table]:
    """What of data sets that are given for their masks has one, with labels as training reads them:
    evaluation then recognises what the segmenter has seen."""
    if paths and recipe.segmenter is None:
        raise UsageError(
            "The recipe has no segmenter that could learn from masks.",
            got="--masks",
            remedy="leave --masks out",
        )
    found = []
    for each in open_datasets(paths):
        masked = [s for s in each if s.mask is not None and s.split != "test"]
        labels = [s.label and as_one_of(s.label, recipe.classes) for s in masked]
        pairs = zip(masked, labels, strict=True)
        found.append(Table.of(each.name, [replace(s, label=label) for s, label in pairs]))
    return found


def outlined_in(table: Table, drawn: list[Table], recipe: Recipe) -> Table:
    """Every image that has a mask: of the data itself, and of the sets that are given for that.

    Those are judged by nobody, so their labels are left behind.
    """
    known = set(table.ids)
    found = [sample for each in drawn for sample in each]
    more = [replace(sample, label=None) for sample in found if sample.id not in known]
    outlined = [*(sample for sample in table if sample.mask is not None), *more]
    if len(found) > len(more):
        click.echo(f"note: {len(found) - len(more)} images of --masks are in --data too", err=True)
    if len(outlined) < recipe.folds:
        raise UsageError(
            "There are too few masks for the segmenter to learn from.",
            got=f"{len(outlined)} images with a mask",
            expected=f"at least {recipe.folds}, one a fold",
            remedy="--masks DATA, with a data set that has more",
        )
    return Table.of("+".join(each.name for each in drawn), outlined, recipe.classes)
