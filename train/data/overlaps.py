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
from train.data.listed import names_of, plain
from train.data.table import Sample, Table

Kind = Literal["id", "listed", "patient", "lesion", "bytes", "phash"]
MEANING: dict[Kind, str] = {
    "id": "same id",
    "listed": "listed duplicate",
    "patient": "same patient",
    "lesion": "same lesion",
    "bytes": "identical file",
    "phash": "same picture",
}


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
    return same_names(a, b) + _same_picture(pairs, a, b)


def find_between(
    a: Table, b: Table, *, store: Fingerprints | None = None
) -> dict[tuple[str, str], list[Overlap]]:
    """The same for each published split of `a` and each of `b`."""
    shared = _by_split(find_pairs([s.image for s in a], [s.image for s in b], store=store), a, b)
    return {
        (one, other): same_names(a.where(split=one), b.where(split=other))
        + _same_picture(shared[one, other], a, b)
        for one, other in itertools.product(a.splits, b.splits)
    }


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
    shared = _by_split(pairs, table, table)
    splits = {}
    for one, other in itertools.combinations(table.splits, 2):
        turned = [replace(p, first=p.second, second=p.first) for p in shared[other, one]]
        pictures = _same_picture([*shared[one, other], *turned], table, table)
        splits[one, other] = same_names(table.where(split=one), table.where(split=other))
        splits[one, other] += pictures
    inside = [pair for split in table.splits for pair in shared[split, split]]
    named = [o for split in table.splits for o in _named_twice(table.where(split=split))]
    repeats = {(o.a_id, o.b_id): o for o in [*named, *_same_picture(inside, table, table)]}
    return Within(splits, list(repeats.values()))


def _by_split(pairs: Iterable[Pair], a: Table, b: Table) -> dict[tuple[str, str], list[Pair]]:
    found: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        found[a[pair.first].split, b[pair.second].split].append(pair)
    return found


def same_names(a: Table, b: Table) -> list[Overlap]:
    """What can be told without looking at a picture."""
    found = _same_name(a, b)
    found += _same_owner("patient", a, b, lambda s: s.patient)
    return found + _same_owner("lesion", a, b, lambda s: s.lesion)


def _same_name(a: Iterable[Sample], b: Iterable[Sample]) -> list[Overlap]:
    """By id, and where that is another one, by a list of duplicates."""
    there: dict[str, list[Sample]] = defaultdict(list)
    for s in b:
        for name in names_of(s):
            there[name].append(s)
    found: dict[tuple[str, str], Overlap] = {}
    for s in a:
        for other in (each for name in names_of(s) for each in there.get(name, ())):
            kind: Kind = "id" if plain(s.id) == plain(other.id) else "listed"
            found.setdefault((s.id, other.id), Overlap(kind, s.id, other.id, _labels(s, other)))
    return sorted(found.values(), key=lambda o: o.kind)  # stable, as below


def _named_twice(table: Table) -> list[Overlap]:
    place = {s.id: n for n, s in enumerate(table)}
    return [o for o in _same_name(table, table) if place[o.a_id] < place[o.b_id]]


def _same_owner(
    kind: Kind, a: Table, b: Table, owner: Callable[[Sample], str | None]
) -> list[Overlap]:
    """Every picture of a patient or lesion is named once, not with each of the other side."""
    here, there = _by(a, owner), _by(b, owner)
    found = []
    for name in (each for each in here if each in there):
        mine, theirs = ([s.id for s in side[name]] for side in (here, there))
        detail = f"{name}: {len(mine)} and {len(theirs)} images"
        for place in range(max(len(mine), len(theirs))):
            first, second = (ids[min(place, len(ids) - 1)] for ids in (mine, theirs))
            found.append(Overlap(kind, first, second, detail))
    return found


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
