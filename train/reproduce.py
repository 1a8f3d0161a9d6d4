"""`dermedge reproduce`: a paper's tables beside ours, row by row."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.command import Verb
from train.data.data_option import data_option
from train.training_options import Choices, training_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from train.pipeline import Pipeline
    from train.recipe import Recipe
    from train.reproducing.tables import PaperTable, Row

EPILOG = """\b
Examples:
  dermedge reproduce zoome --data ISIC2020 --out reproduced
  dermedge reproduce zoome --data ISIC2020 --out as_published --split paper
  dermedge reproduce goel --data ISIC2020 --masks HAM10000 --out goel
  dermedge reproduce ding --data ISIC2017 --out light --light
  dermedge reproduce goel --data ISIC2017 --light --weights mobilenetv2_100=FILE --out light
  dermedge reproduce edge --data ISIC2017 --out edge     # what each of its choices does
  dermedge reproduce edge --data ISIC2017 --out edge --row one --row one+no_ema --row edge

--row names variants as recipes do, and the recipe itself by its name; a table's first row is always
there, to hold the others against. Rows that are done are not trained again: a run that was stopped
goes on with the same command.
"""
PAPERS = ("bhardwaj", "bisla", "ding", "edge", "goel", "zoome")
NOT_RUN = "–"
VALIDATION = "validation"
AGAINST = "against the first row"


@click.command("reproduce", cls=Verb, epilog=EPILOG)
@click.argument("name", type=click.Choice(PAPERS))
@data_option
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="A folder for all rows."
)
@click.option("--light", is_flag=True, help="Small networks, which need no GPU.")
@click.option(
    "--row",
    "only",
    multiple=True,
    metavar="VARIANT",
    help="Only the rows of this, written to rows.md; may be repeated.",
)
@training_options
def command(
    name: str,
    data: tuple[Path, ...],
    out: Path,
    light: bool,
    only: tuple[str, ...],
    **options: Any,
) -> None:
    """Train what a paper's tables compare; print its figures beside ours, and draw where networks
    look."""
    from train.fit import prepare, weights_of
    from train.reproducing.differences import HOW
    from train.reproducing.heat_figure import draw
    from train.reproducing.papers import FIGURES, TABLES

    choices = Choices(**options)
    tables = [table for table in TABLES[name] if any(_variants(r, light) for r in table.rows)]
    tables = _picked(tables, name, only, light) if only else tables
    chosen = [_variants(row, light) for table in tables for row in table.rows]
    recipes = {variant: _recipe(name, variant) for variants in chosen for variant in variants}
    machine = choices.machine(set().union(*map(weights_of, recipes.values())))
    refused = _refused(recipes, data, choices)
    runs: dict[str, Pipeline] = {}

    def run_of(variant: str) -> Pipeline:
        """What an earlier variant trained with the same inputs is not trained again."""
        if variant not in runs:
            beside = tuple(out / recipes[other].name for other in runs)
            recipe = choices.recipe(recipes[variant])
            masks = choices.masks if recipe.segmenter is not None else ()
            place = out / recipe.name
            run = prepare(recipe, data, place, machine, choices.split, beside, masks)
            run.run(final=False)
            runs[variant] = run
        return runs[variant]

    found: list[dict[str, Any]] = []
    for table in tables:
        found.append(_rerun(table, light, run_of, choices.split, refused))
        _write(out, "rows" if only else "tables", found)
        click.echo(_as_text(found[-1]))
    click.echo(f"{HOW}\n")
    for figure in FIGURES.get(name, ()):
        each = [_variants(row, light) for row in figure.rows]
        wanted = {variant for variants in each for variant in variants}
        if all(each) and wanted <= recipes.keys() - refused.keys():
            file = out / f"{figure.name}.png"
            draw(file, figure, [run_of(variant) for (variant,) in each])
            click.echo(f"{figure.title}: {file}")


def _write(out: Path, name: str, tables: list[dict[str, Any]]) -> None:
    """Rows that were picked do not take the place of whole tables."""
    from train.reproducing.differences import HOW

    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps(tables, indent=1) + "\n", encoding="utf-8")
    text = "\n".join([*map(_as_text, tables), f"{HOW}\n"])
    (out / f"{name}.md").write_text(text, encoding="utf-8")


def _refused(
    recipes: dict[str, Recipe], data: tuple[Path, ...], choices: Choices
) -> dict[str, str]:
    """Variants that cannot be trained on these images, and why, before any is. A paper's tables may
    be of several data sets."""
    from runtime.errors import UsageError
    from train.given_data import open_labelled

    refused: dict[str, UsageError] = {}
    for variant, recipe in recipes.items():
        try:
            open_labelled(data, recipe, needs_masks=not choices.masks)
        except UsageError as error:
            refused[variant] = error
    if refused and len(refused) == len(recipes):
        raise next(iter(refused.values()))
    return {variant: error.one_line for variant, error in refused.items()}


def _picked(
    tables: list[PaperTable], name: str, only: tuple[str, ...], light: bool
) -> list[PaperTable]:
    """The rows that are asked for, and in front of them the first of their table."""
    from runtime.errors import UsageError

    asked = {"" if word == name else word for word in only}
    known = {variant for t in tables for row in t.rows for variant in _variants(row, light)}
    if unknown := asked - known:
        raise UsageError(
            f"No row of {name} is of {' or '.join(sorted(unknown))}.",
            got=" ".join(f"--row {word}" for word in only),
            expected=", ".join(sorted(variant or name for variant in known)),
        )
    found = []
    for table in tables:
        first, *others = table.rows
        kept = [row for row in others if asked & set(_variants(row, light))]
        if kept or asked & set(_variants(first, light)):
            found.append(replace(table, rows=(first, *kept)))
    return found


def _variants(row: Row, light: bool) -> tuple[str, ...]:
    return row.light if light else row.variants


def _recipe(name: str, variant: str) -> Recipe:
    from train.recipe_files import load_recipe

    return load_recipe(f"{name}/{variant}" if variant else name)


def _rerun(
    table: PaperTable,
    light: bool,
    run_of: Callable[[str], Pipeline],
    split: str,
    refused: dict[str, str],
) -> dict[str, Any]:
    """What is the same of all rows is said once, beside them."""

    def first_runs() -> list[Pipeline]:
        """None, where these images are not for it."""
        variants = _variants(table.rows[0], light)
        return [] if refused.keys() & set(variants) else [run_of(each) for each in variants]

    rows = [
        _row(table, row, _variants(row, light), run_of, first_runs, split, refused)
        for row in table.rows
    ]
    ours = [set(row["differs"]) for row in rows if "ours" in row]
    same = set.intersection(*ours) if ours else set()
    told = [one for row in rows for one in row["differs"] if one in same]
    for row in rows:
        row["differs"] = "; ".join(one for one in row["differs"] if one not in same)
    ours_are = "; ".join(dict.fromkeys(told))
    columns = list(table.columns)
    return {"title": table.title, "columns": columns, "rows": rows, "ours are": ours_are}


def _row(
    table: PaperTable,
    row: Row,
    variants: tuple[str, ...],
    run_of: Callable[[str], Pipeline],
    first_runs: Callable[[], list[Pipeline]],
    split: str,
    refused: dict[str, str],
) -> dict[str, Any]:
    """`validation`: of the images a publisher calls so, should there be some."""
    import numpy as np

    from train.reproducing.differences import differences

    told: dict[str, Any] = {"what": row.what, "paper": row.paper}
    notes = [row.note] if row.note else []
    reasons = [f"not run: {refused[variant]}" for variant in variants if variant in refused]
    if reasons or not variants:
        return told | {"differs": [*notes, *reasons] or ["not run"]}
    runs = [run_of(variant) for variant in variants]
    images = runs[0].table
    chosen = np.array([sample.split == VALIDATION for sample in images])
    told["ours"] = table.judge(runs, row, np.ones(len(images), dtype=bool))
    first = table.rows[0]
    if table.compare is not None and row is not first and (others := first_runs()):
        told[AGAINST] = table.compare((runs, row), (others, first))
    if chosen.any() and not chosen.all():
        told["validation"] = table.judge(runs, row, chosen)
    each = [one for run in runs for one in differences(run, row.system, split)]
    return told | {"differs": [*notes, *dict.fromkeys(each)]}


def _as_text(table: dict[str, Any]) -> str:
    """A column of the paper's beside ours, and once more ours on the validation images alone."""
    columns, rows = table["columns"], table["rows"]
    whose = ["paper"] if any(row["paper"] for row in rows) else []
    whose += ["ours"]
    whose += [one for one in (AGAINST, VALIDATION) if any(row.get(one) for row in rows)]
    head = ["", *(f"{name}, {one}" for name in columns for one in whose), "ours is"]
    lines = [f"## {table['title']}", "", _line(head), _line(["---"] * len(head))]
    for row in rows:
        figures = [row.get(one, {}).get(name, NOT_RUN) for name in columns for one in whose]
        lines.append(_line([row["what"], *figures, row["differs"]]))
    ours_are = ["", f"Ours: {table['ours are']}."] if table["ours are"] else []
    return "\n".join([*lines, *ours_are]) + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    command()
