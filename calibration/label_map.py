"""`--map LABEL=CLASS`: what a data set calls a disease, and what the bundle calls it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runtime.errors import UsageError
from train.data.vocabulary import as_one_of


def parse_map(pairs: Sequence[str]) -> dict[str, str]:
    names = {}
    for pair in pairs:
        label, equals, name = (part.strip() for part in pair.partition("="))
        if not label or not equals or not name:
            raise UsageError(
                "--map takes a label and a class.",
                got=pair,
                expected="LABEL=CLASS",
                remedy="--map nv=nevus, once for each label that has another name",
            )
        names[label] = name
    return names


def class_of(label: str | None, names: Mapping[str, str], classes: Sequence[str]) -> str | None:
    """The bundle's name for a label: as told by `names`, else the class that it belongs to."""
    if label is None:
        return None
    return names.get(label) or as_one_of(label, classes)
