"""What two data sets, or two published splits of one, have in common.

A test set that shares a lesion with the training set measures memory, and the common sets share
thousands. Every overlap is named with both ids, so that it can be looked at and left out.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Literal

from train.data.duplicates import Pair, find_pairs
from train.data.fingerprints import Fingerprints, Progress
from train.data.table import Sample, Table

Kind = Literal["id", "patient", "lesion", "bytes", "phash"]
MEANING: dict[Kind, str] = {
    "id": "same id",
    "patient": "same patient",
    "lesion": "same lesion",
    "bytes": "identical file",
    "phash": "same picture",
}
_DOWNSAMPLED = "_downsampled"  # ISIC 2019 gave older images this ending and a smaller size


@dataclass(frozen=True, slots=True)
class Overlap:
    kind: Kind
    a_id: str
    b_id: str
    detail: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def find_overlaps(
    a: Table,
    b: Table,
    *,
    store: Fingerprints | None = None,
    progress: Progress | None = None,
) -> list[Overlap]:
    """Everything that ties a sample of `a` to one of `b`, by kind and in the order of `a`."""
    pairs = find_pairs([s.image for s in a], [s.image for s in b], store=store, progress=progress)
    return _same_names(a, b) + _same_picture(pairs, a, b)


@dataclass(frozen=True)
class Within:
    """`splits`: overlaps between every two published splits, those without any listed too.
    `repeats`: the same picture twice in a split, harmless as long as folds keep both together."""

    splits: dict[tuple[str, str], list[Overlap]]
    repeats: list[Overlap]


def find_within(
    table: Table, *, store: Fingerprints | None = None, progress: Progress | None = None
) -> Within:
    """What the splits of one set share, and what is repeated inside of them."""
    pairs = find_pairs([s.image for s in table], store=store, progress=progress)
    shared: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        shared[table[pair.first].split, table[pair.second].split].append(pair)
    splits = {}
    for one, other in itertools.combinations(table.splits, 2):
        turned = [replace(p, first=p.second, second=p.first) for p in shared[other, one]]
        pictures = _same_picture([*shared[one, other], *turned], table, table)
        splits[one, other] = _same_names(table.where(split=one), table.where(split=other))
        splits[one, other] += pictures
    inside = [pair for split in table.splits for pair in shared[split, split]]
    return Within(splits, _same_picture(inside, table, table))


def _same_names(a: Table, b: Table) -> list[Overlap]:
    found = _same_id(a, b)
    found += _same_owner("patient", a, b, lambda s: s.patient)
    return found + _same_owner("lesion", a, b, lambda s: s.lesion)


def _same_id(a: Table, b: Table) -> list[Overlap]:
    there = {_plain(s.id): s for s in b}
    found = []
    for s in a:
        other = there.get(_plain(s.id))
        if other is not None:
            found.append(Overlap("id", s.id, other.id, _labels(s, other)))
    return found


def _plain(name: str) -> str:
    return name.removesuffix(_DOWNSAMPLED)


def _same_owner(
    kind: Kind, a: Table, b: Table, owner: Callable[[Sample], str | None]
) -> list[Overlap]:
    """One line a patient or lesion, however many pictures each side has of it."""
    here, there = _by(a, owner), _by(b, owner)
    return [
        Overlap(
            kind,
            here[name][0].id,
            there[name][0].id,
            f"{name}: {len(here[name])} and {len(there[name])} images",
        )
        for name in here
        if name in there
    ]


def _by(table: Iterable[Sample], owner: Callable[[Sample], str | None]) -> dict[str, list[Sample]]:
    groups: dict[str, list[Sample]] = defaultdict(list)
    for s in table:
        name = owner(s)
        if name is not None:
            groups[name].append(s)
    return groups


def _same_picture(pairs: Iterable[Pair], a: Table, b: Table) -> list[Overlap]:
    found = []
    for pair in pairs:
        first, second = a[pair.first], b[pair.second]
        notes = [] if pair.identical else [f"likeness {pair.likeness:.2f}"]
        if pair.mirrored:
            notes.append("mirrored or turned")
        notes.append(_labels(first, second))
        kind: Kind = "bytes" if pair.identical else "phash"
        found.append(Overlap(kind, first.id, second.id, "; ".join(n for n in notes if n)))
    return sorted(found, key=lambda o: o.kind)  # stable: the order of the lists stays


def _labels(a: Sample, b: Sample) -> str:
    """Worth a word only where the two disagree, which makes one of the two labels wrong."""
    if a.label == b.label or a.label is None or b.label is None:
        return ""
    return f"labels differ: {a.label}, {b.label}"
