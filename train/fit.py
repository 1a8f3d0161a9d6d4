"""`dermedge train`: every stage of a recipe, from a data set to networks ready for export."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.command import Verb
from runtime.errors import UsageError
from train.data.data_option import data_option
from train.training_options import Choices, training_options

if TYPE_CHECKING:
    from train.data.table import Table
    from train.pipeline import Pipeline
    from train.recipe import Recipe
    from train.trainer import Machine

EPILOG = """\b
Examples:
  dermedge phantoms --count 60 --out phantoms
  dermedge train --recipe demo --data phantoms --out run
  dermedge train --recipe ding --data ISIC2017 --out run --devices 4
  dermedge train --recipe goel --data ISIC2020 --masks HAM10000 --out run
  dermedge train --recipe my.yaml --data images.csv --out run --weights resnet50=r50.safetensors

A killed run goes on where it stopped when the same command is given again. Stages whose result is
there and whose inputs are unchanged are skipped.
"""


@click.command(cls=Verb, epilog=EPILOG)
@click.option("--recipe", "recipe_name", required=True, help="A shipped recipe, or a YAML file.")
@data_option
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The run's folder.")
@training_options
def command(recipe_name: str, data: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Train every network of a recipe, with out-of-fold predictions to judge them by."""
    from train.recipe_files import load_recipe

    choices = Choices(**options)
    recipe = load_recipe(recipe_name)
    machine = choices.machine(weights_of(recipe))
    recipe = choices.recipe(recipe)
    run = prepare(recipe, data, out, machine, choices.split, masks=choices.masks)
    _summary(run.run(), out)


def prepare(
    recipe: Recipe,
    data: tuple[Path, ...],
    out: Path,
    machine: Machine,
    split: str,
    beside: tuple[Path, ...] = (),
    masks: tuple[Path, ...] = (),
) -> Pipeline:
    """Everything that can go wrong before the first network is trained.

    `beside`: runs that may have done a part of it already. `masks`: data sets that the segmenter
    learns from, beside what of `data` has masks.
    """
    import numpy as np

    from train.given_data import open_drawn, open_labelled, outlined_in
    from train.networks import check_frozen, check_unlikeness
    from train.pipeline import Pipeline
    from train.stages.run import Dealt

    check_frozen(recipe, machine.weights)
    check_unlikeness(recipe)
    table = open_labelled(data, recipe, needs_masks=not masks)
    drawn = open_drawn(masks, recipe)
    outlined = outlined_in(table, drawn, recipe) if drawn else None
    _fetch_weights(out, recipe, machine)
    folds = _describe(out, recipe, table, outlined, drawn, machine, split)

    def dealt(images: Table) -> Dealt:
        return Dealt(images, np.array([folds[name] for name in images.ids]))

    taught = None if outlined is None else dealt(outlined)
    return Pipeline(recipe, table, dealt(table).folds, out, machine, beside, taught)


def weights_of(recipe: Recipe) -> set[str]:
    """The networks that a file of weights may be given for."""
    from train.networks import backbones
    from train.purification.perceptual import VGG
    from train.recipe_parts.purifiers import ModelPurifier

    judge = [VGG] if isinstance(recipe.purifier, ModelPurifier) else []
    return {*backbones(recipe), *judge}


def _fetch_weights(out: Path, recipe: Recipe, machine: Machine) -> None:
    """Of all networks that are not trained yet: a run that is through needs no hub any more."""
    from train.networks import fetch_weights
    from train.purification.perceptual import open_perceptual
    from train.recipe_parts.purifiers import ModelPurifier
    from train.stage import STAMP
    from train.stages.run import FINAL

    def unfinished(stage: Path) -> bool:
        parts = [*map(str, range(recipe.folds)), FINAL]
        return not all((stage / part / STAMP).is_file() for part in parts)

    fetch_weights(
        recipe,
        machine.weights,
        segmenter=recipe.segmenter is not None and unfinished(out / "segmenter"),
        members=[name for name in recipe.members if unfinished(out / "members" / name)],
    )
    if isinstance(recipe.purifier, ModelPurifier) and unfinished(out / "purifier"):
        open_perceptual(machine.weights, recipe.pretrained)


