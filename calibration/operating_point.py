"""`dermedge operate`: temperature and threshold, from out-of-fold predictions into the bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.command import Number, Verb
from runtime.errors import UsageError

if TYPE_CHECKING:
    from calibration.predictions import Predictions
    from calibration.threshold import Flags, Threshold
    from runtime.bundle_files import LoadedBundle

EPILOG = """\b
Examples:
  dermedge operate --bundle B --predictions run/oof.csv
  dermedge operate --bundle B --predictions run/oof.csv --sensitivity 0.9
  dermedge operate --bundle B --predictions run/oof.csv --dry-run

The predictions must be out of fold: of images that the networks that made them were not trained
on. A score at or above the threshold is a referral. It is decision support, not a diagnosis.
"""


@click.command(cls=Verb, epilog=EPILOG)
@click.option(
    "--bundle",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    help="The bundle that temperature and threshold are written into.",
)
@click.option(
    "--predictions",
    "file",
    required=True,
    type=click.Path(path_type=Path),
    help="Out-of-fold predictions: oof.csv of the run.",
)
@click.option(
    "--sensitivity",
    default=0.95,
    show_default=True,
    type=Number(0.5, 0.999),
    help="The share of positives to be referred.",
)
@click.option("--dry-run", is_flag=True, help="Show the operating point, change nothing.")
def command(folder: Path, file: Path, sensitivity: float, dry_run: bool) -> None:
    """Fit the temperature, and the threshold for a wanted sensitivity with its interval."""
    from calibration.predictions import read_predictions
    from calibration.temperature import fit_temperature
    from calibration.threshold import choose_threshold
    from runtime.bundle_files import load_bundle
    from runtime.decision import temper

    bundle = load_bundle(folder)
    spec = bundle.spec
    # A fold's bundle is judged on its held-out images, so nothing may be fitted on them.
    predictions = read_predictions(file, spec.classes).without(spec.provenance.held_out)
    if not predictions.ids:
        raise UsageError(
            "No prediction is left to fit an operating point on.",
            got=f"{file}, of which the bundle holds every image out",
            remedy="Use the predictions of the run that the bundle was exported from.",
        )
    temperature = round(fit_temperature(predictions.probabilities, predictions.targets), 4)
    tempered = temper(predictions.probabilities, temperature)
    scores = tempered[:, spec.classes.index(spec.decision.score)]
    positive = _positive(predictions, spec.positive)
    folds = len(set(predictions.folds.tolist()))
    origin = f"out of fold, {folds} folds, {len(predictions.ids)} images"
    chosen = choose_threshold(scores, positive, predictions.folds, sensitivity, origin)
    if not dry_run:
        _write(bundle, temperature, chosen)
    _show(predictions, temperature, chosen, positive, spec.classes.index(spec.decision.score))
    click.echo("Nothing was changed." if dry_run else f"Written into {folder}.")


def _positive(predictions: Predictions, names: tuple[str, ...]) -> Flags:
    import numpy as np

    return np.isin(predictions.targets, [predictions.classes.index(name) for name in names])


def _write(bundle: LoadedBundle, temperature: float, chosen: Threshold) -> None:
    from runtime.bundle_files import fields_of, seal

    fields = fields_of(bundle)
    fields["decision"] |= {
        "temperature": temperature,
        "threshold": chosen.value,
        "threshold_interval": chosen.interval.model_dump(),
        "operating_point": chosen.point.model_dump(),
    }
    seal(bundle.path, fields)


def _show(
    predictions: Predictions, temperature: float, chosen: Threshold, positive: Flags, place: int
) -> None:
    from rich.console import Console
    from rich.table import Table

    from calibration.temperature import calibration_error, negative_log_likelihood
    from runtime.decision import temper

    tempered = temper(predictions.probabilities, temperature)
    before, after = (
        (
            negative_log_likelihood(values, predictions.targets),
            calibration_error(values[:, place], positive),
        )
        for values in (predictions.probabilities, tempered)
    )
    point = chosen.point
    grid = Table(title="Operating point", title_justify="left", show_header=False)
    grid.add_row("temperature", f"{temperature:g}")
    grid.add_row("log-likelihood loss", f"{before[0]:.4f} before, {after[0]:.4f} after")
    grid.add_row("calibration error of the score", f"{before[1]:.4f} before, {after[1]:.4f} after")
    interval = chosen.interval
    grid.add_row("threshold", f"{chosen.value:.4f} ({interval.low:.4f}–{interval.high:.4f})")
    for name in ("sensitivity", "specificity"):
        span = getattr(point, f"{name}_interval")
        count = point.positives if name == "sensitivity" else point.negatives
        grid.add_row(
            f"{name}, folds crossed",
            f"{getattr(point, name):.3f} ({span.low:.3f}–{span.high:.3f}), n = {count}",
        )
    Console().print(grid)


if __name__ == "__main__":
    command()
