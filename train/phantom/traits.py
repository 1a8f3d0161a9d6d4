"""What a phantom shows, drawn from its class before anything is painted.

Every cue occurs in every class and only its frequency differs, so that none of them decides.
Artefacts (hair, rulers, ink, …) are independent of the class on purpose: a network that uses
them as a shortcut gains nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LABELS = ("melanoma", "seborrheic_keratosis", "nevus")
TONES = 18

# Ten consecutive phantoms hold 5 nevi, 3 melanomas and 2 keratoses; the first six of them hold
# two of each. Real dermoscopy is far more skewed (69 % nevi in ISIC 2017): small test sets need
# every class in every split.
_BLOCK = ((0, 1, 2), (0, 1, 2), (2, 2, 2, 0))

# Frequencies for melanoma, seborrheic keratosis, nevus.
CUES: dict[str, tuple[float, float, float]] = {
    "network": (0.55, 0.12, 0.62),
    "globules": (0.50, 0.14, 0.42),
    "streaks": (0.42, 0.06, 0.10),
    "blue_white_veil": (0.48, 0.12, 0.06),
    "regression": (0.38, 0.12, 0.08),
    "milia_like_cysts": (0.10, 0.62, 0.07),
    "comedo_like_openings": (0.06, 0.50, 0.05),
    "fissures": (0.06, 0.45, 0.05),
}

ARTEFACTS: dict[str, float] = {
    "dark_corner": 0.38,
    "hair": 0.55,
    "gel_border": 0.15,
    "gel_bubble": 0.30,
    "ruler": 0.40,
    "ink": 0.14,
    "patches": 0.05,
}

# Mean and deviation for each class, in LABELS' order; the classes overlap in all of them.
_SCALARS: dict[str, tuple[tuple[float, float], ...]] = {
    "asymmetry": ((0.58, 0.24), (0.42, 0.22), (0.36, 0.22)),
    "variegation": ((0.60, 0.24), (0.44, 0.22), (0.38, 0.22)),
    "irregularity": ((0.55, 0.24), (0.40, 0.22), (0.40, 0.22)),
    "darkness": ((0.58, 0.24), (0.32, 0.22), (0.42, 0.22)),
    "softness": ((0.45, 0.24), (0.28, 0.20), (0.50, 0.24)),
    "yellowness": ((0.34, 0.22), (0.56, 0.24), (0.42, 0.22)),
}
_LOG_AREA = ((-1.45, 0.50), (-2.0, 0.60), (-1.85, 0.55))
_AGE = ((61, 16), (65, 13), (42, 18))
_MALE = (0.61, 0.51, 0.48)
_SITES = (
    "anterior torso",
    "posterior torso",
    "lower extremity",
    "upper extremity",
    "head/neck",
    "palms/soles",
)
_SITE_ODDS = (
    (0.20, 0.28, 0.20, 0.17, 0.12, 0.03),
    (0.24, 0.24, 0.13, 0.12, 0.26, 0.01),
    (0.28, 0.30, 0.21, 0.13, 0.05, 0.03),
)
_UNKNOWN = 0.08


@dataclass(frozen=True)
class Traits:
    label: str
    tone: int
    cues: dict[str, bool]
    artefacts: dict[str, bool]
    asymmetry: float
    variegation: float
    irregularity: float
    darkness: float
    softness: float
    yellowness: float
    area: float
    age: int | None
    sex: str | None
    site: str | None


def label_of(seed: int, index: int) -> str:
    """The class of phantom `index`, known without drawing it, so that splits can be stratified."""
    rng = np.random.default_rng([seed, index // 10, 977])
    order = np.concatenate([rng.permutation(part) for part in _BLOCK])
    return LABELS[order[index % 10]]


def draw_traits(rng: np.random.Generator, label: str) -> Traits:
    kind = LABELS.index(label)
    scalars = {k: float(np.clip(rng.normal(*v[kind]), 0, 1)) for k, v in _SCALARS.items()}
    area = float(np.clip(np.exp(rng.normal(*_LOG_AREA[kind])), 0.04, 0.55))
    age = int(np.clip(5 * round(rng.normal(*_AGE[kind]) / 5), 5, 85))
    sex = "male" if rng.random() < _MALE[kind] else "female"
    site = str(rng.choice(_SITES, p=_SITE_ODDS[kind]))
    unknown = rng.random(3) < _UNKNOWN
    return Traits(
        label=label,
        tone=int(rng.integers(1, TONES + 1)),
        cues={name: bool(rng.random() < odds[kind]) for name, odds in CUES.items()},
        artefacts={name: bool(rng.random() < odds) for name, odds in ARTEFACTS.items()},
        area=area,
        age=None if unknown[0] else age,
        sex=None if unknown[1] else sex,
        site=None if unknown[2] else site,
        **scalars,
    )
