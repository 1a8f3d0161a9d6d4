"""What is written as ISIC 2020 is read as what it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from train.data.isic2020 import CLASSES
from train.data.isic2020_folder import has_place_for, picture_file, write_table
from train.data.open_dataset import open_dataset
from train.data.table import Sample
from train.data.vocabulary import VOCABULARY

WHOLE = Sample(
    "a", "mine", Path("a.jpg"), "melanoma", "", patient="p1", lesion="l1", age=45.0, sex="female",
    site="torso",
)  # fmt: skip


def written(folder: Path, samples: list[Sample]) -> dict[str, Sample]:
    for sample in samples:
        file = picture_file(folder, sample.id)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(cv2.imencode(".jpg", np.full((8, 8, 3), 90, np.uint8))[1].tobytes())
    write_table(folder, samples)
    return {sample.id: sample for sample in open_dataset(folder)}


@pytest.mark.parametrize("label", CLASSES)
def test_what_isic_2020_has_a_word_for_comes_back(label: str, tmp_path: Path) -> None:
    found = written(tmp_path, [replace(WHOLE, label=label), Sample("b", "", Path(), "nevus", "")])
    assert found["a"].label == label
    facts = ("patient", "lesion", "age", "sex", "site")
    assert [getattr(found["a"], f) for f in facts] == [getattr(WHOLE, f) for f in facts]
    assert [getattr(found["b"], f) for f in facts] == [None] * 5


def test_other_diseases_count_as_the_broader_word(tmp_path: Path) -> None:
    known = [label for label in VOCABULARY if has_place_for(label)]
    assert set(VOCABULARY) - set(known) == {
        "actinic_keratosis_or_bowen", "actinic_keratosis", "other",
    }  # fmt: skip
    assert not has_place_for(None)
    samples = [replace(WHOLE, id=label, label=label) for label in known]
    found = written(tmp_path, samples)
    assert found["basal_cell_carcinoma"].label == "malignant"
    assert found["dermatofibroma"].label == "benign"
    assert found["atypical_nevus"].label == "nevus"
