"""Which images a bundle's networks were trained on, where its training set is met again.

A bundle knows the digests of its training sets, not their images. So the digests of all that
training may have been given of the data at hand are computed, and the ids behind each are noted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from calibration.label_map import class_of
from runtime.bundle import Bundle
from train.data.table import Sample, Table

TrainingSets = Mapping[str, frozenset[str]]  # by digest: the ids of the images


def training_sets(tables: Sequence[Table], classes: Sequence[str]) -> TrainingSets:
    """`tables` are as their readers gave them, before labels were mapped or images left out."""
    return {part.digest: frozenset(part.ids) for part in _parts(tables, classes)}


def recognised(sets: TrainingSets, spec: Bundle) -> bool:
    return any(data.sha256 in sets for data in spec.provenance.data)


def seen_ids(sets: TrainingSets, spec: Bundle) -> frozenset[str]:
    """What the networks saw of the training sets that are recognised."""
    known = (sets[data.sha256] for data in spec.provenance.data if data.sha256 in sets)
    return frozenset[str]().union(*known) - frozenset(spec.provenance.held_out)


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
            if part and ids not in met:
                met.add(ids)
                yield Table.of("training", part)


def _labelled(table: Table, classes: Sequence[str]) -> list[Sample]:
    """Training reads labels as the recipe spells its classes, whatever their case."""
    labelled = (s for s in table if s.label is not None)
    return [replace(s, label=class_of(s.label, {}, classes)) for s in labelled]
