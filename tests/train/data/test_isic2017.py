"""ISIC 2017: the layout as it is found in the wild, and every way in which it can be broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import InputError
from tests.train.data.pictures import isic_part, picture, save, text
from train.data.isic2017 import CLASSES, read, recognises

TRAIN = {"ISIC_0000000": "0.0,0.0", "ISIC_0000001": "1.0,0.0", "ISIC_0000002": "0,1"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    isic_part(tmp_path, "Training", TRAIN)
    isic_part(tmp_path, "Test_v2", {"ISIC_0000009": "0.0,0.0"}, seed=9)
    return tmp_path


def truth(root: Path) -> Path:
    return root / "ISIC-2017_Training_Part3_GroundTruth.csv"


def test_reads_labels_splits_masks_and_metadata(root: Path) -> None:
    table = read(root)
    assert recognises(root)
    assert table.classes == CLASSES
    assert table.labels == ("nevus", "melanoma", "seborrheic_keratosis", "nevus")
    assert table.splits == ("train", "test")
    assert table.warnings == ()
    first = table[0]
    assert (first.id, first.age, first.sex) == ("ISIC_0000000", 55.0, "female")
    assert first.image.is_file()
    assert first.mask is not None
    assert first.mask.is_file()


def test_unknown_metadata_is_none(root: Path) -> None:
    text(
        root / "ISIC-2017_Training_Data_metadata.csv",
        "image_id,age_approximate,sex\nISIC_0000000,unknown,unknown\n",
    )
    assert [(s.age, s.sex) for s in read(root)[:3]] == [(None, None)] * 3


def test_metadata_inside_the_data_folder(root: Path) -> None:
    name = "ISIC-2017_Training_Data_metadata.csv"
    (root / name).rename(root / "ISIC-2017_Training_Data" / name)
    assert read(root)[0].age == 55.0


def test_suffixes_in_any_case_superpixels_and_notes_are_skipped(root: Path) -> None:
    data, masks = root / "ISIC-2017_Training_Data", root / "ISIC-2017_Training_Part1_GroundTruth"
    (data / "ISIC_0000000.jpg").rename(data / "ISIC_0000000.JPG")
    old = masks / "ISIC_0000000_segmentation.png"
    old.rename(masks / "ISIC_0000000_Segmentation.PNG")
    save(data / "ISIC_0000000_superpixels.png", picture(0, 16))
    text(data / "LICENSE.txt", "CC-0")
    text(data / "._ISIC_0000001.jpg", "what macOS leaves behind")
    table = read(root)
    assert len(table) == 4
    assert all(s.mask is not None for s in table)


def test_other_order_of_classes(root: Path) -> None:
    assert read(root, CLASSES[::-1]).targets.tolist() == [0, 2, 1, 0]


def test_masks_and_metadata_may_be_missing_but_not_silently(root: Path) -> None:
    (root / "ISIC-2017_Training_Part1_GroundTruth" / "ISIC_0000000_segmentation.png").unlink()
    (root / "ISIC-2017_Training_Data_metadata.csv").unlink()
    table = read(root)
    assert table[0].mask is None
    assert table.warnings == (
        "isic2017 train: no ISIC-2017_Training_Data_metadata.csv, so images have no age, sex",
        "isic2017 train: 1 of 3 images have no lesion mask",
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("ISIC_0000000,0,0\nISIC_0000001,1,0\n", "ISIC_0000002 is in .* but has no truth row"),
        ("ISIC_0000000,1.0,1.0\n", "line 2: ISIC_0000000 is flagged as melanoma and as sebo"),
        ("ISIC_0000000,0.5,0\n", "line 2: ISIC_0000000 has the flags 0.5, 0; each must be 0 or 1"),
        ("ISIC_0000000,yes,0\n", "has the flags yes, 0"),
        ("ISIC_0000000,0,0\n\nISIC_0000000,0,0\n", "line 4: a second row for ISIC_0000000"),
        ("ISIC_0000077,0,0\n", "ISIC_0000077 has a truth row but no image"),
        ("ISIC_0000000,0\n", "has the flags 0, ;"),
        ("ISIC_0000000,0,0,1\n", "line 2: 4 cells under 3 headers"),
    ],
)
def test_broken_truth(root: Path, content: str, message: str) -> None:
    text(truth(root), "image_id,melanoma,seborrheic_keratosis\n" + content)
    with pytest.raises(InputError, match=message):
        read(root)


@pytest.mark.parametrize(
    ("cells", "message"),
    [("old,female", "line 2: age is 'old'"), ("55,x", "line 2: sex is 'x'")],
)
def test_broken_metadata(root: Path, cells: str, message: str) -> None:
    text(
        root / "ISIC-2017_Training_Data_metadata.csv",
        f"image_id,age_approximate,sex\nISIC_0000000,{cells}\n",
    )
    with pytest.raises(InputError, match=message):
        read(root)


def test_missing_truth_and_missing_images(root: Path) -> None:
    truth(root).unlink()
    for image in (root / "ISIC-2017_Test_v2_Data").iterdir():
        image.unlink()
    with pytest.raises(InputError, match="2 problems") as caught:
        read(root)
    assert "ISIC-2017_Training_Part3_GroundTruth.csv is missing" in str(caught.value)
    assert "ISIC-2017_Test_v2_Data holds no images" in str(caught.value)


def test_wrong_header(root: Path) -> None:
    text(truth(root), "image,mel,sk\nISIC_0000000,0,0\n")
    with pytest.raises(InputError, match="image, mel, sk"):
        read(root)
