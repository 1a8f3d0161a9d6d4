"""Recipes as files: a shipped one by its name, any YAML file by its path, and as NAME/VARIANT with
a variant's fields in their places."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from runtime.errors import UsageError
from train.recipe import Recipe


def shipped_recipes() -> list[str]:
    """Names of the recipes in train/recipes."""
    names = [entry.name for entry in files("train").joinpath("recipes").iterdir()]
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def variants_of(name: str) -> list[str]:
    """Of a shipped recipe."""
    return list(yaml.safe_load(_shipped(name)).get("variants") or {})


def load_recipe(name: str) -> Recipe:
    """A shipped recipe by its name, or any YAML file by its path; NAME/VARIANT is one of its
    variants, NAME/ONE+OTHER two of them, the second put over the first."""
    if Path(name).is_file():
        return parse_recipe(_read(Path(name)), name)
    shipped, _, variant = name.partition("/")
    if shipped in shipped_recipes():
        text = _shipped(shipped)
    else:
        raise UsageError(
            "There is no such recipe.",
            got=name,
            expected=", ".join(shipped_recipes()) + ", or the path of a YAML file",
            remedy="copy a shipped recipe, change it, and give its path",
        )
    return parse_recipe(text, name, variant)


def _shipped(name: str) -> str:
    return (files("train") / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError("The recipe cannot be read.", got=f"{file}: {exc}") from exc


def parse_recipe(text: str, where: str, variant: str = "") -> Recipe:
    try:
        fields = yaml.safe_load(text)
        return Recipe.model_validate(_varied(fields, variant, where))
    except yaml.YAMLError as exc:
        raise UsageError(f"Recipe {where} is not valid YAML.", got=exc) from exc
    except ValidationError as exc:
        problems = [f"{_place(error['loc']) or 'recipe'}: {error['msg']}" for error in exc.errors()]
        raise UsageError(
            f"Recipe {where} does not fit the schema.",
            got="; ".join(problems),
            remedy="Compare it with train/recipes/ding.yaml.",
        ) from exc


def _varied(fields: Any, variant: str, where: str) -> Any:
    """The recipe's fields with those of some of its `variants` in their places."""
    if not isinstance(fields, dict):
        return fields
    variants: dict[str, dict[str, Any]] = fields.pop("variants", None) or {}
    if not variant:
        return fields
    varied = fields
    for name in variant.split("+"):
        if name not in variants:
            raise UsageError(
                "The recipe has no such variant.",
                got=where,
                expected=", ".join(variants) or "no variant: it has none",
                remedy="name one of them behind the slash, or leave slash and variant out",
            )
        varied = _merged(varied, variants[name]) | {"name": f"{varied.get('name', '')}-{name}"}
    # A variant takes a member or a view out by a null.
    return varied | {part: _without_nulls(varied.get(part) or {}) for part in ("members", "views")}


def _without_nulls(named: dict[str, Any]) -> dict[str, Any]:
    return {name: own for name, own in named.items() if own is not None}


def _merged(fields: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What both have, field by field; a part of another kind takes the place of what was there, and
    another backbone takes none of the options that were for the one before."""
    both = dict(fields)
    if other.get("backbone", both.get("backbone")) != both.get("backbone"):
        both.pop("options", None)
    for name, value in other.items():
        known = both.get(name)
        if isinstance(known, dict) and isinstance(value, dict) and _of_one_kind(known, value):
            both[name] = _merged(known, value)
        else:
            both[name] = value
    return both


def _of_one_kind(known: dict[str, Any], value: dict[str, Any]) -> bool:
    return all(value.get(name, known.get(name)) == known.get(name) for name in ("kind", "method"))


def _place(loc: tuple[int | str, ...]) -> str:
    """Where in the file: without the kind of a part, which pydantic puts behind its name."""
    parts = [str(part) for part in loc]
    kind = {"members": 2, "ensemble": 1, "purifier": 1}.get(parts[0] if parts else "")
    if kind is not None and len(parts) > kind:
        del parts[kind]
    return ".".join(parts)
