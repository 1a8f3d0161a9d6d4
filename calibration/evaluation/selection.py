"""Which images are evaluated: labels as the bundle calls them, and none that it may have seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from calibration.label_map import class_of
from runtime.bundle import Bundle
from runtime.errors import UsageError
from train.data.table import Sample, Table

ONLY_PREDICTIONS = "--predictions-only still writes what the bundle says of every image."


@dataclass(frozen=True)
class Selection:
    """A table for each bundle, without an image in common, and what was left out and why."""

    parts: tuple[Table, ...]
    classes: tuple[str, ...]
    held_out: bool  # whether only images kept from the bundle's training were taken
    left_out: dict[str, int]

    @cached_property
    def table(self) -> Table:
        return _joined([sample for part in self.parts for sample in part], self.parts[0].name)

    @cached_property
    def known(self) -> Table:
        """Images of the bundle's classes: what figures can be computed from."""
        samples = [s for s in self.table if s.label in self.classes]
        return Table.of(self.table.name, samples, self.classes)

    @cached_property
    def strangers(self) -> Table:
        """Images with a label that the bundle does not know."""
        samples = [s for s in self.table if s.label is not None and s.label not in self.classes]
        return _joined(samples, self.table.name)


def join(tables: Sequence[Table]) -> Table:
    samples = [sample for table in tables for sample in table]
    return _joined(samples, "+".join(dict.fromkeys(table.name for table in tables)))


def rename_labels(table: Table, names: Mapping[str, str], classes: Sequence[str]) -> Table:
    """Labels as the bundle calls its classes: as told by `names`, else whatever their case."""
    found = sorted({s.label for s in table if s.label is not None})
    for old, new in names.items():
        if old not in found or new not in classes:
            raise UsageError(
                f"--map {old}={new} cannot be followed.",
                got=f"labels {', '.join(found) or 'none'}; classes {', '.join(classes)}",
                expected="LABEL=CLASS, a label of the data and a class of the bundle",
            )
    samples = [replace(s, label=class_of(s.label, names, classes)) for s in table]
    return _joined(samples, table.name)


def choose(
    table: Table, bundles: Sequence[Bundle], split: str | None, every_image: bool
) -> Selection:
    """The images of the split that have a label; of a fold's bundle those it held out.

    Labels that no class has were in no training: the first bundle is asked about all of them.
    """
    left_out: dict[str, int] = {}
    classes = bundles[0].classes
    strange = [s for s in table if s.label is not None and s.label not in classes]
    strange = [s for s in strange if split is None or s.split in ("", split)]
    mine = [s for s in table if s.label is None or s.label in classes]
    chosen = [s for s in mine if split is None or s.split == split]
    left_out["in another split"] = len(table) - len(chosen) - len(strange)
    if not chosen and not strange:
        splits = ", ".join(name or "no split" for name in table.splits)
        raise UsageError(
            f"{table.name} has no image in the split {split!r}.",
            got=splits or "no images at all",
            expected="train, validation or test, as the publisher or your table names them",
            remedy="Leave --split out to evaluate all images.",
        )
    held_out = [set(bundle.provenance.held_out) for bundle in bundles]
    here = {s.id for s in chosen}
    restrict = len(bundles) > 1 or (bool(held_out[0] & here) and not every_image)
    if restrict:
        parts = [[s for s in chosen if s.id in ids] for ids in held_out]
        left_out["not held out from training"] = len(chosen) - sum(len(part) for part in parts)
    else:
        parts = [chosen]
    parts[0] = [*parts[0], *strange]
    parts_named = tuple(_joined(part, table.name) for part in parts)
    return Selection(
        parts_named, bundles[0].classes, restrict, {k: n for k, n in left_out.items() if n}
    )


def check_enough(selection: Selection, positive: Sequence[str]) -> None:
    """Figures need both kinds of images; that is said before hours are spent on judging."""
    known = selection.known
    hits = sum(s.label in positive for s in known)
    if 0 < hits < len(known):
        return
    counts = ", ".join(f"{n} {name}" for name, n in selection.table.counts().items() if n)
    kinds = f"images of {' or '.join(positive)}, and others of {', '.join(selection.classes)}"
    labelled = any(s.label is not None for s in selection.table)
    remedy = ONLY_PREDICTIONS
    if labelled and not len(known):
        remedy = f"Say which label is which class with --map LABEL=CLASS. {remedy}"
    raise UsageError(
        "There is nothing to compute figures from: "
        + ("no image has a label." if not labelled else "they need both kinds of images."),
        got=counts or "no images",
        expected=kinds,
        remedy=remedy,
    )


def check_alike(bundles: Sequence[Bundle]) -> None:
    """Folds can be pooled where their scores mean the same and no image was kept from two."""
    first = bundles[0]
    if len(bundles) == 1:
        return
    for other in bundles[1:]:
        for field in ("classes", "positive"):
            _same(field, getattr(first, field), getattr(other, field))
        _same("decision.score", first.decision.score, other.decision.score)
    seen: set[str] = set()
    for bundle in bundles:
        ids = set(bundle.provenance.held_out)
        if not ids or seen & ids:
            raise UsageError(
                "--folds takes the bundles of one run's folds.",
                got=f"{bundle.name} fold {bundle.provenance.fold}: "
                + (f"{len(seen & ids)} images held out twice" if ids else "no image held out"),
                expected="bundles made with `dermedge export --fold`, each once",
            )
        seen |= ids


def _same(field: str, one: object, other: object) -> None:
    if one != other:
        raise UsageError(
            f"The bundles of --folds differ in {field}.", got=other, expected=f"{one}, as the first"
        )


def _joined(samples: Sequence[Sample], name: str) -> Table:
    return Table.of(name, samples)
