"""`dermedge finetune`: a quantised bundle's networks learn to say what the float ones say."""

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
  dermedge finetune --bundle B8 --images photos --out B8T
  dermedge gate --reference B --candidate B8T --data clinic

The images need no labels and are looked at without patient data: each network in 8 bits learns the
answers of its own float form. Take as many as there are, a thousand or so, and none that the bundle
is judged on afterwards; of a fold's bundle those held out are left out. Where quantize kept many
layers in 16 bits to stay within its budget, give it a larger one before this.
"""


@click.command(cls=Verb, epilog=EPILOG)
@click.option(
    "--bundle",
    required=True,
    type=click.Path(path_type=Path),
    help="A bundle that quantize wrote. It is not changed.",
)
@click.option(
    "--images",
    required=True,
    type=click.Path(path_type=Path),
    help="A data set or a folder of images to learn from.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The new bundle's folder."
)
@click.option(
    "--count",
    default=1000,
    show_default=True,
    type=click.IntRange(20, 20000),
    help="How many of the images to use, at most. What all networks see of them is held in memory: "
    "for the demo bundle 2 MB an image.",
)
@click.option(
    "--passes",
    default=3,
    show_default=True,
    type=click.IntRange(1, 100),
    help="How often each image is learned from.",
)
@click.option(
    "--batch",
    default=32,
    show_default=True,
    type=click.IntRange(1, 1024),
    help="Images to a step; more are steadier.",
)
@click.option(
    "--rate",
    default=3e-5,
    show_default=True,
    type=Number(0, 1),
    help="Adam's first step; it falls to nothing along a cosine.",
)
@click.option("--models", multiple=True, help="Only this model; may be given more than once.")
@click.option("--backend", default=None, help="The engine that judges. Default: the first here.")
def command(
    bundle: Path,
    images: Path,
    out: Path,
    count: int,
    passes: int,
    batch: int,
    rate: float,
    models: tuple[str, ...],
    backend: str | None,
) -> None:
    """Fine-tune a bundle's 8-bit networks until they say again what the float ones say.

    Quantisation-aware training without labels: weights are rounded to 8 bits on the way forward and
    learned as if they were not. Layers, scales and the float files stay as quantize left them.
    """
    from calibration.quantising.screen import steps
    from train.finetuning.bundle import Order, finetune_bundle
    from train.finetuning.tuning import Plan

    order = Order(bundle, images, out, count, Plan(passes, batch, rate), models, backend)
    with steps() as step:
        made, record = finetune_bundle(order, step)
    _show(record)
    click.echo(f"Written to {made.path}. Not judged yet: dermedge gate does that.")


def _show(record: CalibrationRecord) -> None:
    from rich.console import Console
    from rich.table import Table

    from calibration.quantising.report import chain_sentence
    from calibration.quantising.screen import say_of_images

    console = Console()
    table = Table(title="Loss against the float network, mean (worst)", title_justify="left")
    for heading in ("model", "before", "after"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for name, model in record.models.items():
        before, after = model.loss_before_tuning, model.loss
        if before is not None and after is not None:
            cells = (f"{loss.mean:.4f} ({loss.worst:.3f})" for loss in (before, after))
            table.add_row(name, *cells)
    console.print(table)
    if record.tuning is not None:
        say_of_images(console, record.tuning.held_out, len(record.tuning.unreadable))
    console.print(chain_sentence(record), highlight=False)


if __name__ == "__main__":
    command()
