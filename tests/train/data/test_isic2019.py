"""ISIC 2019: ids that end in _downsampled, empty lesions, the class of unknown diseases."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import InputError
from tests.train.data.pictures import isic_part
from tests.train.data.trees import isic2019, table
from train.data import isic2017
from train.data.isic2019 import read, recognises
from train.data.overlaps import find_overlaps


def test_reads_classes_lesions_and_facts(tmp_path: Path) -> None:
    found = read(isic2019(tmp_path))
    assert recognises(tmp_path)
    assert found.ids[:3] == ("ISIC_0000000", "ISIC_0000001_downsampled", "ISIC_0053453")
    assert found.labels[:3] == ("nevus", "melanoma", "actinic_keratosis")
    assert [(s.age, s.sex, s.site, s.lesion) for s in found[:3]] == [
        (55.0, "female", "anterior torso", None),
        (None, None, None, None),
        (30.0, "male", "head/neck", "BCN_0000550"),
    ]
    assert found.warnings == ()


def test_the_test_set_has_unknown_diseases_and_no_lesions(tmp_path: Path) -> None:
    """Its table has weights of each image's score behind the classes."""
    found = read(isic2019(tmp_path)).where(split="test")
    assert found.labels == ("other", "squamous_cell_carcinoma")
    assert [(s.age, s.lesion) for s in found] == [(75.0, None), (None, None)]


def test_without_truth_and_metadata_the_test_set_is_only_pictures(tmp_path: Path) -> None:
    isic2019(tmp_path)
    for name in ("GroundTruth", "Metadata"):
        (tmp_path / f"ISIC_2019_Test_{name}.csv").unlink()
    found = read(tmp_path)
    assert found.where(split="test").labels == (None, None)
    assert len(found.warnings) == 2


def test_a_row_of_metadata_without_its_image(tmp_path: Path) -> None:
    """Of a set without labels, the metadata say which images there should be."""
    isic2019(tmp_path)
    (tmp_path / "ISIC_2019_Test_GroundTruth.csv").unlink()
    (tmp_path / "ISIC_2019_Test_Input" / "ISIC_0034322.jpg").unlink()
    with pytest.raises(InputError, match="ISIC_0034322 has a metadata row but no image"):
        read(tmp_path)


def test_a_folder_in_a_folder_of_its_own_name(tmp_path: Path) -> None:
    isic2019(tmp_path)
    folder = tmp_path / "ISIC_2019_Training_Input"
    moved = folder.rename(tmp_path / "moved")
    folder.mkdir()
    moved.rename(folder / folder.name)
    assert read(tmp_path)[0].image.parent == folder / folder.name


def test_the_audit_knows_a_downsampled_picture_by_its_older_name(tmp_path: Path) -> None:
    isic_part(tmp_path / "old", "Test_v2", {"ISIC_0000001": "1.0,0.0"}, seed=90)
    old = isic2017.read(tmp_path / "old")
    found = find_overlaps(read(isic2019(tmp_path / "new")), old)
    assert [(o.kind, o.a_id, o.b_id) for o in found] == [
        ("id", "ISIC_0000001_downsampled", "ISIC_0000001")
    ]


def test_columns_of_another_year(tmp_path: Path) -> None:
    """AKIEC is not AK, so a table with the one is not taken for a table with the other."""
    isic2019(tmp_path)
    truth = tmp_path / "ISIC_2019_Training_GroundTruth.csv"
    table(truth, truth.read_text().replace(",AK,", ",AKIEC,"))
    with pytest.raises(InputError, match="got: image, mel, nv, bcc, akiec"):
        read(tmp_path)
