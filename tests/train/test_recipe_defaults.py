"""A field's default never changes: a stage leaves out what is at its default, and would take what
was made with the old one for its own (train/stage.py). A new meaning gets a new name."""

from __future__ import annotations

import json
from pathlib import Path

from runtime.metadata import MetadataSpec
from runtime.specs import Spec, ViewSpec
from train.recipe import Recipe
from train.stages import __path__ as stages

KNOWN = Path(__file__).with_name("recipe_defaults.json")


def parts_of(part: type[Spec]) -> set[type[Spec]]:
    """A part of a recipe, and all that may stand in its fields."""
    inside = {part}
    for field in part.model_fields.values():
        for own in specs_in(field.annotation):
            inside |= parts_of(own)
    return inside


def specs_in(annotation: object) -> set[type[Spec]]:
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return {annotation}
    inside: set[type[Spec]] = set()
    for argument in getattr(annotation, "__args__", ()):
        inside |= specs_in(argument)
    return inside


def test_a_default_stays_what_it_was() -> None:
    """Whoever adds a field adds its line to recipe_defaults.json, and changes no other."""
    parts = parts_of(Recipe) | parts_of(MetadataSpec) | parts_of(ViewSpec)
    now = {
        f"{part.__name__}.{name}": repr(field.get_default(call_default_factory=True))
        for part in parts
        for name, field in part.model_fields.items()
        if not field.is_required()
    }
    assert now == json.loads(KNOWN.read_text(encoding="utf-8"))


def test_no_stage_spells_a_part_out_itself() -> None:
    """It gives the part, of which only what differs from a default becomes its key."""
    files = [file for folder in stages for file in Path(folder).glob("*.py")]
    assert len(files) > 5
    assert not [file.name for file in files if "model_dump" in file.read_text(encoding="utf-8")]
