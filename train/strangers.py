"""Writes pictures that are no dermoscopy, to see whether a bundle calls them all the same.

    dermedge strangers --out strangers --photographs holiday --data ISIC2017
    dermedge evaluate --bundle B --data LESIONS --data strangers --out report

Blank frames, textures, print and drawings are drawn; some are made from pictures of lesions (of a
data set, or of phantoms) by what no camera does; photographs are parts of those in a folder, and
of two that come with scikit-learn.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.command import Verb
from runtime.errors import InputError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from train.phantom.noise import Bits

EPILOG = """\b
Examples:
  dermedge strangers --out strangers
  dermedge strangers --out strangers --each 100 --photographs holiday --data ISIC2017
  dermedge evaluate --bundle B --data LESIONS --data strangers --out report
"""
SUFFIXES = (".jpg", ".jpeg", ".png")


@click.command(cls=Verb, epilog=EPILOG)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder.")
@click.option(
    "--each", default=40, show_default=True, type=click.IntRange(1, 10_000),
    help="How many of each kind.",
)  # fmt: skip
@click.option(
    "--size", default=512, show_default=True, type=click.IntRange(128, 4096),
    help="Side of the square images, in pixels.",
)  # fmt: skip
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option(
    "--photographs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of photographs of anything but skin, beside the two that are there.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True),
    help="Pictures of lesions to spoil. Default: phantoms.",
)
def command(
    out: Path, each: int, size: int, seed: int, photographs: Path | None, data: Path | None
) -> None:
    """Write pictures that are no dermoscopy, a label for each kind."""
    import cv2
    import numpy as np
    from rich.progress import track

    from train.phantom.strange import KINDS, draw

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already.", expected="a new or empty folder")
    pictures, lesion = _photographs(photographs), _lesions(data, size)
    jobs = [(kind, number) for kind in KINDS for number in range(each)]
    (out / "images").mkdir(parents=True, exist_ok=True)
    rows = []
    for place, (kind, number) in enumerate(track(jobs, description="Strangers")):
        rng = np.random.default_rng([seed, place])
        _, packed = cv2.imencode(".png", draw(kind, rng, size, pictures, lesion))
        name = f"images/{kind}_{number:04d}.png"
        (out / name).write_bytes(packed.tobytes())
        rows.append((name, kind))
    with (out / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("image", "label"))
        writer.writerows(rows)
    click.echo(f"{len(rows)} pictures, {each} of each kind: {', '.join(KINDS)}")
    click.echo(
        f"Next, beside a data set of lesions: dermedge evaluate … --data LESIONS --data {out}"
    )


def _photographs(folder: Path | None) -> list[Bits]:
    from sklearn.datasets import load_sample_images

    pictures = [picture[..., ::-1].copy() for picture in load_sample_images().images]
    if folder is not None:
        files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
        if not files:
            raise UsageError(f"{folder} has no photographs.", expected=", ".join(SUFFIXES))
        pictures += [_read(file) for file in files]
    return pictures


def _lesions(data: Path | None, size: int) -> Callable[[np.random.Generator], Bits]:
    """Gives one at random."""
    import cv2

    from train.data.open_dataset import open_dataset
    from train.phantom.compose import make_phantom

    if data is None:
        return lambda rng: make_phantom(0, int(rng.integers(2**31)), size).image
    files = [sample.image for sample in open_dataset(data)]

    def one(rng: np.random.Generator) -> Bits:
        image = _read(files[int(rng.integers(len(files)))])
        return cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR).astype("uint8")

    return one


def _read(file: Path) -> Bits:
    from runtime.decode import read_image

    try:
        return read_image(file).frame
    except InputError as exc:
        raise UsageError("A picture cannot be read.", got=f"{file}: {exc.one_line}") from exc


if __name__ == "__main__":
    command()
