"""`dermedge evaluate`: how good a bundle is on labelled images, each figure with its interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.command import Verb
from runtime.errors import UsageError
from train.data.data_option import data_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibration.evaluation.evaluation import Evaluation
    from calibration.evaluation.leaks import Leaks
    from calibration.evaluation.selection import Selection
    from calibration.judged import Judged
    from calibration.skin.telling import Told
    from runtime.bundle_files import LoadedBundle
    from train.data.table import Table

FEWEST, IMAGES = 2, 200  # to judge with wrong masks: one alone has no other's; without a number

EPILOG = """\b
Examples:
  dermedge evaluate --bundle B --data isic2017 --split test --out REPORT
  dermedge evaluate --folds B0 B1 B2 --data isic2017 --out REPORT
  dermedge evaluate --bundle B --data ham10000 --trained-on isic2017 --out REPORT
  dermedge evaluate --bundle B --data HAM10000 --out REPORT --wrong-masks 500
  dermedge evaluate --bundle B --data clinic/labels.csv --out REPORT \\
      --map mel=melanoma --map nv=nevus --map bkl=seborrheic_keratosis

\b
REPORT gets report.html, evaluation.json, predictions.csv (one line an image) and pictures/; with
--tones also tones.csv, and what is found and missed on skin of each tone. --wrong-masks shows what
becomes of scores and decisions with a mask that is grown, shrunk, shifted, elsewhere, another
image's, the whole frame or empty, and with the one that the data set has. The bundle of a fold is
evaluated on the images it held out. --folds pools several, each image judged by the fold that has
not seen it. Where the bundle's training set is among the data, or named with --trained-on, images
that it was trained on, or that show the same patient, lesion or picture as one of those, are
refused, and named in REPORT/overlaps.csv; so are images that its 8 bits were made on. Labels that
the bundle has no class for are listed apart. Figures are of a data set. It is decision support, not
a diagnosis.
"""


@click.command(cls=Verb, epilog=EPILOG)
@click.option("--bundle", type=click.Path(path_type=Path), help="The bundle to evaluate.")
@click.option(
    "--folds",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="BUNDLE…",
    help="The bundles of a run's folds, instead of --bundle.",
)
@click.argument("more", nargs=-1, type=click.Path(path_type=Path), metavar="")
@data_option
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Where reports go.")
@click.option("--split", type=click.Choice(("train", "validation", "test")), help="Only this one.")
@click.option(
    "--map",
    "names",
    multiple=True,
    metavar="LABEL=CLASS",
    help="What the bundle calls a label of the data.",
)
@click.option(
    "--trained-on",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DATA",
    help="A set that the bundle was trained on: compared with, not measured. May be repeated.",
)
@click.option("--backend", default="auto", show_default=True, help="The engine, or auto.")
@click.option(
    "--all-images",
    is_flag=True,
    help="Also images that the bundle was trained on, or that tie to some, with a warning.",
)
@click.option(
    "--copies/--no-copies",
    default=True,
    show_default=True,
    help="Look for images that show the same picture.",
)
@click.option("--tones", is_flag=True, help="Figures by tone of the skin, too: eighteen of them.")
@click.option(
    "--wrong-masks",
    type=click.IntRange(FEWEST),
    is_flag=False,
    flag_value=IMAGES,
    metavar="[N]",
    help="Also judge N images, evenly drawn, with a dozen wrong masks each: what becomes of scores "
    f"and decisions when the segmenter errs.  [{IMAGES} without a number]",
)
@click.option("--predictions-only", is_flag=True, help="Write predictions.csv and no figures.")
def command(
    bundle: Path | None,
    folds: tuple[Path, ...],
    more: tuple[Path, ...],
    data: tuple[Path, ...],
    out: Path,
    split: str | None,
    names: tuple[str, ...],
    trained_on: tuple[Path, ...],
    backend: str,
    all_images: bool,
    copies: bool,
    tones: bool,
    wrong_masks: int | None,
    predictions_only: bool,
) -> None:
    """Measure a bundle on labelled images: figures with intervals, drawings, subgroups."""
    from calibration.evaluation.evaluation import evaluation_of
    from calibration.evaluation.files import OVERLAPS, PREDICTIONS, write_predictions
    from calibration.evaluation.masks import compare_masks
    from calibration.evaluation.selection import check_alike, check_enough
    from calibration.wrong_masks.rejudged import refuse_what_has_no_mask_to_change
    from runtime.backends.registry import choose_backend
    from runtime.bundle_files import load_bundle
    from runtime.results import writing
    from train.data.open_dataset import open_datasets

    chosen = choose_backend(backend)
    bundles = [load_bundle(folder) for folder in _folders(bundle, folds, more)]
    check_alike([one.spec for one in bundles])
    if wrong_masks is not None:
        refuse_what_has_no_mask_to_change(bundles, chosen)
    every = open_datasets([*data, *trained_on])
    opened, seen = every[: len(data)], every[len(data) :]
    for warning in (text for table in opened for text in table.warnings):
        click.echo(f"note: {warning}", err=True)
    selection = _select(_titled(opened, data), bundles, names, split, all_images)
    if not predictions_only:
        check_enough(selection, bundles[0].spec.positive)
    with writing(out):  # now, and not after an hour of judging
        out.mkdir(parents=True, exist_ok=True)
    leaks = None
    if not predictions_only:
        leaks = _leaks(opened, seen, selection, bundles, out, copies)
        if not all_images:
            leaks.refuse(len(selection.table), out / OVERLAPS)
    judged = _judge(bundles, selection, chosen)
    masks = compare_masks(judged)
    write_predictions(judged, masks, out)  # whatever fails after this need not be judged again
    if leaks is None:
        click.echo(f"Predictions: {out / PREDICTIONS}")
        return
    told = _told(judged, data) if tones else None
    rejudged = None
    if wrong_masks is not None:
        rejudged = _rejudged(bundles, selection, judged, chosen, wrong_masks)
    evaluation = evaluation_of(judged, masks, bundles, selection, leaks, told, rejudged)
    _write(out, evaluation, told)


def _folders(bundle: Path | None, folds: tuple[Path, ...], more: tuple[Path, ...]) -> list[Path]:
    if bundle is not None and not folds and not more:
        return [bundle]
    if bundle is None and len(folds) + len(more) > 1 and folds:
        return [*folds, *more]
    raise UsageError(
        "evaluate takes one bundle, or the bundles of several folds.",
        got=" ".join(
            [f"--bundle {bundle}"] * (bundle is not None)
            + [f"--folds {fold}" for fold in folds]
            + [str(path) for path in more]
        )
        or "neither",
        expected="--bundle B, or --folds B0 B1 B2",
    )


def _titled(tables: Sequence[Table], paths: Sequence[Path]) -> list[Table]:
    from train.data.own_csv import title_of

    pairs = zip(tables, paths, strict=True)
    return [replace(table, name=title_of(table, path)) for table, path in pairs]


def _select(
    tables: Sequence[Table],
    bundles: Sequence[LoadedBundle],
    names: Sequence[str],
    split: str | None,
    all_images: bool,
) -> Selection:
    from calibration.evaluation.selection import choose, join, rename_labels
    from calibration.label_map import parse_map

    table = rename_labels(join(tables), parse_map(names), bundles[0].spec.classes)
    selection = choose(table, [one.spec for one in bundles], split, all_images)
    for why, many in selection.left_out.items():
        click.echo(f"{many:,} images are left out: {why}.", err=True)
    return selection


def _leaks(
    opened: Sequence[Table],
    seen: Sequence[Table],
    selection: Selection,
    bundles: Sequence[LoadedBundle],
    out: Path,
    copies: bool,
) -> Leaks:
    from calibration.evaluation.files import OVERLAPS
    from calibration.evaluation.leaks import find_leaks
    from calibration.quantising.record import images_used
    from train.data.fingerprints import Fingerprints, default_cache

    store = Fingerprints(default_cache()) if copies else None
    specs, used = [one.spec for one in bundles], [images_used(one) for one in bundles]
    leaks = find_leaks(opened, selection, specs, store, told=seen, quantised=used)
    leaks.name(out / OVERLAPS)
    return leaks


def _judge(bundles: Sequence[LoadedBundle], selection: Selection, backend: str) -> Judged:
    from calibration.evaluation.tone import skin_angle
    from calibration.judged import judge, pool

    with _progress(len(selection.table), "images") as on_each:
        pairs = [pair for pair in zip(bundles, selection.parts, strict=True) if len(pair[1])]
        parts = [
            judge(one, table, backend, on_each, measure_skin=skin_angle) for one, table in pairs
        ]
    return parts[0] if len(parts) == 1 else pool(parts)


@contextmanager
def _progress(total: int, noun: str) -> Iterator[Callable[[], None]]:
    """What is to be called after each."""
    from time import perf_counter

    from runtime.scan import Progress
    from runtime.screen import ProgressView

    progress = Progress()
    with ProgressView(total, noun) as view:

        def on_each() -> None:
            now = perf_counter()
            if not progress.seen:  # what it took to load the networks says nothing of the rest
                progress.started = now
            progress.seen += 1
            progress.seconds = now - progress.started
            view.show(progress)

        yield on_each


def _rejudged(
    bundles: Sequence[LoadedBundle], selection: Selection, judged: Judged, backend: str, most: int
) -> dict[str, Judged] | None:
    """By the name of a mask, its own among them. None where there are no two to exchange."""
    from calibration.wrong_masks.changes import OWN
    from calibration.wrong_masks.rejudged import draw, rejudge

    drawn = draw(judged.select(selection.known.ids), most)
    if len(drawn.table) < FEWEST:
        click.echo("note: hardly a lesion was found: no wrong masks are judged.", err=True)
        return None
    parts = []
    for bundle, table in zip(bundles, selection.parts, strict=True):
        here = set(table.ids)
        if ids := [name for name in drawn.table.ids if name in here]:
            parts.append((bundle, drawn.select(ids)))
    with _progress(len(drawn.table), "images with wrong masks") as on_each:
        return {OWN: drawn, **rejudge(parts, backend, on_each)}


def _told(judged: Judged, data: Sequence[Path]) -> dict[str, Told]:
    """The tone of each image, where that is known or can be measured."""
    from calibration.skin.telling import tell_tones
    from calibration.skin.toned_set import read_manifest

    made = {name: tone for path in data for name, tone in read_manifest(path).items()}
    return tell_tones(judged, made)


def _write(out: Path, evaluation: Evaluation, told: dict[str, Told] | None) -> None:
    from rich.console import Console

    from calibration.evaluation.charts import write_charts
    from calibration.evaluation.files import REPORT, write_figures
    from calibration.evaluation.page import render
    from calibration.evaluation.terminal import show
    from calibration.skin import shown
    from calibration.wrong_masks import shown as wrong_masks
    from runtime.out_folder import write_whole

    write_figures(evaluation, out)
    write_charts(evaluation, out)
    write_whole(out / REPORT, render(evaluation).encode())
    console = Console(highlight=False)
    show(console, evaluation)
    if told is not None and evaluation.tones is not None:
        shown.write_tones(told, out)
        shown.show(console, evaluation.tones)
    if evaluation.wrong_masks is not None:
        wrong_masks.show(console, evaluation.wrong_masks)
    click.echo(f"Report: {out / REPORT}")


if __name__ == "__main__":
    command()
