"""A published data set's folder while it is read: its files, its tables, and what is wrong there.

Every reader of a published set says where its files are and what its columns mean; what must fit
together does so by one rule. A picture silently without its label would shift every number
reported on the set, so what is there must be complete. Masks and metadata may be missing, and a
test set's truth, which publishers keep to themselves: that is a note, printed by whoever opens it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from train.data.artefacts import ARTEFACTS, NOTHING_KNOWN, Artefacts
from train.data.content import listing, sha256
from train.data.facts import Facts, artefacts_of, facts_of, number_in
from train.data.reader import BadRow, Problems, Row, read_rows
from train.data.table import Sample, Table
from train.data.vocabulary import as_one_of

PHOTOGRAPHS = (".jpg", ".jpeg", ".png")
MASKS = (".png",)
UNPACK = "Unpack the archives of the split again, or remove its data folder to leave it out."
HELD_BACK = ("validation", "test")  # splits whose truth a publisher may not have given out
ARTEFACTS_FILE = "artefacts.csv"
T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """One published split: what was found of it, by image id."""

    split: str
    place: str  # the folder of its images
    images: Mapping[str, Path]
    truth: str | None = None  # the file of labels; None where none was ever published
    labels: Mapping[str, str] | None = None  # None where that file is not there
    masks: Mapping[str, Path] = field(default_factory=dict)
    masked: bool = False  # whether each image should have a mask
    facts: Mapping[str, Facts] = field(default_factory=dict)


class PublishedSet:
    def __init__(self, name: str, root: Path) -> None:
        self.name, self.root = name, root
        self.problems, self.warnings = Problems(root), list[str]()
        self._samples: dict[str, Sample] = {}

    def folder(self, *names: str) -> Path | None:
        """The first of these that is there. Some archives hold a folder in one of its own name."""
        for name in names:
            outer = self.root / name
            inner = outer / outer.name
            if outer.is_dir():
                return inner if inner.is_dir() else outer
        return None

    def file(self, *names: str) -> Path | None:
        return next((self.root / name for name in names if (self.root / name).is_file()), None)

    def one_each(self, found: Iterable[tuple[str, Path]]) -> dict[str, Path]:
        """Files by id. A second copy is passed over; a second picture of one id is a problem."""
        files: dict[str, Path] = {}
        copies = 0
        for name, path in found:
            first = files.setdefault(name, path)
            if first == path:
                continue
            if sha256(first) == sha256(path):
                copies += 1
            else:
                here, there = (p.relative_to(self.root) for p in (first, path))
                self.problems.add(f"{name} is two different files: {here} and {there}")
        if copies:
            self.warnings.append(f"{self.name}: {copies} second copies of files are passed over")
        return files

    def files(
        self,
        folder: Path | None,
        suffixes: Sequence[str] = PHOTOGRAPHS,
        *,
        ending: str = "",
        not_ending: str = "\0",
    ) -> dict[str, Path]:
        return self.one_each(files_in(folder, suffixes, ending=ending, not_ending=not_ending))

    def rows(
        self,
        table: Path,
        key: str,
        required: Sequence[str] = (),
        header: tuple[str, ...] = (),
    ) -> dict[str, Row]:
        return self.by_image(table, read_rows(table, (key, *required), header)[1], key)

    def by_image(self, table: Path, all_rows: Iterable[Row], key: str) -> dict[str, Row]:
        """The rows of a table by the image that each is about."""
        rows: dict[str, Row] = {}
        for row in all_rows:
            name = row.cells.get(key, "")
            if not name:
                self.wrong(table, row, "no image is named")
            elif name in rows:
                self.wrong(table, row, f"a second row for {name}")
            else:
                rows[name] = row
        return rows

    def each(
        self, table: Path, rows: Mapping[str, Row], parse: Callable[[Row], T], instead: T
    ) -> dict[str, T]:
        """Every row parsed. A bad one is collected, and still counts as the image's row."""
        found: dict[str, T] = {}
        for name, row in rows.items():
            try:
                found[name] = parse(row)
            except BadRow as exc:
                found[name] = instead
                self.wrong(table, row, str(exc))
        return found

    def wrong(self, table: Path, row: Row, text: str) -> None:
        self.problems.add(f"{table.name} line {row.line}: {text}")

    def labels(
        self, table: Path, rows: Mapping[str, Row], parse: Callable[[Row], str]
    ) -> dict[str, str]:
        return self.each(table, rows, parse, "")

    def facts(
        self, table: Path, rows: Mapping[str, Row], columns: Mapping[str, str]
    ) -> dict[str, Facts]:
        return self.each(table, rows, lambda row: facts_of(row, columns), Facts())

    def metadata(
        self,
        split: str,
        names: Sequence[str],
        key: str,
        columns: Mapping[str, str],
    ) -> dict[str, Facts]:
        """From the first of these files that is there; without any there are no facts."""
        table = self.file(*names)
        if table is None:
            self.note(split, f"no {names[0]}, so images have no {', '.join(columns)}")
            return {}
        return self.facts(table, self.rows(table, key, tuple(columns.values())), columns)

    def add(self, part: Part) -> None:
        """Takes a split in, as far as its files and its tables fit together."""
        labels = self._labels_of(part)
        if not part.images:
            self.problems.add(f"{part.place} holds no images")
            return
        for name in sorted(labels.keys() - part.images.keys()):
            self.problems.add(f"{name} has a truth row but no image in {part.place}")
        if part.labels is None:
            for name in sorted(part.facts.keys() - part.images.keys()):
                self.problems.add(f"{name} has a metadata row but no image in {part.place}")
        else:
            for name in sorted(part.images.keys() - labels.keys()):
                self.problems.add(f"{name} is in {part.place} but has no truth row")
        self._count(part, "lesion mask", part.masks if part.masked else part.images)
        self._count(part, "row of metadata", part.facts or part.images)
        for name, image in part.images.items():
            sample = self._sample(part, name, image, labels.get(name))
            first = self._samples.setdefault(name, sample)
            if first is not sample:
                self.problems.add(f"{name} is in {first.image.parent.name} and in {part.place}")

    def table(self, published: Sequence[str], classes: Sequence[str] | None, remedy: str) -> Table:
        """`published` are the classes where none are asked for."""
        if not self._samples:
            self.problems.add("none of its folders of images is there")
        artefacts = self._artefacts()
        self.problems.raise_if_any(
            expected=f"{self.name} with one image for every id, and one truth row if it has labels",
            remedy=remedy,
        )
        wanted = tuple(published if classes is None else classes)
        samples = [
            replace(
                s,
                label=None if s.label is None else as_one_of(s.label, wanted),
                artefacts=artefacts.get(s.id, NOTHING_KNOWN),
            )
            for s in self._samples.values()
        ]
        return Table.of(self.name, samples, wanted, self.warnings)

    def note(self, split: str, text: str) -> None:
        self.warnings.append(f"{self.name} {split}: {text}" if split else f"{self.name}: {text}")

    def _labels_of(self, part: Part) -> Mapping[str, str]:
        """Nothing where there is no truth: a problem, unless its publisher may keep it."""
        if part.labels is not None:
            return part.labels
        count = len(part.images)
        if part.truth is None:
            self.note(part.split, f"{count} images have masks and no labels, as published")
        elif part.split in HELD_BACK:
            self.note(part.split, f"no {part.truth}, so {count} images have no label")
        else:
            self.problems.add(f"{part.truth} is missing")
        return {}

    def _count(self, part: Part, what: str, have: Mapping[str, object]) -> None:
        without = len(part.images.keys() - have.keys())
        if without:
            self.note(part.split, f"{without} of {len(part.images)} images have no {what}")

    def _sample(self, part: Part, name: str, image: Path, label: str | None) -> Sample:
        facts = part.facts.get(name, Facts())
        return Sample(
            id=name,
            dataset=self.name,
            image=image,
            label=label,
            split=part.split,
            mask=part.masks.get(name),
            patient=facts.patient,
            lesion=facts.lesion,
            age=facts.age,
            sex=facts.sex,
            site=facts.site,
            source=facts.source,
        )

    def _artefacts(self) -> dict[str, Artefacts]:
        table = self.file(ARTEFACTS_FILE)
        if table is None:
            return {}
        rows = self.rows(table, "image_id", ARTEFACTS)
        absent = len(rows.keys() - self._samples.keys())
        if absent:
            self.warnings.append(f"{self.name}: {table.name} has {absent} images that are not here")
        return self.each(table, rows, artefacts_of, NOTHING_KNOWN)


def files_in(
    folder: Path | None,
    suffixes: Sequence[str],
    *,
    ending: str = "",
    not_ending: str = "\0",
) -> Iterator[tuple[str, Path]]:
    """Files by id, sorted. The case of suffixes varies between copies of a data set."""
    for path in [] if folder is None else listing(folder):
        stem = path.stem
        hidden = stem.startswith(".")
        if hidden or path.suffix.lower() not in suffixes or stem.lower().endswith(not_ending):
            continue
        if stem.lower().endswith(ending):
            yield stem[: len(stem) - len(ending)], path


def one_hot(columns: Mapping[str, str]) -> Callable[[Row], str]:
    """Reads the class of a row with a column for each, of which one is 1 and the others are 0."""

    def parse(row: Row) -> str:
        cells = [row.cells.get(column.lower(), "") for column in columns]
        numbers = [number_in(cell) for cell in cells]
        told = [name for name, number in zip(columns, numbers, strict=True) if number == 1]
        if any(number not in (0, 1) for number in numbers):
            raise BadRow(f"the flags {', '.join(cells)}; each must be 0 or 1")
        if len(told) != 1:
            raise BadRow(f"flagged as {' and as '.join(told) or 'nothing'}; it must be one class")
        return columns[told[0]]

    return parse
