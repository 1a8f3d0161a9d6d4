"""The readers on reduced copies of the published sets, where they are at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from train.data.artefacts import NOTHING_KNOWN
from train.data.open_dataset import open_dataset
from train.data.splits import make_groups
from train.data.table import Table, metadata
from train.recipe_files import load_recipe


def there(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    return folder


@pytest.fixture(scope="module")
def isic2020(real_data: Path) -> Table:
    return open_dataset(there(real_data / "isic2020"))


def test_ham10000(real_data: Path) -> None:
    table = open_dataset(there(real_data / "ham10000"))
    assert table.name == "ham10000"
    assert table.counts() == {
        "melanoma": 491,
        "nevus": 1300,
        "basal_cell_carcinoma": 264,
        "actinic_keratosis_or_bowen": 183,
        "benign_keratosis": 583,
        "dermatofibroma": 60,
        "vascular_lesion": 80,
    }
    assert len({s.lesion for s in table}) == len(table)
    assert [sum(getattr(s, fact) is None for s in table) for fact in ("age", "sex", "site")] == [
        16,
        15,
        68,
    ]
    assert table.warnings == (f"ham10000: {len(table)} of {len(table)} images have no lesion mask",)


def test_ham10000_with_masks(real_data: Path, tmp_path: Path) -> None:
    """The copy has names of its own; given the published ones, it is read as published."""
    copy = there(real_data / "ham10000_masks150")
    (tmp_path / "HAM10000_images_part_1").symlink_to(copy / "images")
    (tmp_path / "HAM10000_metadata.csv").symlink_to(copy / "labels.csv")
    masks = tmp_path / "HAM10000_segmentations_lesion_tschandl"
    masks.mkdir()
    for mask in (copy / "masks").glob("*_expert.png"):
        (masks / mask.name.replace("_expert", "_segmentation")).symlink_to(mask)
    table = open_dataset(tmp_path)
    assert len(table) == 150
    assert all(s.mask is not None and s.mask.is_file() for s in table)
    assert table.warnings == ()


def test_isic2020(isic2020: Table) -> None:
    counts = {name: count for name, count in isic2020.counts().items() if count}
    assert counts == {
        "melanoma": 39,
        "nevus": 26,
        "seborrheic_keratosis": 2,
        "lentigo": 1,
        "benign": 252,
    }
    assert len({s.patient for s in isic2020.where(label="melanoma")}) == 28
    assert all(s.patient is not None and s.sex is not None for s in isic2020)
    assert sum(s.site is None for s in isic2020) == 2
    assert isic2020.splits == ("train",)
    assert isic2020.warnings == ()


def test_isic2020_as_two_classes(isic2020: Table, real_data: Path) -> None:
    two = open_dataset(real_data / "isic2020", ("melanoma", "benign"))
    assert two.counts() == {"melanoma": 39, "benign": 281}
    assert two.ids == isic2020.ids


def test_isic2020_by_patient(isic2020: Table) -> None:
    groups = make_groups(isic2020, ("patient",))
    assert len(groups) == len({s.patient for s in isic2020})


def test_artefacts_of_isic2017(real_data: Path) -> None:
    table = open_dataset(there(real_data / "isic2017"))
    known = [s for s in table if s.artefacts != NOTHING_KNOWN]
    assert len(known) == 1921
    assert all(None not in (s.artefacts.hair, s.artefacts.ink) for s in known)
    assert table.warnings == ()


def test_zoome_knows_the_sites_of_every_set(real_data: Path, isic2020: Table) -> None:
    told = load_recipe("zoome").metadata
    assert told is not None
    for sample in (*open_dataset(there(real_data / "ham10000")), *isic2020):
        assert told.encode(metadata(sample)).shape == (1, told.width)
