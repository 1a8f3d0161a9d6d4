"""Overlaps: each kind is found and named with both ids, between sets and between splits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.train.data.pictures import picture, save
from train.data.listed import DuplicateList, tie
from train.data.overlaps import Overlap, find_between, find_overlaps, find_within
from train.data.table import Sample, Table


def one(folder: Path, name: str, seed: int, split: str = "", suffix: str = "png") -> Sample:
    image = save(folder / f"{name}.{suffix}", picture(seed), quality=80)
    return Sample(name, folder.name, image, "nevus", split)


@pytest.fixture
def sets(tmp_path: Path) -> tuple[Table, Table]:
    first, second = tmp_path / "first", tmp_path / "second"
    here = [
        replace(one(first, "a", 1), patient="p1"),
        replace(one(first, "b", 2), lesion="l1"),
        one(first, "c", 3),
        one(first, "d", 4),
        one(first, "e", 5),
        replace(one(first, "f", 6), patient="p1"),
    ]
    there = [
        replace(one(second, "k", 11), patient="p1"),
        replace(one(second, "l", 12), lesion="l1"),
        one(second, "m", 3),
        replace(one(second, "n", 4, suffix="jpg"), label="melanoma"),
        one(second, "e_downsampled", 15),
        one(second, "z", 16),
    ]
    return Table.of("first", here), Table.of("second", there)


def test_every_kind_is_found(sets: tuple[Table, Table]) -> None:
    found = find_overlaps(*sets)
    assert [(o.kind, o.a_id, o.b_id) for o in found] == [
        ("id", "e", "e_downsampled"),
        ("patient", "a", "k"),
        ("patient", "f", "k"),
        ("lesion", "b", "l"),
        ("bytes", "c", "m"),
        ("phash", "d", "n"),
    ]
    assert found[1].detail == "p1: 2 and 1 images"
    assert "labels differ: nevus, melanoma" in found[5].detail
    assert found[0].as_dict() == {
        "kind": "id",
        "a_id": "e",
        "b_id": "e_downsampled",
        "detail": "",
    }


def kinds(overlaps: list[Overlap]) -> list[tuple[str, str, str]]:
    return [(o.kind, o.a_id, o.b_id) for o in overlaps]


def test_a_list_ties_where_only_one_side_has_it(tmp_path: Path) -> None:
    """Over several lines, over images that are nowhere, and whatever ISIC 2019 calls them."""
    a = Table.of("a", [one(tmp_path / "a", "x", 1), one(tmp_path / "a", "free", 2)])
    b = Table.of("b", [one(tmp_path / "b", "z_downsampled", 3), one(tmp_path / "b", "w", 4)])
    pairs = (("x", "gone"), ("gone", "z"), ("elsewhere", "w"))
    (known,) = tie([a], [DuplicateList(tmp_path, pairs)])
    assert known[0].same_as == ("gone", "z")
    assert kinds(find_overlaps(known, b)) == [("listed", "x", "z_downsampled")]
    assert kinds(find_overlaps(b, known)) == [("listed", "z_downsampled", "x")]
    assert find_overlaps(a, b) == []


def test_names_within_a_split_are_repeats(tmp_path: Path) -> None:
    rows = [one(tmp_path, name, n) for n, name in enumerate(("x", "x_downsampled", "y", "z"))]
    (table,) = tie([Table.of("t", rows)], [DuplicateList(tmp_path, (("y", "z"),))])
    assert kinds(find_within(table).repeats) == [("id", "x", "x_downsampled"), ("listed", "y", "z")]


def test_every_split_of_one_is_held_against_every_split_of_the_other(tmp_path: Path) -> None:
    here = [one(tmp_path / "a", n, seed, n) for n, seed in (("train", 1), ("test", 2))]
    there = [replace(one(tmp_path / "b", n, seed, n), id=f"b{n}") for n, seed in
             (("test", 1), ("validation", 3))]  # fmt: skip
    here[1], there[0] = replace(here[1], lesion="l1"), replace(there[0], lesion="l1")
    found = find_between(Table.of("a", here), Table.of("b", there))
    assert {pair: kinds(overlaps) for pair, overlaps in found.items()} == {
        ("train", "test"): [("bytes", "train", "btest")],
        ("train", "validation"): [],
        ("test", "test"): [("lesion", "test", "btest")],
        ("test", "validation"): [],
    }


def test_nothing_in_common(tmp_path: Path) -> None:
    tables = [Table.of(n, [one(tmp_path / n, n, s)]) for n, s in (("a", 1), ("b", 2))]
    assert find_overlaps(tables[0], tables[1]) == []


def test_splits_of_one_set(tmp_path: Path) -> None:
    rows = [
        one(tmp_path, "v", 1, "validation"),
        one(tmp_path, "t", 1, "train"),
        one(tmp_path, "u", 1, "train"),
        one(tmp_path, "w", 2, "validation"),
        one(tmp_path, "x", 1, "validation"),
        one(tmp_path, "y", 9, "test"),
    ]
    within = find_within(Table.of("t", rows))
    assert within.splits == {
        ("validation", "train"): [
            Overlap("bytes", a, b, "") for a, b in (("v", "t"), ("v", "u"), ("x", "t"), ("x", "u"))
        ],
        ("validation", "test"): [],
        ("train", "test"): [],
    }
    assert [(o.a_id, o.b_id) for o in within.repeats] == [("v", "x"), ("t", "u")]
