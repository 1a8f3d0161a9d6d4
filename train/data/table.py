"""One typed table for every data set: which image, which label, and who it belongs to.

Readers turn a publisher's layout into a `Table`; training, calibration and the audit only ever
see tables, so no other code knows what a data set's files are called. Patient, lesion and mask
stay with the sample because splits must keep a patient's or a lesion's pictures together.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError
from train.data.artefacts import NOTHING_KNOWN, Artefacts
from train.data.content import sha256

UNLABELLED = "unlabelled"  # how `counts` names samples without a label


@dataclass(frozen=True, slots=True)
class Sample:
    id: str
    dataset: str
    image: Path
    label: str | None
    split: str  # "train", "validation", "test" or "": as the publisher split it
    mask: Path | None = None
    patient: str | None = None
    lesion: str | None = None
    age: float | None = None
    sex: str | None = None
    site: str | None = None  # in the publisher's words, which differ between publishers
    source: str | None = None  # the clinic or the part of the collection that it is from
    artefacts: Artefacts = NOTHING_KNOWN
    same_as: tuple[str, ...] = ()  # other ids that the same picture has by a list of duplicates


def metadata(sample: Sample) -> dict[str, object]:
    """What the runtime's metadata encoder may know of a sample: only the fields that are known."""
    fields = {"age": sample.age, "sex": sample.sex, "site": sample.site}
    return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True)
class Table(Sequence[Sample]):
    """Samples with unique ids whose labels are all among `classes`, in the order of the source.

    `warnings` are what the reader noticed but could live with; whoever opens a table prints them.
    """

    name: str
    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        name: str,
        samples: Iterable[Sample],
        classes: Sequence[str] | None = None,
        warnings: Iterable[str] = (),
    ) -> Table:
        """Without `classes` they are the labels found, sorted, so that row order has no say."""
        rows = tuple(samples)
        found = sorted({s.label for s in rows if s.label is not None})
        return cls(name, rows, tuple(found if classes is None else classes), tuple(warnings))

    def __post_init__(self) -> None:
        twice = [i for i, n in Counter(s.id for s in self.samples).items() if n > 1]
        if twice:
            raise InputError(
                f"{self.name}: ids are not unique.",
                got=_some(twice),
                expected="every id once",
                remedy="Remove the repeated rows, or give them ids of their own.",
            )
        strangers = {s.label for s in self.samples if s.label is not None} - set(self.classes)
        if strangers:
            raise InputError(
                f"{self.name}: labels that are not among the classes.",
                got=_some(sorted(strangers)),
                expected=", ".join(self.classes),
                remedy="Correct the labels, or name these classes too.",
            )

    def __len__(self) -> int:
        return len(self.samples)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Table: ...
    def __getitem__(self, index: int | slice) -> Sample | Table:
        if isinstance(index, slice):
            return replace(self, samples=self.samples[index])
        return self.samples[index]

    @cached_property
    def _position(self) -> dict[str, int]:
        return {s.id: i for i, s in enumerate(self.samples)}

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(s.id for s in self.samples)

    @property
    def labels(self) -> tuple[str | None, ...]:
        return tuple(s.label for s in self.samples)

    @property
    def targets(self) -> NDArray[np.int64]:
        """Labels as positions in `classes`; -1 where there is none."""
        code = {name: i for i, name in enumerate(self.classes)}
        values = [-1 if s.label is None else code[s.label] for s in self.samples]
        return np.asarray(values, dtype=np.int64)

    @property
    def splits(self) -> tuple[str, ...]:
        """The published splits that occur, in order of appearance."""
        return tuple(dict.fromkeys(s.split for s in self.samples))

    def where(self, *, split: str | None = None, label: str | None = None) -> Table:
        kept = tuple(
            s
            for s in self.samples
            if (split is None or s.split == split) and (label is None or s.label == label)
        )
        return replace(self, samples=kept)

    def select(self, ids: Iterable[str]) -> Table:
        """The samples with these ids, in the order of `ids`."""
        wanted = tuple(ids)
        missing = [i for i in wanted if i not in self._position]
        if missing:
            raise InputError(
                f"{self.name} does not hold every id asked for.",
                got=f"{len(missing)} unknown: {_some(missing)}",
                expected=f"ids among its {len(self)} samples",
                remedy="Use the data set (and version) that the list of ids was made from.",
            )
        return replace(self, samples=tuple(self.samples[self._position[i]] for i in wanted))

    def with_classes(self, classes: Sequence[str]) -> Table:
        """The same samples under another order of classes, which is the order of the logits."""
        return replace(self, classes=tuple(classes))

    def counts(self) -> dict[str, int]:
        """Samples per class, in the order of `classes`; `unlabelled` only where there are any."""
        seen = Counter(s.label for s in self.samples)
        result = {name: seen[name] for name in self.classes}
        if seen[None]:
            result[UNLABELLED] = seen[None]
        return result

    @cached_property
    def digest(self) -> str:
        """SHA-256 over ids, labels and the images' contents: names a data set in provenance.

        Sorted by id, so the order of rows and where the files lie make no difference.
        """
        total = hashlib.sha256()
        for s in sorted(self.samples, key=lambda s: s.id):
            total.update("\0".join((s.id, s.label or "", sha256(s.image))).encode() + b"\n")
        return total.hexdigest()

    @cached_property
    def images_digest(self) -> str:
        """SHA-256 over ids and the images' contents, whatever their labels are called."""
        total = hashlib.sha256()
        for s in sorted(self.samples, key=lambda s: s.id):
            total.update("\0".join((s.id, sha256(s.image))).encode() + b"\n")
        return total.hexdigest()

    @cached_property
    def masks_digest(self) -> str:
        """SHA-256 over the contents of all masks, which `digest` says nothing of."""
        total = hashlib.sha256()
        for s in sorted(self.samples, key=lambda s: s.id):
            content = sha256(s.mask) if s.mask is not None else ""
            total.update("\0".join((s.id, content)).encode() + b"\n")
        return total.hexdigest()

    def to_csv(self, path: Path) -> None:
        """Writes the table in our own CSV format (see own_csv), ready for `from_csv`."""
        from train.data.own_csv import write

        write(self, path)

    @classmethod
    def from_csv(cls, path: Path, classes: Sequence[str] | None = None) -> Table:
        from train.data.own_csv import read

        return read(path, classes)


def _some(names: Sequence[str], limit: int = 5) -> str:
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
