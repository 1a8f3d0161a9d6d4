"""Names of diseases: which class a label counts as, and that it never becomes a narrower one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.boundaries.source_tree import ROOT
from train.data.artefacts import ARTEFACTS
from train.data.open_dataset import PUBLISHED
from train.data.vocabulary import CODES, VOCABULARY, as_one_of


def broader(name: str) -> list[str]:
    within = VOCABULARY[name].within
    return [] if within is None else [within, *broader(within)]


@pytest.mark.parametrize(
    ("label", "classes", "expected"),
    [
        ("melanoma", ("melanoma", "nevus"), "melanoma"),
        ("MELANOMA", ("Melanoma", "nevus"), "Melanoma"),
        ("atypical_nevus", ("melanoma", "nevus"), "nevus"),
        ("atypical_nevus", ("benign", "nevus"), "nevus"),
        ("atypical_nevus", ("melanoma", "benign"), "benign"),
        ("seborrheic_keratosis", ("benign_keratosis",), "benign_keratosis"),
        ("benign_keratosis", ("seborrheic_keratosis",), "benign_keratosis"),
        ("malignant", ("melanoma", "benign"), "malignant"),
        ("actinic_keratosis_or_bowen", ("malignant", "benign"), "actinic_keratosis_or_bowen"),
        ("mole", ("melanoma", "nevus"), "mole"),
        ("mole", ("Mole",), "Mole"),
        ("basal_cell_carcinoma", ("melanoma", "not_melanoma"), "not_melanoma"),
        ("Nevus", ("melanoma", "Not_Melanoma"), "Not_Melanoma"),
        ("benign", ("melanoma", "not_melanoma"), "not_melanoma"),
        ("nevus", ("nevus", "not_nevus", "not_melanoma"), "nevus"),
        ("malignant", ("melanoma", "not_melanoma"), "malignant"),  # which may be one
        ("mole", ("melanoma", "not_melanoma"), "mole"),
        ("nevus", ("not_a_disease",), "nevus"),
    ],
)
def test_a_label_counts_as_itself_or_as_what_it_is_part_of(
    label: str, classes: tuple[str, ...], expected: str
) -> None:
    assert as_one_of(label, classes) == expected


@given(st.sampled_from(sorted(VOCABULARY)), st.lists(st.sampled_from(sorted(VOCABULARY))))
def test_never_a_narrower_class(label: str, classes: list[str]) -> None:
    found = as_one_of(label, classes)
    assert found in [label, *broader(label)]
    assert found in classes or not {label, *broader(label)} & set(classes)


def test_every_name_that_is_used_is_defined() -> None:
    assert set(CODES.values()) <= set(VOCABULARY)
    assert all(set(broader(name)) <= set(VOCABULARY) for name in VOCABULARY)


def test_the_document_has_every_set_every_class_and_every_flag() -> None:
    document = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    for name, disease in VOCABULARY.items():
        within = f"`{disease.within}`" if disease.within else "–"
        assert f"| `{name}` | {within} | {disease.meaning} |" in document
    assert all(f"| {known.name} | " in document for known in PUBLISHED)
    assert all(f"`{flag}`" in document for flag in ARTEFACTS)
