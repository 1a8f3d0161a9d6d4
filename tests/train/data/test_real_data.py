"""What is known about the published images, where they are at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from train.data.duplicates import find_pairs
from train.data.open_dataset import open_dataset
from train.data.overlaps import Overlap, find_within
from train.data.splits import make_folds
from train.data.table import Table

pytestmark = pytest.mark.slow

# Every pair was looked at: the same hairs in the same places under another white balance.
SHARED_WITH_VALIDATION = [
    ("bytes", "ISIC_0012970", "ISIC_0012127"),
    ("phash", "ISIC_0000157", "ISIC_0014946"),
    ("phash", "ISIC_0000171", "ISIC_0015124"),
    ("phash", "ISIC_0000215", "ISIC_0015313"),
]


@pytest.fixture(scope="module")
def isic2017(real_data: Path) -> Table:
    folder = real_data / "isic2017"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    return open_dataset(folder)


def test_counts_are_the_published_ones(isic2017: Table) -> None:
    published = {"train": (374, 254, 1372), "validation": (30, 42, 78)}
    for split, counts in published.items():
        assert tuple(isic2017.where(split=split).counts().values()) == counts
    assert all(s.mask is not None for s in isic2017)


def test_training_and_validation_share_four_lesions(isic2017: Table) -> None:
    within = find_within(isic2017)

    def names(overlaps: list[Overlap]) -> list[tuple[str, str, str]]:
        return [(o.kind, o.a_id, o.b_id) for o in overlaps]

    assert names(within.splits["train", "validation"]) == SHARED_WITH_VALIDATION
    assert len(within.repeats) == 15
    assert not any("labels differ" in o.detail for o in within.repeats)


def test_folds_of_the_real_set(isic2017: Table) -> None:
    folds = make_folds(isic2017, 5)
    for _, one, other in SHARED_WITH_VALIDATION:
        assert folds[one] == folds[other]
    for label, total in isic2017.counts().items():
        for fold in range(5):
            count = sum(folds[s.id] == fold for s in isic2017 if s.label == label)
            assert abs(count - total / 5) <= 1


def test_large_copies_are_found(isic2017: Table, real_data: Path) -> None:
    large = sorted((real_data / "fullsize").glob("*.jpg"))
    if not large:
        pytest.skip(f"needs {real_data / 'fullsize'}")
    pairs = find_pairs(large, [s.image for s in isic2017])
    found = [(large[p.first].stem, isic2017[p.second].id) for p in pairs]
    assert found == [(path.stem, path.stem) for path in large]
