"""Places on the body: ISIC 2020's words for them, whoever describes them more finely."""

from __future__ import annotations

_PARTS = {
    "head/neck": ("face", "scalp", "ear", "neck"),
    "upper extremity": ("hand",),
    "lower extremity": ("foot",),
    # ISIC 2019 tells the sides of the torso apart, HAM10000 its regions.
    "torso": (
        "anterior torso", "posterior torso", "lateral torso", "trunk", "back", "chest", "abdomen",
    ),
    "palms/soles": ("acral",),
    "oral/genital": ("genital",),
}  # fmt: skip
_WITHIN = {part: site for site, parts in _PARTS.items() for part in parts}


def site_of(text: str | None) -> str | None:
    """What nobody knows stays as it is written: a data set of one's own may have its own words."""
    return None if text is None else _WITHIN.get(text.lower(), text.lower())
