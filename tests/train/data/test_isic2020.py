"""ISIC 2020: as Kaggle and as the ISIC give it, patients, and duplicates of which one is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InputError
from tests.train.data.trees import (
    HEADER_2020,
    ROWS_2020,
    isic2020_kaggle,
    isic2020_official,
    table,
)
from train.data.isic2020 import DUPLICATES, _copies, read, recognises
from train.data.published import PublishedSet
from train.data.splits import make_groups


def test_kaggles_layout(tmp_path: Path) -> None:
    found = read(isic2020_kaggle(tmp_path))
    assert recognises(tmp_path)
    assert found.labels == ("benign", "nevus", "melanoma", "lentigo", None)
    assert [s.patient for s in found[1::2]] == ["IP_2842074", "IP_2842074"]
    assert [(s.age, s.sex, s.site) for s in found[2:]] == [
        (55.0, "female", "upper extremity"),
        (None, None, None),
        (70.0, "male", None),
    ]
    assert found[4].split == "test"
    assert [w.split(":")[1][:13] for w in found.warnings] == [" no ISIC_2020", " no table of "]


def test_images_of_a_patient_stay_together(tmp_path: Path) -> None:
    groups = make_groups(read(isic2020_kaggle(tmp_path)), ("patient",))
    assert ("ISIC_0052212", "ISIC_0279038") in groups


def test_the_official_layout(tmp_path: Path) -> None:
    """Its second table has lesions; of two duplicates the first is kept."""
    found = read(isic2020_official(tmp_path))
    assert recognises(tmp_path)
    assert found.ids == ("ISIC_0015719", "ISIC_0052212", "ISIC_0149568", "ISIC_0052060")
    assert [s.lesion for s in found] == ["IL_0", "IL_1", "IL_2", None]
    assert (found[3].patient, found[3].age, found[3].sex) == ("IP_3579794", 70.0, "male")
    assert "1 images are left out as duplicates of others" in found.warnings[0]


def test_two_classes_are_enough(tmp_path: Path) -> None:
    found = read(isic2020_kaggle(tmp_path), ("melanoma", "benign"))
    assert found.targets.tolist() == [1, 1, 0, 1, -1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("unknown,benign,0", "unknown,benign,2", "line 2: target is '2', not 0 or 1"),
        ("unknown,benign,0", "unknown,malignant,0", "benign_malignant is 'malignant' where target"),
        ("nevus,benign,0", "wart,benign,0", "line 3: diagnosis is 'wart', not one of melanoma"),
        ("nevus,benign,0", "nevus,malignant,1", "line 3: diagnosis is 'nevus' where target is 1"),
        ("melanoma,malignant,1", "melanoma,benign,0", "line 4: diagnosis is 'melanoma' where tar"),
        ("female,45.0", "girl,45.0", "line 2: sex is 'girl', not one of m, male, f, female"),
        ("female,45.0", "female,-1", "line 2: age is '-1', not a number of years from 0 to 120"),
    ],
)
def test_rows_that_contradict_themselves(tmp_path: Path, old: str, new: str, message: str) -> None:
    isic2020_kaggle(tmp_path)
    lines = "\n".join(ROWS_2020).replace(old, new)
    table(tmp_path / "train.csv", HEADER_2020, lines)
    with pytest.raises(InputError, match=message):
        read(tmp_path)


def test_malignant_without_a_diagnosis_is_not_called_melanoma(tmp_path: Path) -> None:
    isic2020_kaggle(tmp_path)
    lines = "\n".join(ROWS_2020).replace("melanoma,malignant,1", "unknown,malignant,1")
    table(tmp_path / "train.csv", HEADER_2020, lines)
    assert read(tmp_path)[2].label == "malignant"


def test_training_images_without_their_table(tmp_path: Path) -> None:
    isic2020_official(tmp_path)
    for name in ("_v2", ""):
        (tmp_path / f"ISIC_2020_Training_GroundTruth{name}.csv").unlink()
    with pytest.raises(InputError, match=r"ISIC_2020_Training_GroundTruth_v2\.csv is missing"):
        read(tmp_path)


def test_a_table_without_any_images(tmp_path: Path) -> None:
    table(tmp_path / "train.csv", HEADER_2020, *ROWS_2020)
    assert recognises(tmp_path)
    with pytest.raises(InputError, match="none of its folders of images is there"):
        read(tmp_path)


def test_anybodys_train_csv_is_not_theirs(tmp_path: Path) -> None:
    table(tmp_path / "train.csv", "image,label", "a.png,nevus")
    assert not recognises(tmp_path)


NAMES = st.sampled_from("abcdefgh")


@given(st.sets(NAMES, min_size=1), st.lists(st.tuples(NAMES, NAMES), max_size=12))
def test_one_of_each_chain_of_duplicates_is_kept(
    tmp_path_factory: pytest.TempPathFactory, images: set[str], pairs: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    table(folder / DUPLICATES, "image_name_1,image_name_2", *(",".join(pair) for pair in pairs))
    left_out = _copies(PublishedSet("isic2020", folder), images)
    chains = {name: {name} for name in images}
    for first, second in pairs:
        if {first, second} <= images:
            joined = chains[first] | chains[second]
            chains |= dict.fromkeys(joined, joined)
    assert all(len(chain - left_out) == 1 for chain in chains.values())
