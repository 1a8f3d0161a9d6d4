"""`dermedge quantize`: a bundle in 8 bits, within a budget of what that may cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.command import Number, Verb

if TYPE_CHECKING:
    from calibration.quantising.record import CalibrationRecord

EPILOG = """\b
Examples:
  dermedge quantize --bundle B --images photos --out B8
  dermedge quantize --bundle B --images photos --out B8 --method entropy --count 200
  dermedge quantize --bundle B --images photos --out B8 --budget 0.01 --models segmenter

The images need no labels. Take pictures like those to come, and none that the bundle is judged
on afterwards. 8 bits change what a bundle says: dermedge gate holds it against the float one.
"""
METHODS = ("auto", "entropy", "percentile", "minmax")


@click.command(cls=Verb, epilog=EPILOG)
@click.option(
    "--bundle",
    required=True,
    type=click.Path(path_type=Path),
    help="The bundle in fp32 or fp16. It is not changed.",
)
@click.option(
    "--images",
    required=True,
    type=click.Path(path_type=Path),
    help="A data set or a folder of images to calibrate with.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The new bundle's folder."
)
@click.option(
    "--method",
    default="auto",
    show_default=True,
    type=click.Choice(METHODS),
    help="How ranges are cut off; auto tries each and keeps a model's best.",
)
@click.option(
    "--count",
    default=100,
    show_default=True,
    type=click.IntRange(1, 5000),
    help="How many of the images to use.",
)
@click.option(
    "--budget",
    default=0.02,
    show_default=True,
    type=Number(0, 1),
    help="Largest mean change of a classifier's probabilities. Blocks stay in 16 bits until it "
    "is kept.",
)
@click.option(
    "--mask-agreement",
    default=0.95,
    show_default=True,
    type=Number(0, 1),
    help="Smallest mean agreement (Jaccard index) of the segmenter's masks with the float ones.",
)
@click.option("--models", multiple=True, help="Only this model; may be given more than once.")
@click.option(
    "--backend",
    "backends",
    multiple=True,
    help="An engine to measure on; may be given more than once. Default: all that are here.",
)
def command(
    bundle: Path,
    images: Path,
    out: Path,
    method: str,
    count: int,
    budget: float,
    mask_agreement: float,
    models: tuple[str, ...],
    backends: tuple[str, ...],
) -> None:
    """Quantise a bundle's networks to 8 bits: one file for TensorRT and for OpenVINO.

    Each model keeps its float file. An engine that is no faster with 8 bits goes on using it.
    """
    from calibration.quantising.bundle import Order, quantise_bundle
    from calibration.quantising.screen import steps

    order = Order(bundle, images, out, method, count, budget, mask_agreement, models, backends)
    with steps() as step:
        made, record = quantise_bundle(order, lambda what: step(what, None))
    _show(record)
    click.echo(f"Written to {made.path}.")


def _show(record: CalibrationRecord) -> None:
    from rich.console import Console
    from rich.table import Table

    from calibration.quantising.report import cells, chain_sentence
    from calibration.quantising.screen import say, say_of_images

    console = Console()
    table = Table(title="Quantised", title_justify="left")
    for heading in ("model", "method", "loss", "worst", "in 16 bits", "size", "int8 on"):
        table.add_column(heading)
    speed = Table(title="Milliseconds here, in turns", title_justify="left")
    for heading in ("model", "engine", "float", "int8", "int8 ÷ float"):
        speed.add_column(heading, justify="left" if heading in ("model", "engine") else "right")
    for name, model in record.models.items():
        table.add_row(name, *cells(model))
        for row in model.speed:
            colour = "green" if row.ratio < 1 else "yellow"
            figures = (f"{row.float_ms:.1f} {row.float_precision}", f"{row.int8_ms:.1f}")
            speed.add_row(name, row.backend, *figures, f"[{colour}]{row.ratio:.2f}[/]")
    console.print(table)
    console.print(speed)
    for name, model in record.models.items():
        if model.reason is not None:
            console.print(f"{name} stays in float: {model.reason}.", highlight=False, markup=False)
    say_of_images(console, record.held_out, len(record.unreadable))
    say(console, record.without_lesion, "of those used: the segmenter finds no lesion")
    dropped = len(record.golden_dropped)
    say(console, dropped, "of the self-test dropped: 8 bits differ too much on it")
    console.print(chain_sentence(record), highlight=False)


if __name__ == "__main__":
    command()
