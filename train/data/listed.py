"""Images that are the same by what they are called: their own ids, and lists of duplicates.

    image_name_1,image_name_2
    ISIC_0079038,ISIC_8521950

The ISIC publishes such a list with its set of 2020; others are written like it. A sample knows
all that its id is listed with, so that a tie holds where only one side has the list.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from train.data.reader import Problems, header_of, read_rows
from train.data.table import Sample, Table

COLUMNS = ("image_name_1", "image_name_2")
BESIDE = ("ISIC_2020_Training_Duplicates.csv", "duplicates.csv")  # found beside the images
_DOWNSAMPLED = "_downsampled"  # ISIC 2019 gave older images this ending and a smaller size


def plain(name: str) -> str:
    return name.removesuffix(_DOWNSAMPLED)


def names_of(sample: Sample) -> tuple[str, ...]:
    """Every id that this picture is known by, its own first."""
    return (plain(sample.id), *sample.same_as)


@dataclass(frozen=True)
class DuplicateList:
    file: Path
    pairs: tuple[tuple[str, str], ...]

    def known(self, tables: Iterable[Table]) -> int:
        """How many of the images it names."""
        listed = {plain(name) for pair in self.pairs for name in pair}
        return sum(plain(sample.id) in listed for table in tables for sample in table)


def read_list(file: Path) -> DuplicateList:
    problems = Problems(file)
    pairs = []
    for row in read_rows(file, COLUMNS)[1]:
        first, second = (row.cells.get(column, "") for column in COLUMNS)
        if first and second:
            pairs.append((first, second))
        else:
            problems.add("one id without the other", row.line)
    problems.raise_if_any(expected="two ids in each line", remedy="Correct or remove these lines.")
    return DuplicateList(file, tuple(pairs))


def lists_beside(data: Path) -> list[DuplicateList]:
    """Those in the folder of a data set. Another file of such a name is somebody's own affair."""
    folder = data if data.is_dir() else data.parent
    files = [folder / name for name in BESIDE if (folder / name).is_file()]
    return [read_list(file) for file in files if {*COLUMNS} <= {*header_of(file)}]


def tie(tables: Sequence[Table], lists: Iterable[DuplicateList]) -> list[Table]:
    """The same tables, each sample with all the ids that it is listed with, over several lines."""
    together = _together(pair for each in lists for pair in each.pairs)

    def tied(sample: Sample) -> Sample:
        same = together.get(plain(sample.id), set()) | set(sample.same_as)
        return replace(sample, same_as=tuple(sorted(same - {plain(sample.id)})))

    return [replace(table, samples=tuple(map(tied, table))) for table in tables]


def _together(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    near: dict[str, set[str]] = defaultdict(set)
    for first, second in pairs:
        near[plain(first)].add(plain(second))
        near[plain(second)].add(plain(first))
    found: dict[str, set[str]] = {}
    for name in near:
        if name in found:
            continue
        group, left = {name}, [name]
        while left:
            fresh = near[left.pop()] - group
            group |= fresh
            left += fresh
        found |= dict.fromkeys(group, group)
    return found
