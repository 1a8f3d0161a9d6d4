"""Which images a bundle's networks were trained on, where its training set is met again.

A bundle knows the digests of its training sets, not their images. So whatever training may have
been given of the data at hand is compared with those digests, and then its ids are known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from calibration.label_map import class_of
from runtime.bundle import Bundle
from train.data.own_csv import FOLDER_NAMES
from train.data.table import Sample, Table

ANYBODYS = {Path(name).stem for name in FOLDER_NAMES}  # names that say nothing


@dataclass(frozen=True)
class TrainingSets:
    """Everything of some data that may have been a training set.

    `told`: what a user says that a bundle was trained on, which is believed where its digest is
    another: it may be another copy of the same images.
    """

    parts: tuple[Table, ...]
    told: tuple[Table, ...] = ()

    @classmethod
    def of(
        cls, tables: Sequence[Table], classes: Sequence[str], told: Sequence[Table] = ()
    ) -> TrainingSets:
        """`tables` are as their readers gave them, before labels were mapped or images left out."""
        parts = [*_parts(tables, classes)]
        if told:
            parts += [*_parts(told, classes), *_parts([*tables, *told], classes)]
        return cls(tuple(parts), tuple(told))

    def recognised(self, spec: Bundle) -> list[Table]:
        """Those that the bundle was trained on. Only what has the right size is read and hashed."""
        digests = {data.sha256 for data in spec.provenance.data}
        sizes = {data.images for data in spec.provenance.data}
        fitting = (part for part in self.parts if len(part) in sizes or 0 in sizes)
        found = {part.digest: part for part in reversed([*fitting]) if part.digest in digests}
        return [*found.values()]

    def seen(self, spec: Bundle) -> list[Table]:
        """What the networks saw, as far as it is here: recognised, or told by a user."""
        found = [*self.recognised(spec), *self._believed(spec)]
        held_out = frozenset(spec.provenance.held_out)
        return [part.select([i for i in part.ids if i not in held_out]) for part in found]

    def missing(self, spec: Bundle) -> list[str]:
        """Training sets that images could not be compared with."""
        here = {part.digest for part in self.recognised(spec)}
        lost = [data for data in spec.provenance.data if data.sha256 not in here]
        if len(lost) <= len(self._believed(spec)):  # other copies of these, as a user says
            return []
        return [f"{data.name} ({data.images:,} images)" for data in lost]

    def _believed(self, spec: Bundle) -> list[Table]:
        """What a user says was trained on, and no digest confirms."""
        known = {sample.image for part in self.recognised(spec) for sample in part}
        given = [Table.of(t.name, [s for s in t if s.split != "test"]) for t in self.told]
        return [table for table in given if not known & {s.image for s in table}]

    def seen_ids(self, spec: Bundle) -> frozenset[str]:
        """What the networks saw of the training sets that are recognised."""
        ids = frozenset(name for part in self.recognised(spec) for name in part.ids)
        return ids - frozenset(spec.provenance.held_out)


def same_name(table: Table, bundles: Sequence[Bundle]) -> bool:
    """Whether a bundle was trained on a set called like this one, which may have changed since.

    Training leaves a published test split aside, so its images are above suspicion.
    """
    trained = {n for b in bundles for d in b.provenance.data for n in d.name.lower().split("+")}
    here = {sample.dataset.lower() for sample in table if sample.split != "test"}
    return bool((trained - ANYBODYS) & here)


def _parts(tables: Sequence[Table], classes: Sequence[str]) -> Iterator[Table]:
    """One data set or all of them; whole, without the test split, or one split alone."""
    rows = [_labelled(table, classes) for table in tables]
    if len(rows) > 1:
        rows.append([sample for part in rows for sample in part])
    met: set[tuple[str, ...]] = set()
    for samples in rows:
        splits = dict.fromkeys(s.split for s in samples)
        parts = [samples, [s for s in samples if s.split != "test"]]
        parts += [[s for s in samples if s.split == split] for split in splits]
        for part in parts:
            ids = tuple(s.id for s in part)
            if part and ids not in met and len(set(ids)) == len(ids):
                met.add(ids)
                yield Table.of("training", part)


def _labelled(table: Table, classes: Sequence[str]) -> list[Sample]:
    """Training reads labels as the recipe spells its classes, whatever their case."""
    labelled = (s for s in table if s.label is not None)
    return [replace(s, label=class_of(s.label, {}, classes)) for s in labelled]
