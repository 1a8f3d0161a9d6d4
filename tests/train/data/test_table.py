"""The table: what it refuses, how it is cut, and that its digest follows the content."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import InputError
from tests.train.data.pictures import picture, sample, save
from train.data.table import Sample, Table, metadata


def small() -> Table:
    rows = [
        sample("a", "nevus", split="train"),
        sample("b", "melanoma", split="train"),
        sample("c", None, split="test"),
    ]
    return Table.of("small", rows)


def test_it_is_a_sequence() -> None:
    table = small()
    assert [s.id for s in table] == ["a", "b", "c"]
    assert len(table) == 3
    assert table[1].id == "b"
    assert table[1:].ids == ("b", "c")
    assert table[0] in table


def test_classes_do_not_depend_on_the_order_of_rows() -> None:
    assert small().classes == ("melanoma", "nevus")
    assert Table.of("t", reversed(small().samples)).classes == ("melanoma", "nevus")


def test_labels_counts_and_targets() -> None:
    table = small().with_classes(("nevus", "melanoma"))
    assert table.labels == ("nevus", "melanoma", None)
    assert table.counts() == {"nevus": 1, "melanoma": 1, "unlabelled": 1}
    np.testing.assert_array_equal(table.targets, [0, 1, -1])


def test_where_and_select() -> None:
    table = small()
    assert table.splits == ("train", "test")
    assert table.where(split="train").ids == ("a", "b")
    assert table.where(split="train", label="nevus").ids == ("a",)
    assert table.select(["c", "a"]).ids == ("c", "a")
    assert table.where(split="validation").ids == ()


def test_select_names_what_is_not_there() -> None:
    with pytest.raises(InputError, match="1 unknown: z"):
        small().select(["a", "z"])


def test_ids_must_be_unique() -> None:
    with pytest.raises(InputError, match="not unique"):
        Table.of("t", [sample("a"), sample("a")])


def test_labels_must_be_among_the_classes() -> None:
    with pytest.raises(InputError, match="naevus"):
        Table.of("t", [sample("a", "naevus")], classes=("nevus", "melanoma"))


def test_metadata_holds_only_what_is_known() -> None:
    assert metadata(sample("a")) == {}
    known = replace(sample("a"), age=40.0, sex="male", site="back")
    assert metadata(known) == {"age": 40.0, "sex": "male", "site": "back"}


@pytest.fixture
def with_images(tmp_path: Path) -> Table:
    rows = [
        Sample("a", "own", save(tmp_path / "a.png", picture(1, 16)), "nevus", "train", age=31.5),
        Sample("b", "own", save(tmp_path / "b.png", picture(2, 16)), None, "", patient="p;1,x"),
    ]
    return Table.of("own", rows)


def test_the_digest_follows_ids_labels_and_content_only(with_images: Table) -> None:
    a, b = with_images
    same = Table.of("other name", [b, replace(a, split="test")])
    assert same.digest == with_images.digest
    for changed in ([replace(a, id="z"), b], [replace(a, label="melanoma"), b], [a]):
        assert Table.of("own", changed).digest != with_images.digest
    before = with_images.digest
    save(a.image, picture(3, 16))
    assert Table.of("own", with_images).digest != before


def test_images_are_the_same_whatever_their_labels_are_called(with_images: Table) -> None:
    a, b = with_images
    named = Table.of("own", [b, replace(a, label="benign")])
    assert named.images_digest == with_images.images_digest
    assert named.digest != with_images.digest
    for changed in ([replace(a, id="z"), b], [a], [replace(a, image=b.image), b]):
        assert Table.of("own", changed).images_digest != with_images.images_digest


def test_csv_and_back(with_images: Table, tmp_path: Path) -> None:
    with_images.to_csv(tmp_path / "own.csv")
    assert Table.from_csv(tmp_path / "own.csv").samples == with_images.samples
    assert str(tmp_path) not in (tmp_path / "own.csv").read_text()


def test_csv_elsewhere_still_finds_the_images(with_images: Table, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    with_images.to_csv(tmp_path / "below" / "own.csv")
    assert Table.from_csv(tmp_path / "below" / "own.csv").digest == with_images.digest
