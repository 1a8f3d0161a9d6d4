"""`dermedge gate`: a candidate bundle against its reference, on the same images. It may say no."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.command import Verb
from runtime.errors import UsageError
from train.data.data_option import data_option

if TYPE_CHECKING:
    from runtime.bundle_files import LoadedBundle

EPILOG = """\b
Examples:
  dermedge gate --reference B --candidate B8 --data clinic/labels.csv --out report
  dermedge gate --folds Q0 Q1 Q2 --candidate B8 --data isic2017
  dermedge gate --folds Q0 Q1 Q2 --originals R0 --originals R1 --originals R2 --originals R \\
      --candidate B8 --data isic2017
  dermedge gate --reference B --candidate B8 --data ham --map nv=nevus --map mel=melanoma

Exit code 0: passed. 5: refused, because it loses more than the reference's limits allow, fails
its own golden images, or because there is too little data to tell. Either is written into the
candidate, and the last verdict counts. A loss of sensitivity of at most 1 % takes 299 positives
to be believed.

With --folds each bundle is made by `export --fold K`, `operate`, `quantize` and, where the
candidate was, `finetune`. Its float files are the reference, its quantised ones the candidate, its
held-out images the data. The verdict is then on the candidate's fold twins; the candidate itself is
only held against its own float files. Those have 16 bits where it was exported so: to hold 8 bits
against 32, name as --originals what `export --precision fp32` and `operate` make of each fold and
of the run.
"""
PATH = click.Path(path_type=Path)


@click.command(cls=Verb, epilog=EPILOG)
@click.option("--reference", type=PATH, help="The bundle that the candidate was made from.")
@click.option("--candidate", required=True, type=PATH, help="The bundle to be judged.")
@click.option("--folds", multiple=True, type=PATH, help="Instead: bundles of a run's folds.")
@click.argument("more", nargs=-1, type=PATH, metavar="[FOLD]...")
@click.option(
    "--originals",
    multiple=True,
    type=PATH,
    help="With --folds: the same folds and the run in 32 bits, as the reference.",
)
@data_option
@click.option(
    "--map",
    "mapping",
    multiple=True,
    metavar="LABEL=CLASS",
    help="What a label of the data is called in the bundle.",
)
@click.option("--split", help="Only this published split of the data.")
@click.option("--backend", default="auto", show_default=True, help="The engine, or auto.")
@click.option("--out", type=PATH, help="A folder for gate.html and gate.json.")
def command(
    reference: Path | None, candidate: Path, folds: tuple[Path, ...], more: tuple[Path, ...],
    originals: tuple[Path, ...], data: tuple[Path, ...], mapping: tuple[str, ...],
    split: str | None, backend: str, out: Path | None,
) -> None:  # fmt: skip
    """Hold a candidate bundle against its reference and refuse it if it lost too much."""
    from calibration.gating.evidence import open_data
    from calibration.gating.page import write_report
    from calibration.gating.recording import record
    from calibration.gating.screen import progress, show
    from calibration.gating.trial import against_reference, among_folds
    from calibration.label_map import parse_map
    from runtime.backends.registry import choose_backend
    from runtime.bundle_files import load_bundle

    _require_one_way(reference, folds, more, originals)
    bundle = load_bundle(candidate)
    references = [load_bundle(path) for path in ((reference,) if reference else (*folds, *more))]
    first = [load_bundle(path) for path in originals]
    _require_writable([bundle, *references, *first], out)
    known = open_data(data, bundle.spec.classes, parse_map(mapping), split)
    backend = choose_backend(backend)
    if reference is not None:
        trial = against_reference(references[0], bundle, known, backend)
    else:
        trial = among_folds(references, bundle, known, backend, first)
    with progress(trial.images) as on_each:
        findings = trial.run(on_each)
    show(findings)
    page = write_report(findings, out) if out is not None else None
    sealed = record(findings)
    click.echo(f"Written into {sealed.path} (now {sealed.digest[:12]}).")
    if not findings.verdict.passed:
        raise findings.verdict.error(str(page) if page else None)


def _require_one_way(
    reference: Path | None,
    folds: tuple[Path, ...],
    more: tuple[Path, ...],
    originals: tuple[Path, ...],
) -> None:
    if (reference is None) == (not folds):
        raise UsageError(
            "The gate needs a reference, or the bundles of folds.",
            got="both" if folds else "neither",
            expected="--reference B, or --folds Q0 Q1 Q2",
        )
    if originals and not folds:
        raise UsageError(
            "Originals take the place of the folds' float files.",
            expected="--folds Q0 Q1 Q2 with --originals",
            remedy="for one bundle, name its original with --reference",
        )
    if more and not folds:
        raise UsageError(
            "Only --folds takes more than one bundle.",
            got=" ".join(map(str, more)),
            remedy="dermedge gate --folds Q0 Q1 Q2 --candidate B8 --data DIR",
        )


def _require_writable(bundles: list[LoadedBundle], out: Path | None) -> None:
    """Known before an hour of computing, not after it."""
    path = bundles[0].path
    if not os.access(path, os.W_OK):
        raise UsageError(
            f"The verdict cannot be written into {path}.",
            expected="a candidate's folder that may be written to",
            remedy="copy the bundle, and gate the copy",
        )
    for bundle in bundles if out is not None else ():
        if out is not None and out.resolve().is_relative_to(bundle.path.resolve()):
            raise UsageError(
                "A report cannot go into a bundle, which holds only what it lists.",
                got=f"--out {out}, in {bundle.path}",
                remedy="name another folder with --out",
            )
    if out is not None:
        from runtime.results import writing

        with writing(out):
            out.mkdir(parents=True, exist_ok=True)


if __name__ == "__main__":
    command()