def _describe(
    out: Path,
    recipe: Recipe,
    table: Table,
    outlined: Table | None,
    drawn: list[Table],
    machine: Machine,
    split: str,
) -> dict[str, int]:
    """Write what the run is made from, and find its folds and the overlaps between data sets."""
    from train.data.fingerprints import Fingerprints, default_cache
    from train.data.overlaps import find_within
    from train.data.splits import GROUP_BY, make_folds
    from train.data.table import Table
    from train.networks import start_of
    from train.stage import write_json

    _refuse_another_split(out, split)
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "recipe.json", json.loads(recipe.model_dump_json()))
    except OSError as exc:
        raise UsageError(
            "The run's folder cannot be written.",
            got=f"{out}: {exc.strerror}",
            remedy="choose an --out where you may write",
        ) from exc
    store = Fingerprints(default_cache())
    together = GROUP_BY if split == "patient" else ()
    known = set(table.ids)
    more = [sample for sample in outlined or () if sample.id not in known]
    everything = Table.of(table.name, [*table, *more], recipe.classes)
    folds = make_folds(everything, recipe.folds, recipe.seed, together, store=store)
    within = find_within(everything, store=store)
    overlaps = within.repeats + [o for shared in within.splits.values() for o in shared]
    write_json(out / "audit.json", [overlap.as_dict() for overlap in overlaps])
    write_json(
        out / "data.json",
        {
            **_facts_of(table),
            "counts": table.counts(),
            "split": split,
            "start": start_of(recipe, machine.weights),
            "folds": {sample.id: folds[sample.id] for sample in table},
            "masks": [_facts_of(each) for each in drawn],
        },
    )
    click.echo(f"{len(table)} images ({_counts(table)}) in {recipe.folds} folds")
    if overlaps:
        click.echo(
            f"{len(overlaps)} pairs are the same picture, lesion or patient (audit.json); "
            + (
                "each pair is kept in one fold."
                if split == "patient"
                else "folds by image part them, and so figures are kinder than they should be."
            )
        )
    return folds


def _refuse_another_split(out: Path, split: str) -> None:
    """Other folds would drop every network that is trained here, and mostly by mistake."""
    try:
        before = json.loads((out / "data.json").read_text(encoding="utf-8"))["split"]
    except (OSError, ValueError, KeyError):
        return
    if before != split:
        raise UsageError(
            "The folder holds a run whose images are dealt to the folds in another way.",
            got=f"--split {split}",
            expected=f"--split {before}",
            remedy="give that, or another --out",
        )


def _facts_of(table: Table) -> dict[str, Any]:
    return {"name": table.name, "sha256": table.digest, "images": len(table)}


def _counts(table: Table) -> str:
    return ", ".join(f"{count} {name}" for name, count in table.counts().items())


def _summary(figures: dict[str, Any], out: Path) -> None:
    from rich.console import Console
    from rich.table import Table as Grid

    grid = Grid(title="Area under the ROC curve, out of fold", title_justify="left")
    whole = figures["auc"]["all"]
    systems = [name for name in whole if name not in ("images", "counts")]
    grid.add_column("")
    for column in whole[systems[0]]:
        grid.add_column(column, justify="right")
    for name in systems:
        grid.add_row(name, *(_with_interval(value) for value in whole[name].values()))
    console = Console(file=sys.stdout)
    console.print(grid)
    if segmentation := figures.get("segmentation"):
        jaccard, dice = segmentation["jaccard"], segmentation["dice"]
        console.print(f"Segmentation out of fold: Jaccard {jaccard}, Dice {dice}")
    console.print(f"Next: dermedge export --run {out} --out BUNDLE", markup=False)


def _with_interval(value: dict[str, float | None]) -> str:
    if value["auc"] is None:
        return "–"
    return f"{value['auc']:.3f} ({value['low']:.3f}–{value['high']:.3f})"


if __name__ == "__main__":
    command()
