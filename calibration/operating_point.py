"""`dermedge operate`: temperature, threshold and limits of abstention, from predictions of images
that the networks have not seen, into the bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.command import Number, Verb
from runtime.errors import UsageError
from train.data.data_option import optional_data_option

if TYPE_CHECKING:
    from calibration.held_out import Evidence
    from runtime.bundle_files import LoadedBundle

EPILOG = """\b
Examples:
  dermedge operate --bundle B --predictions run/oof.csv
  dermedge operate --bundle B --predictions run/oof.csv --sensitivity 0.9 --prevalence 0.03
  dermedge operate --bundle B8 --folds Q0 Q1 Q2 --data isic2017 --coverage 0.95
  dermedge operate --bundle Q0 --folds Q1 Q2 --data isic2017 --coverage 0.95
  dermedge operate --bundle B --predictions run/oof.csv --dry-run

The predictions must be out of fold: of images that the networks that made them were not trained
on. --predictions takes those that training left, by float networks on a computer. --folds asks
the bundles of a run's folds, made as this one was: then the threshold is one for the precision
that ships, and limits of abstention can be fitted too, for a share of real lesions that is to be
decided. Intervals count images: where patients have several they are too narrow. A score at or
above the threshold is a referral. It is decision support, not a diagnosis.
"""
PATH = click.Path(path_type=Path)


@click.command(cls=Verb, epilog=EPILOG)
@click.option(
    "--bundle",
    "bundles",
    required=True,
    multiple=True,
    type=PATH,
    help="The bundle that it is written into. Again: one that is to decide alike, as what "
    "it was quantized from has to for the gate.",
)
@click.option("--predictions", "file", type=PATH, help="Out-of-fold predictions: a run's oof.csv.")
@click.option("--folds", multiple=True, type=PATH, help="Instead: bundles of a run's folds.")
@click.argument("more", nargs=-1, type=PATH, metavar="[FOLD]...")
@optional_data_option
@click.option(
    "--sensitivity",
    default=0.95,
    show_default=True,
    type=Number(0.5, 0.999),
    help="The share of positives to be referred.",
)
@click.option(
    "--coverage",
    type=Number(0.5, 1.0),
    help="With --folds: the share of real lesions to be decided; the others abstain.",
)
@click.option(
    "--prevalence",
    type=Number(0, 1, min_open=True, max_open=True),
    help="Your clinic's share of positives, to say what a referral is worth there.",
)
@click.option("--backend", default="auto", show_default=True, help="With --folds: the engine.")
@click.option("--dry-run", is_flag=True, help="Show the operating point, change nothing.")
def command(
    bundles: tuple[Path, ...], file: Path | None, folds: tuple[Path, ...], more: tuple[Path, ...],
    data: tuple[Path, ...], sensitivity: float, coverage: float | None, prevalence: float | None,
    backend: str, dry_run: bool,
) -> None:  # fmt: skip
    """Fit the temperature, and the threshold for a wanted sensitivity with its interval."""
    from calibration.operating import decide, keeps_limits, show, write
    from runtime.bundle_files import load_bundle

    _require_one_way(file, (*folds, *more) if folds else more, data, coverage)
    opened = [load_bundle(path) for path in bundles]
    _require_one_system(opened)
    twins = [load_bundle(path) for path in (*folds, *more)]
    evidence = (
        _read(file, opened[0]) if file is not None else _asked(opened[0], twins, data, backend)
    )
    decision = decide(opened[0].spec, evidence, sensitivity, coverage)
    show(decision, prevalence)
    for bundle in () if dry_run else opened:
        write(bundle, decision)
        if keeps_limits(bundle, decision):
            click.echo(f"note: {bundle.path} goes on abstaining by the limits that it had.")
    click.echo(
        "Nothing was changed." if dry_run else f"Written into {', '.join(map(str, bundles))}."
    )


def _read(file: Path, bundle: LoadedBundle) -> Evidence:
    """A fold's bundle is judged on its held-out images, so nothing may be fitted on them."""
    from calibration.held_out import Evidence
    from calibration.predictions import read_predictions

    spec = bundle.spec
    predictions = read_predictions(file, spec.classes).without(spec.provenance.held_out)
    if not predictions.ids:
        raise UsageError(
            "No prediction is left to fit an operating point on.",
            got=f"{file}, of which the bundle holds every image out",
            remedy="Use the predictions of the run that the bundle was exported from.",
        )
    return Evidence(predictions, None)


def _asked(
    bundle: LoadedBundle, folds: list[LoadedBundle], data: tuple[Path, ...], backend: str
) -> Evidence:
    from calibration.gating.evidence import open_data
    from calibration.gating.screen import progress
    from calibration.held_out import images, judge_held_out, others
    from runtime.backends.registry import choose_backend

    known = open_data(data, bundle.spec.classes, {}, None)
    backend = choose_backend(backend)
    asked = others(folds, bundle, backend)
    with progress(images(asked, known)) as on_each:
        return judge_held_out(asked, known, backend, on_each)


def _require_one_system(bundles: list[LoadedBundle]) -> None:
    """What decides alike must say the same of the same, and hold the same images out."""
    first = bundles[0].spec
    for other in bundles[1:]:
        pairs = {
            "classes": (first.classes, other.spec.classes),
            "positive": (first.positive, other.spec.positive),
            "score": (first.decision.score, other.spec.decision.score),
            "members": (first.chain.classify, other.spec.chain.classify),
            "fold": (first.provenance.fold, other.spec.provenance.fold),
            "data": (first.provenance.data, other.spec.provenance.data),
        }
        if differing := [name for name, (one, two) in pairs.items() if one != two]:
            raise UsageError(
                f"{other.path} cannot decide as {bundles[0].path} does.",
                got=f"other {', '.join(differing)}",
                expected="the same system of the same fold, in other files",
                remedy="fit each with a command of its own",
            )


def _require_one_way(
    file: Path | None, folds: tuple[Path, ...], data: tuple[Path, ...], coverage: float | None
) -> None:
    if (file is None) == (not folds):
        raise UsageError(
            "An operating point is fitted on predictions, or on what bundles of folds say.",
            got="both" if folds else "neither",
            expected="--predictions run/oof.csv, or --folds Q0 Q1 Q2 --data DIR",
        )
    if file is not None and data:
        raise UsageError(
            "Predictions need no images.",
            got="--predictions with --data",
            expected="--predictions run/oof.csv, or --folds Q0 Q1 Q2 --data DIR",
        )
    if folds and not data:
        raise UsageError(
            "Bundles of folds are asked about the images that were kept from them.",
            expected="--folds Q0 Q1 Q2 --data DIR, the data set that the run was trained on",
        )
    if coverage is not None and not folds:
        raise UsageError(
            "Limits of abstention are fitted on what a whole chain measures.",
            got="--coverage with --predictions, which hold probabilities alone",
            expected="--coverage with --folds Q0 Q1 Q2 --data DIR",
        )


if __name__ == "__main__":
    command()
