"""`dermedge reproduce`: a paper's tables beside ours, row by row."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.command import Verb
from train.reproducing.published import TABLES

if TYPE_CHECKING:
    from train.recipe import Recipe
    from train.reproducing.published import PaperTable, Row
    from train.trainer import Machine

EPILOG = """\b
Examples:
  dermedge reproduce zoome --data ISIC2020 --out reproduced
  dermedge reproduce zoome --data ISIC2020 --out as_published --split paper
  dermedge reproduce zoome --data ISIC2017 --out light --light

Rows that are done are not trained again: a run that was stopped goes on with the same command.
"""
NOT_RUN = "–"


@click.command("reproduce", cls=Verb, epilog=EPILOG)
@click.argument("name", type=click.Choice(list(TABLES)))
@click.option(
    "--data", required=True, multiple=True, type=click.Path(path_type=Path), help="As with train."
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="A folder for all rows."
)
@click.option(
    "--light", is_flag=True, help="Small networks from random weights, which need no GPU."
)
@click.option(
    "--split",
    type=click.Choice(["patient", "paper"]),
    default="patient",
    show_default=True,
    help="Folds by patient, which is honest, or by image, as published.",
)
@click.option("--weights", multiple=True, metavar="[BACKBONE=]FILE", help="As with train.")
@click.option("--devices", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--workers", type=click.IntRange(min=0), help="As with train.")
def command(
    name: str,
    data: tuple[Path, ...],
    out: Path,
    light: bool,
    split: str,
    weights: tuple[str, ...],
    devices: int,
    workers: int | None,
) -> None:
    """Train what a paper's tables compare, and print its figures beside ours."""
    from train.trainer import Machine, check_machine
    from train.weights import parse_weights

    recipes = {row.what: _recipe(name, row, light) for table in TABLES[name] for row in table.rows}
    known = [recipe for recipe in recipes.values() if recipe is not None]
    backbones = {member.backbone for recipe in known for member in recipe.members.values()}
    machine = Machine(
        devices=devices,
        weights=parse_weights(weights, backbones),
        workers=min((os.cpu_count() or 1) - 1, 8) if workers is None else workers,
    )
    check_machine(machine)
    found = [_rerun(table, recipes, data, out, machine, split) for table in TABLES[name]]
    (out / "tables.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    text = "\n".join(_as_text(table) for table in found)
    (out / "tables.md").write_text(text, encoding="utf-8")
    click.echo(text)


def _recipe(name: str, row: Row, light: bool) -> Recipe | None:
    from train.recipe import load_recipe

    variant = row.light if light else row.variant
    if variant is None:
        return None
    return load_recipe(f"{name}/{variant}" if variant else name)


def _rerun(
    table: PaperTable,
    recipes: dict[str, Recipe | None],
    data: tuple[Path, ...],
    out: Path,
    machine: Machine,
    split: str,
) -> dict[str, Any]:
    rows = []
    for row in table.rows:
        recipe = recipes[row.what]
        ours, differs = (
            ({}, row.note) if recipe is None else _ours(row, recipe, data, out, machine, split)
        )
        rows.append({"what": row.what, "paper": row.paper, "ours": ours, "differs": differs})
    return {"title": table.title, "columns": list(table.columns), "rows": rows}


def _ours(
    row: Row, recipe: Recipe, data: tuple[Path, ...], out: Path, machine: Machine, split: str
) -> tuple[dict[str, str], str]:
    from train.fit import prepare
    from train.reproducing.by_fold import by_fold

    place = out / recipe.name
    pipeline = prepare(recipe, data, place, machine, split)
    pipeline.run(final=False)
    said = pipeline.classifying.out_of_fold(row.without)
    table = pipeline.table
    code = recipe.classes.index(recipe.score)
    figures = by_fold(said[:, 0, code], table.targets == code, pipeline.folds)
    counts = ", ".join(f"{count} {label}" for label, count in table.counts().items())
    (member,) = recipe.members.values()
    differs = [
        row.note,
        f"{member.backbone} at {member.size[1]} × {member.size[0]}",
        "from ImageNet" if recipe.pretrained else "from random weights",
        f"{recipe.folds} folds by {'patient' if split == 'patient' else 'image'}",
        f"{table.name}: {counts}",
    ]
    return {name: str(value) for name, value in figures.items()}, "; ".join(filter(None, differs))


def _as_text(table: dict[str, Any]) -> str:
    columns = table["columns"]
    head = ["", *(f"{name}, {whose}" for name in columns for whose in ("paper", "ours")), "ours is"]
    lines = [f"## {table['title']}", "", _line(head), _line(["---"] * len(head))]
    for row in table["rows"]:
        pairs = [row[whose].get(name, NOT_RUN) for name in columns for whose in ("paper", "ours")]
        lines.append(_line([row["what"], *pairs, row["differs"] or "not run"]))
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    command()
