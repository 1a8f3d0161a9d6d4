"""`dermedge tones`: lesions set on skin of eighteen tones, to train and to measure on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.command import Verb
from runtime.errors import UsageError
from train.data.data_option import data_option

if TYPE_CHECKING:
    from calibration.skin.toned_set import Outlines, Toned
    from train.data.table import Sample

TEST = "test"

EPILOG = """\b
Examples:
  dermedge tones --data isic2017 --split train --out toned
  dermedge tones --data ISIC2020 --bundle B --seed 7 --out toned --sheet sheet.png
  dermedge train --recipe goel/toned --data toned --out run
  dermedge evaluate --bundle B --data toned --out REPORT --tones

\b
Each lesion is cut out along its outline (the mask of the data set, or what a bundle's segmenter
finds) and set on a tone drawn at random; every class gets every tone equally often. The folder is
in ISIC 2020's layout, with tones.json as its manifest. A lesion on another background is no lesion
of another patient: see docs/skin-tones.md.
"""


@click.command("tones", cls=Verb, epilog=EPILOG)
@data_option
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder.")
@click.option(
    "--split",
    type=click.Choice(("train", "validation", "test")),
    help="Only this one. Default: all but test images, as the set is there to be trained on.",
)
@click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    help="Whose segmenter finds the lesions.  [default: the masks of the data set]",
)
@click.option("--backend", default="auto", show_default=True, help="The engine, or auto.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--sheet",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write a contact sheet (PNG) to look at.",
)
def command(
    data: tuple[Path, ...],
    out: Path,
    split: str | None,
    bundle: Path | None,
    backend: str,
    seed: int,
    sheet: Path | None,
) -> None:
    """Set lesions on skin of all tones, at random, and write them as a data set."""
    from calibration.evaluation.selection import join
    from calibration.skin.sheet import write_sheet
    from calibration.skin.toned_set import write_toned
    from train.data.open_dataset import open_dataset

    _refuse_filled(out)
    opened = [open_dataset(path) for path in data]
    for warning in (text for table in opened for text in table.warnings):
        click.echo(f"note: {warning}", err=True)
    table = join(opened)
    if split is None:  # what is written is there to be trained on
        table = replace(table, samples=tuple(s for s in table if s.split != TEST))
    else:
        table = table.where(split=split)
    with _outlines(bundle, backend) as outlines:
        toned = write_toned(table, out, seed, outlines, _track)
    if sheet is not None:
        write_sheet(sheet, out, toned)
    _tell(toned, out)


def _refuse_filled(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(
            f"{out} is there already.",
            expected="a new or empty folder, so that two data sets never mix",
            remedy=f"choose another --out, or remove {out} first",
        )


@contextmanager
def _outlines(bundle: Path | None, backend: str) -> Iterator[Outlines]:
    from calibration.skin.toned_set import DRAWN, Outlines
    from runtime.bundle_files import load_bundle
    from runtime.chain import open_chain

    if bundle is None:
        yield DRAWN
        return
    loaded = load_bundle(bundle)
    if loaded.spec.chain.segment is None:
        raise UsageError(
            "The bundle has no segmenter, so it finds no lesions.",
            got=bundle,
            remedy="another --bundle, or none where the data set has masks",
        )
    with open_chain(loaded, backend) as chain:
        name = f"{loaded.spec.name} {loaded.spec.version}, {loaded.digest}"
        yield Outlines(name, lambda _, frame: chain.find(frame), drawn=False)


def _track(items: list[Sample]) -> Iterator[Sample]:
    from rich.console import Console
    from rich.progress import track

    yield from track(items, "Setting lesions", console=Console(stderr=True), transient=True)


def _tell(toned: Toned, out: Path) -> None:
    from collections import Counter

    labels = Counter(str(sample.label) for sample in toned.samples)
    each = ", ".join(f"{many:,} {name}" for name, many in sorted(labels.items()))
    click.echo(f"{len(toned.samples):,} images in {out} ({each})")
    fewest, most = min(toned.counts().values()), max(toned.counts().values())
    click.echo(f"each of the {len(toned.counts())} tones on {fewest:,} to {most:,} of them")
    for why, many in toned.left_out.items():
        if many:
            click.echo(f"{many:,} images are left out: {why}.", err=True)


if __name__ == "__main__":
    command()
