"""Writes a synthetic data set in the layout of ISIC 2017.

    dermedge phantoms --count 60 --out phantoms
    python train/phantoms.py --count 600 --out phantoms --size 384 --sheet sheet.png

Phantoms exist so that the whole kit can be tested without a single picture of a patient. They
are no substitute for real images: numbers measured on them say that the machinery works, and
nothing about skin. Classes are less skewed than in real data (50 % nevi, 30 % melanomas, 20 %
seborrheic keratoses), so that small sets hold every class in training and in validation.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click
import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from runtime.command import Number, Verb
from runtime.errors import UsageError
from train.phantom.compose import LARGEST, SMALLEST
from train.phantom.layout import (
    FEWEST,
    MOST,
    PARTS,
    Job,
    Row,
    assign_parts,
    draw_and_write,
    folders,
    write_tables,
)
from train.phantom.recording import write_recording
from train.phantom.sheet import write_sheet
from train.phantom.traits import LABELS

_EPILOG = """\b
Examples:
  dermedge phantoms --count 60 --out phantoms
  dermedge phantoms --count 600 --size 384 --seed 7 --out big --sheet big.png
  dermedge phantoms --count 12 --size 512 --out few --recording hand.mp4
  dermedge infer --camera hand.mp4 --web 127.0.0.1:8080
"""


def _cores() -> int:
    """Those this process may use, which in a container are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _prepare(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file.", remedy="Name a folder with --out.")
    try:
        if out.is_dir() and any(out.iterdir()):
            raise UsageError(
                f"{out} is not empty.",
                expected="a new or empty folder, so that two data sets never mix",
                remedy=f"Choose another --out, or remove {out} first.",
            )
        for folder in folders(out):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UsageError(
            f"{out} cannot be written.",
            got=exc.strerror or str(exc),
            remedy="Choose an --out where you may write.",
        ) from exc


def _quiet_worker() -> None:
    """One process a core is enough: OpenCV's own threads would only get in each other's way."""
    cv2.setNumThreads(1)


def _rows(jobs: Sequence[Job], workers: int) -> Iterator[Row]:
    if workers == 1:
        yield from map(draw_and_write, jobs)
        return
    # Not forked: the parent may hold threads (OpenCV's, a test runner's), and a lock one of them
    # holds at the moment of the fork stays locked in the child for ever.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_quiet_worker) as pool:
        try:
            yield from pool.map(draw_and_write, jobs, chunksize=4)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def write_phantoms(
    out: Path,
    *,
    count: int,
    size: int | tuple[int, int] = 256,
    seed: int = 0,
    validation_fraction: float = 0.2,
    workers: int = 1,
    console: Console | None = None,
) -> list[Row]:
    """Draws and writes the data set; the same arguments give the same files, byte for byte."""
    if count < FEWEST:
        raise UsageError(
            "Too few phantoms for every class to be in training and in validation.",
            got=f"--count {count}",
            expected=f"{FEWEST} or more",
            remedy=f"--count {FEWEST}",
        )
    _prepare(out)
    sides = (size, size) if isinstance(size, int) else size
    parts = assign_parts(seed, count, validation_fraction)
    jobs = [Job(out, part, seed, index, sides) for index, part in enumerate(parts)]
    columns = (TextColumn("phantoms"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=console is None) as bar:
        rows = list(bar.track(_rows(jobs, workers), total=count))
    write_tables(out, rows)
    return rows


def _summary(rows: Sequence[Row]) -> Iterator[str]:
    for part in PARTS:
        labels = [row.label for row in rows if row.part == part]
        each = ", ".join(f"{labels.count(name)} {name.replace('_', ' ')}" for name in LABELS)
        yield f"{part.lower()}: {len(labels)} ({each})"


@click.command(cls=Verb, epilog=_EPILOG)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new folder.")
@click.option("--count", type=click.IntRange(1, MOST), default=60, show_default=True)
@click.option(
    "--size",
    type=click.IntRange(SMALLEST, LARGEST),
    default=256,
    show_default=True,
    help="Side of the square images, in pixels.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--validation-fraction",
    type=Number(0, 1, min_open=True, max_open=True),
    default=0.2,
    show_default=True,
    help="Share of each class that goes to validation (always one or more).",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=None,
    help="Processes.  [default: one a core]",
)
@click.option(
    "--sheet",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write a contact sheet (PNG) to look at.",
)
@click.option(
    "--recording",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write a video (MP4) of a hand-held camera over some of them, for infer --camera.",
)
def command(
    out: Path,
    count: int,
    size: int,
    seed: int,
    validation_fraction: float,
    workers: int | None,
    sheet: Path | None,
    recording: Path | None,
) -> None:
    """Write a synthetic dermoscopy data set in ISIC 2017 layout.

    The same seed, count and size give the same files, whatever the number of processes. Images
    come with exact lesion masks, and with masks of hair and rulers.
    """
    console = Console(stderr=True)
    if sheet is not None and sheet.suffix.lower() != ".png":
        raise UsageError("The contact sheet is a PNG.", got=sheet, remedy="--sheet sheet.png")
    if recording is not None and recording.suffix.lower() != ".mp4":
        raise UsageError("The recording is an MP4.", got=recording, remedy="--recording hand.mp4")
    used = min(workers or _cores(), count)
    start = time.perf_counter()
    rows = write_phantoms(
        out,
        count=count,
        size=size,
        seed=seed,
        validation_fraction=validation_fraction,
        workers=used,
        console=console,
    )
    seconds = time.perf_counter() - start
    for line in _summary(rows):
        click.echo(line)
    processes = "1 process" if used == 1 else f"{used} processes"
    click.echo(f"{count} images in {seconds:.1f} s: {count / seconds:.1f} a second, {processes}")
    click.echo(f"written to {out}")
    if sheet is not None:
        write_sheet(sheet, out, rows)
        click.echo(f"contact sheet: {sheet}")
    if recording is not None:
        click.echo(f"recording of {write_recording(recording, out, rows)} of them: {recording}")


if __name__ == "__main__":
    command()
