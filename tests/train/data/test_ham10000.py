"""HAM10000: its two parts, and what copies do to them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runtime.errors import InputError
from tests.train.data.trees import ham10000, photographs
from train.data.ham10000 import read, recognises


def test_reads_both_parts_with_lesions_masks_and_sources(tmp_path: Path) -> None:
    found = read(ham10000(tmp_path))
    assert recognises(tmp_path)
    assert found.labels == ("nevus", "actinic_keratosis_or_bowen", "nevus")
    assert [s.image.parent.name[-1] for s in found] == ["1", "1", "2"]
    assert found[0].lesion == found[2].lesion == "HAM_0000550"
    assert [(s.age, s.sex, s.site, s.source) for s in found[:2]] == [
        (45.0, "male", "trunk", "vidir_molemax"),
        (None, None, None, "rosendahl"),
    ]
    assert all(s.mask is not None and s.split == "" for s in found)
    assert found.warnings == ()


def test_the_first_release_has_no_sources_and_no_suffix(tmp_path: Path) -> None:
    metadata = ham10000(tmp_path) / "HAM10000_metadata.csv"
    lines = metadata.read_text().splitlines()
    metadata.unlink()
    without = [line.rpartition(",")[0] for line in lines]
    (tmp_path / "HAM10000_metadata").write_text("\n".join(without))
    assert [s.source for s in read(tmp_path)] == [None] * 3


def test_missing_masks_are_told(tmp_path: Path) -> None:
    shutil.rmtree(ham10000(tmp_path) / "HAM10000_segmentations_lesion_tschandl")
    assert read(tmp_path).warnings == ("ham10000: 3 of 3 images have no lesion mask",)


def test_a_part_that_is_there_twice(tmp_path: Path) -> None:
    first = ham10000(tmp_path) / "HAM10000_images_part_1"
    copy = shutil.copytree(first, tmp_path / "ham10000_images_part_1b")
    found = read(tmp_path)
    assert len(found) == 3
    assert found.warnings == ("ham10000: 2 second copies of files are passed over",)
    photographs(copy, ["ISIC_0024306"], seed=99)
    with pytest.raises(InputError, match="ISIC_0024306 is two different files: HAM10000_images_p"):
        read(tmp_path)


@pytest.mark.parametrize("missing", ["HAM10000_images_part_2", "images", "metadata"])
def test_what_is_missing_is_named(tmp_path: Path, missing: str) -> None:
    ham10000(tmp_path)
    for path in list(tmp_path.iterdir()):
        if missing in path.name:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert recognises(tmp_path)
    expected = {
        "HAM10000_images_part_2": "ISIC_0029306 has a truth row but no image in HAM10000_images_pa",
        "images": "HAM10000_images_part_1 holds no images",
        "metadata": "HAM10000_metadata.csv is missing",
    }
    with pytest.raises(InputError, match=expected[missing]):
        read(tmp_path)


def test_an_abbreviation_that_is_not_theirs(tmp_path: Path) -> None:
    metadata = ham10000(tmp_path) / "HAM10000_metadata.csv"
    metadata.write_text(metadata.read_text().replace("akiec", "scc"))
    with pytest.raises(InputError, match="line 3: dx is 'scc', not one of mel, nv, bcc, akiec"):
        read(tmp_path)
