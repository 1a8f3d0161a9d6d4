"""Folds that keep a patient, a lesion and every copy of a picture on one side.

A fold that shares a lesion with the training set measures memory. Samples are joined into groups
by everything that ties them together, and whole groups are dealt out so that every fold has its
share of each class. The outcome depends on ids, labels, ties and seed, not on the order of rows.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from runtime.errors import InputError, UsageError
from train.data.content import sha256
from train.data.duplicates import find_pairs
from train.data.fingerprints import Fingerprints, Progress
from train.data.listed import names_of
from train.data.table import UNLABELLED, Sample, Table


def _content(sample: Sample) -> str | None:
    try:
        return sha256(sample.image)
    except InputError:
        return None  # what cannot be read is tied to nothing


SAME: dict[str, Callable[[Sample], Iterable[str | None]]] = {
    "id": names_of,  # with the other names that a list of duplicates knows it by
    "patient": lambda sample: [sample.patient],
    "lesion": lambda sample: [sample.lesion],
    "content": lambda sample: [_content(sample)],
}
TIES = (*SAME, "phash")
GROUP_BY = ("id", "patient", "lesion", "phash")  # a copy of a file has the same perceptual hash


def make_folds(
    table: Table,
    k: int,
    seed: int = 0,
    group_by: Sequence[str] = GROUP_BY,
    *,
    store: Fingerprints | None = None,
    progress: Progress | None = None,
) -> dict[str, int]:
    """The fold, 0 to k-1, of every id."""
    groups = make_groups(table, group_by, store=store, progress=progress)
    if not 2 <= k <= len(groups):
        raise UsageError(
            f"{table.name} cannot be split into {k} folds.",
            got=f"{len(table)} samples in {len(groups)} groups that must stay together",
            expected=f"2 to {len(groups)} folds" if len(groups) > 1 else "two groups or more",
            remedy="Ask for fewer folds, or use more data.",
        )
    return _deal(table, groups, [1 / k] * k, seed)


def holdout(
    table: Table,
    fraction: float,
    seed: int = 0,
    group_by: Sequence[str] = GROUP_BY,
    *,
    store: Fingerprints | None = None,
    progress: Progress | None = None,
) -> tuple[Table, Table]:
    """The table in two parts, the second with about `fraction` of every class."""
    if not 0 < fraction < 1:
        raise UsageError(
            "The fraction to hold out leaves one part empty.",
            got=fraction,
            expected="a number between 0 and 1",
            remedy="0.2 is common.",
        )
    groups = make_groups(table, group_by, store=store, progress=progress)
    side = _deal(table, groups, [1 - fraction, fraction], seed)
    parts = [[i for i in table.ids if side[i] == part] for part in (0, 1)]
    return table.select(parts[0]), table.select(parts[1])


def make_groups(
    table: Table,
    group_by: Sequence[str] = GROUP_BY,
    *,
    store: Fingerprints | None = None,
    progress: Progress | None = None,
) -> list[tuple[str, ...]]:
    """Ids that must stay together, each group sorted, the groups too.

    Ties carry over: a patient with two lesions, and another patient's picture that is a copy of
    one of them, are one group. Patients and lesions of the same name in two data sets count as
    the same: joining too much costs some balance, joining too little leaks.
    """
    unknown = [name for name in group_by if name not in TIES]
    if unknown:
        raise UsageError(
            "Samples cannot be grouped by that.",
            got=", ".join(unknown),
            expected=f"some of {', '.join(TIES)}",
        )
    ties: list[tuple[int, int]] = []
    for tie in (name for name in SAME if name in group_by):
        first: dict[str, int] = {}
        named = ((i, value) for i, sample in enumerate(table) for value in SAME[tie](sample))
        ties += [(first.setdefault(value, i), i) for i, value in named if value is not None]
    if "phash" in group_by:
        pairs = find_pairs([s.image for s in table], store=store, progress=progress)
        ties += [(pair.first, pair.second) for pair in pairs]
    members: dict[int, list[str]] = {}
    for name, root in zip(table.ids, _roots(len(table), ties), strict=True):
        members.setdefault(root, []).append(name)
    return sorted(tuple(sorted(group)) for group in members.values())


def _roots(count: int, ties: Iterable[tuple[int, int]]) -> list[int]:
    """Union-find: for every item one representative of all it is tied to."""
    parent = list(range(count))

    def find(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for a, b in ties:
        parent[find(a)] = find(b)
    return [find(item) for item in range(count)]


def _deal(
    table: Table, groups: Sequence[tuple[str, ...]], shares: Sequence[float], seed: int
) -> dict[str, int]:
    """Large groups first, each to the part that is furthest from its share of the classes in it.

    What is minimised is the squared relative excess, summed over classes and parts, so a rare
    class weighs as much as a common one; ties go to the smallest part.
    """
    label = {s.id: UNLABELLED if s.label is None else s.label for s in table}
    classes = sorted(set(label.values()))
    position = {name: c for c, name in enumerate(classes)}
    total = Counter(label.values())
    weight = np.array([1 / total[name] ** 2 for name in classes])
    share = np.asarray(shares, dtype=np.float64)
    held = np.zeros((len(share), len(classes)))
    result: dict[str, int] = {}
    for group in sorted(groups, key=lambda g: (-len(g), _shuffled(seed, g[0]))):
        added = np.bincount([position[label[i]] for i in group], minlength=len(classes))
        cost = (((2 * held + added) * added) * weight).sum(axis=1) / share
        size = held.sum(axis=1) / share
        # Rounded, because equal costs must not be told apart by the last bit of a sum.
        part = min(range(len(share)), key=lambda f: (round(cost[f], 12), round(size[f], 9), f))
        held[part] += added
        result.update(dict.fromkeys(group, part))
    return {i: result[i] for i in table.ids}


def _shuffled(seed: int, name: str) -> str:
    """A random order that belongs to the name, wherever it stands in the table."""
    return hashlib.sha256(f"{seed}\0{name}".encode()).hexdigest()
