"""Lists of duplicates: found beside a set, read, and in force for every set that is given."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.train.data.pictures import picture, sample, save, text
from tests.train.data.trees import isic2020_official
from train.data.listed import DuplicateList, lists_beside, names_of, tie
from train.data.open_dataset import open_datasets
from train.data.splits import make_groups
from train.data.table import Table

NAMES = st.sampled_from("abcdefgh")


@given(st.lists(st.tuples(NAMES, NAMES), max_size=12))
def test_whoever_is_listed_together_shares_all_names(pairs: list[tuple[str, str]]) -> None:
    table = Table.of("t", [sample(name) for name in "abcdefgh"])
    (tied,) = tie([table], [DuplicateList(Path("list"), tuple(pairs))])
    names = {s.id: set(names_of(s)) for s in tied}
    for first, second in pairs:
        assert names[first] == names[second] >= {first, second}
    for name, known in names.items():
        assert all(names[other] == known for other in known)
        assert known == {name} or any(name in pair for pair in pairs)
    again = tie([tied], [DuplicateList(Path("list"), tuple(pairs))])
    assert again == [tied]


def test_the_official_list_ties_other_sets_too(tmp_path: Path) -> None:
    """ISIC 2020 itself keeps one of the two; another set may have the other."""
    isic = isic2020_official(tmp_path / "isic")
    save(tmp_path / "mine" / "ISIC_0279038.png", picture(77))
    text(tmp_path / "mine" / "labels.csv", "image,label\nISIC_0279038.png,nevus\n")
    tables = open_datasets([isic, tmp_path / "mine"])
    together = Table.of("both", [s for table in tables for s in table])
    assert ("ISIC_0052212", "ISIC_0279038") in make_groups(together, ("id",))


def test_somebody_elses_duplicates_csv_is_left_alone(tmp_path: Path) -> None:
    text(tmp_path / "duplicates.csv", "what,ever\n1,2\n")
    assert lists_beside(tmp_path) == []
    text(tmp_path / "duplicates.csv", "Image_Name_1;Image_Name_2\na;b\n")
    assert [found.pairs for found in lists_beside(tmp_path / "labels.csv")] == [(("a", "b"),)]
