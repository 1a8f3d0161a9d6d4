"""Folds: nothing that belongs together is torn apart, and every fold gets its share."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import UsageError
from tests.train.data.pictures import picture, sample, save
from train.data.listed import DuplicateList, tie
from train.data.splits import holdout, make_folds, make_groups
from train.data.table import Sample, Table

BY_NAME = ("patient", "lesion")
LABELS = ("melanoma", "seborrheic_keratosis", "nevus", None)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    owners = st.none() | st.integers(0, 12).map(str)
    rows = draw(st.lists(st.tuples(st.sampled_from(LABELS), owners, owners), min_size=1))
    names = [f"ISIC_{n:07d}" for n in range(len(rows))]
    samples = [
        sample(name, label, patient=patient, lesion=lesion)
        for name, (label, patient, lesion) in zip(names, rows, strict=True)
    ]
    return Table.of("random", samples)


@given(tables(), st.integers(2, 5), st.integers(0, 9), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_folds_keep_ties_and_do_not_see_the_order(
    table: Table, k: int, seed: int, shuffle: random.Random
) -> None:
    groups = make_groups(table, BY_NAME)
    if len(groups) < k:
        with pytest.raises(UsageError, match=f"cannot be split into {k} folds"):
            make_folds(table, k, seed, BY_NAME)
        return
    folds = make_folds(table, k, seed, BY_NAME)
    assert list(folds) == list(table.ids)
    assert set(folds.values()) == set(range(k))
    for group in groups:
        assert len({folds[name] for name in group}) == 1
    for field in BY_NAME:
        for owner in {getattr(s, field) for s in table} - {None}:
            assert len({folds[s.id] for s in table if getattr(s, field) == owner}) == 1
    rows = list(table)
    shuffle.shuffle(rows)
    assert make_folds(Table.of("random", rows), k, seed, BY_NAME) == folds


@given(st.lists(st.sampled_from(LABELS), min_size=10), st.integers(2, 5), st.integers(0, 9))
@settings(max_examples=60)
def test_without_ties_classes_differ_by_one_at_most(
    labels: list[str | None], k: int, seed: int
) -> None:
    table = Table.of("free", [sample(str(n), label) for n, label in enumerate(labels)])
    folds = make_folds(table, k, seed, BY_NAME)
    for label in LABELS:
        counts = Counter(folds[s.id] for s in table if s.label == label)
        sizes = [counts[fold] for fold in range(k)]
        assert max(sizes) - min(sizes) <= 1


def patients(count: int = 60, seed: int = 0) -> Table:
    """Patients with one to six pictures each, a fifth of them melanomas."""
    rng = random.Random(seed)
    rows: list[Sample] = []
    for patient in range(count):
        for _ in range(rng.randint(1, 6)):
            label = "melanoma" if rng.random() < 0.2 else "nevus"
            rows.append(sample(f"i{len(rows)}", label, patient=f"p{patient}"))
    return Table.of("patients", rows)


def test_patients_of_several_pictures_still_balance() -> None:
    table = patients()
    folds = make_folds(table, 5, 0, BY_NAME)
    for label, total in table.counts().items():
        counts = Counter(folds[s.id] for s in table if s.label == label)
        assert all(abs(counts[fold] - total / 5) <= 2 for fold in range(5))


def test_the_seed_matters() -> None:
    table = patients()
    assert make_folds(table, 5, 0, BY_NAME) != make_folds(table, 5, 1, BY_NAME)
    assert make_folds(table, 5, 0, BY_NAME) == make_folds(table, 5, 0, BY_NAME)


def test_ties_carry_over() -> None:
    rows = [
        sample("a", patient="p1", lesion="l1"),
        sample("b", patient="p1", lesion="l2"),
        sample("c", lesion="l2"),
        sample("d"),
    ]
    table = Table.of("t", rows)
    assert make_groups(table, BY_NAME) == [("a", "b", "c"), ("d",)]
    assert make_groups(table, ("lesion",)) == [("a",), ("b", "c"), ("d",)]
    assert len(make_groups(table, ())) == 4


PAIR = ("one", "other")


def tied_by(what: str, folder: Path) -> Table:
    """Many images, of which the first two belong together by one thing alone."""
    files = [save(folder / f"{n}.jpg", picture(n)) for n in range(9)]
    names = [*PAIR, *(f"free{n}" for n in range(7))]
    rows = [Sample(name, "t", file, "nevus", "") for name, file in zip(names, files, strict=True)]
    match what:
        case "patient" | "lesion":
            rows[:2] = [replace(row, **{what: "p"}) for row in rows[:2]]
        case "downsampled":
            rows[1] = replace(rows[1], id="one_downsampled")
        case "bytes":
            files[1].write_bytes(files[0].read_bytes())
        case "picture":
            save(files[1], picture(0), quality=60)
        case "list":
            return tie([Table.of("t", rows)], [DuplicateList(folder, (PAIR,))])[0]
    return Table.of("t", rows)


@pytest.mark.parametrize("what", ["patient", "lesion", "downsampled", "bytes", "picture", "list"])
def test_each_tie_alone_keeps_images_in_one_part(what: str, tmp_path: Path) -> None:
    table = tied_by(what, tmp_path)
    together = tuple(sorted(table.ids[:2]))
    assert [group for group in make_groups(table) if len(group) > 1] == [together]
    for seed in range(6):
        assert len({make_folds(table, 3, seed)[name] for name in together}) == 1
        rest, _ = holdout(table, 0.5, seed)
        assert len({name in rest.ids for name in together}) == 1


def test_without_a_tie_they_part(tmp_path: Path) -> None:
    table = tied_by("nothing", tmp_path)
    assert all(len(group) == 1 for group in make_groups(table))
    dealt = [make_folds(table, 3, seed) for seed in range(6)]
    assert any(folds["one"] != folds["other"] for folds in dealt)


def test_copies_stay_together(tmp_path: Path) -> None:
    images = [save(tmp_path / f"{n}.jpg", picture(n)) for n in range(4)]
    images.append(save(tmp_path / "copy.jpg", picture(2), quality=60))
    table = Table.of("t", [Sample(p.stem, "t", p, "nevus", "") for p in images])
    assert ("2", "copy") in make_groups(table)
    folds = make_folds(table, 2)
    assert folds["2"] == folds["copy"]


@given(st.integers(0, 20), st.sampled_from([0.1, 0.2, 0.5]))
@settings(max_examples=20)
def test_holdout_takes_its_share_of_every_class(seed: int, fraction: float) -> None:
    table = patients(seed=seed)
    rest, held = holdout(table, fraction, seed, BY_NAME)
    assert set(rest.ids).isdisjoint(held.ids)
    assert len(rest) + len(held) == len(table)
    assert {s.patient for s in rest}.isdisjoint({s.patient for s in held})
    for label, total in table.counts().items():
        assert abs(held.counts()[label] - fraction * total) <= 4


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, float("nan")])
def test_holdout_of_nothing_or_all(fraction: float) -> None:
    with pytest.raises(UsageError, match="leaves one part empty"):
        holdout(patients(), fraction, group_by=BY_NAME)


def test_unknown_ties() -> None:
    with pytest.raises(UsageError, match="grouped by that"):
        make_folds(patients(), 2, group_by=("hospital",))
