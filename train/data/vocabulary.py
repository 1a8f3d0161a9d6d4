"""What diseases are called: one name for each, whatever a publisher's table abbreviates it to.

A class may be part of a broader one: a melanoma is malignant, an atypical nevus is a nevus. Where
only the broader one is asked for, its parts count as it. Never the other way round: not every
malignant lesion is a melanoma.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Disease:
    meaning: str
    within: str | None = None  # the next broader class


VOCABULARY: dict[str, Disease] = {
    "melanoma": Disease("melanoma, in situ or invasive", "malignant"),
    "nevus": Disease("melanocytic nevus", "benign"),
    "atypical_nevus": Disease("nevus with atypical features (PH2)", "nevus"),
    "basal_cell_carcinoma": Disease("basal cell carcinoma", "malignant"),
    "squamous_cell_carcinoma": Disease("squamous cell carcinoma", "malignant"),
    # Precursors and carcinoma in situ: publishers disagree on whether they are malignant.
    "actinic_keratosis_or_bowen": Disease("AKIEC: actinic keratosis or Bowen's disease"),
    "actinic_keratosis": Disease("AK: actinic keratosis alone", "actinic_keratosis_or_bowen"),
    "benign_keratosis": Disease("BKL: any of the three keratoses below", "benign"),
    "seborrheic_keratosis": Disease("seborrheic keratosis", "benign_keratosis"),
    "solar_lentigo": Disease("solar lentigo", "benign_keratosis"),
    "lichenoid_keratosis": Disease("lichen planus-like keratosis", "benign_keratosis"),
    "lentigo": Disease("lentigo, not otherwise specified", "benign"),
    "cafe_au_lait_macule": Disease("café-au-lait macule", "benign"),
    "dermatofibroma": Disease("dermatofibroma", "benign"),
    "vascular_lesion": Disease("angioma, angiokeratoma, pyogenic granuloma, bleeding", "benign"),
    "other": Disease("UNK: a disease that is none of the publisher's other classes"),
    "benign": Disease("benign, the disease is not told"),
    "malignant": Disease("malignant, the disease is not told"),
}

NOT = "not_"
"""Before a disease: everything that is known to be another one."""

CODES = {
    "MEL": "melanoma",
    "NV": "nevus",
    "BCC": "basal_cell_carcinoma",
    "AKIEC": "actinic_keratosis_or_bowen",
    "AK": "actinic_keratosis",
    "BKL": "benign_keratosis",
    "DF": "dermatofibroma",
    "VASC": "vascular_lesion",
    "SCC": "squamous_cell_carcinoma",
    "UNK": "other",
}
"""As ISIC 2018, ISIC 2019 and, in lower case, HAM10000 abbreviate."""


def as_one_of(label: str, classes: Sequence[str]) -> str:
    """The class that a label belongs to: its own, whatever the case, else the next broader one,
    else not_melanoma or its like, which hold every disease that is known to be another.

    A label that belongs to none of them is returned as it is, for the caller to judge.
    """
    for name in _broader(label):
        for wanted in classes:
            if wanted.lower() == name.lower():
                return wanted
    for wanted in classes:
        if _is_another(label.lower(), wanted.lower().removeprefix(NOT), wanted.lower()):
            return wanted
    return label


def _is_another(label: str, disease: str, wanted: str) -> bool:
    """Whether it surely is not the disease: what is only known to be malignant may be one."""
    if not wanted.startswith(NOT) or {label, disease} - VOCABULARY.keys():
        return False
    return disease not in _broader(label) and label not in _broader(disease)


def _broader(label: str) -> Iterator[str]:
    yield label
    disease = VOCABULARY.get(label.lower())
    while disease is not None and disease.within is not None:
        yield disease.within
        disease = VOCABULARY[disease.within]
