"""`dermedge export`: a finished run, or graphs that exist already, as a bundle."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.command import Verb
from runtime.errors import UsageError

if TYPE_CHECKING:
    from export.build import Order, Step
    from export.parity import Finding
    from runtime.bundle_files import LoadedBundle

EPILOG = """\b
Examples:
  dermedge export --run run --out bundles/mine
  dermedge export --run run --out bundles/mine16 --precision fp16
  dermedge export --run run --out bundles/fold0 --fold 0
  dermedge export --onnx graphs/system.yaml --out bundles/theirs

The file for --onnx is bundle.json as YAML, less what export finds out (created, files, hashes,
golden). A model's files are named relative to it:

\b
  name: clinic-resnet
  recipe: our own, of 2025
  intended_use: Research. Decision support, not a diagnosis.
  classes: [melanoma, nevus]
  positive: [melanoma]
  models:
    resnet:
      variants: [{precision: fp32, file: resnet.onnx}]
      inputs:
        - kind: image
          name: input
          view: whole
          preprocess: {size: [224, 224], mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}
      outputs: [{name: output, role: logits}]
  views: {whole: {area: frame}}
  chain: {classify: [resnet]}
  decision: {score: melanoma}
"""


@click.command("export", cls=Verb, epilog=EPILOG)
@click.option(
    "--run",
    "run_folder",
    type=click.Path(path_type=Path),
    help="The folder that `dermedge train --out` wrote.",
)
@click.option(
    "--onnx",
    "description",
    type=click.Path(path_type=Path),
    help="Instead of a run: a YAML file that describes ONNX graphs.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="The bundle's folder: new, or a bundle, which is then replaced.",
)
@click.option(
    "--fold",
    type=click.IntRange(min=0),
    help="The networks of one fold, counted from 0, to measure on what they have not "
    "seen. Default: those trained on all images.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16"]),
    default="fp32",
    show_default=True,
    help="fp16: for GPUs. CPU engines run it, no faster than fp32.",
)
@click.option("--name", help="Default: the recipe's name.")
@click.option("--version", help="Yours to count. Default: 1.")
@click.option(
    "--golden",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Images for the self-test at every start: files or a folder. They become part "
    "of the bundle. Default: drawn phantoms.",
)
def command(
    run_folder: Path | None, description: Path | None, out: Path, fold: int | None,
    precision: str, name: str | None, version: str | None, golden: tuple[Path, ...],
) -> None:  # fmt: skip
    """Write a bundle: ONNX graphs, checked against PyTorch, with all that makes them a system.

    Every graph is run in every engine installed here and held against its PyTorch network; one
    that says something else ends the export, and nothing is written.
    """
    from export.build import Order
    from runtime.target_folder import check_replaceable

    if (run_folder is None) == (description is None):
        raise UsageError(
            "Export needs a run, or a description of graphs.",
            got="neither" if run_folder is None else "both",
            expected="--run RUN or --onnx DESCRIPTION",
            remedy="dermedge export --run RUN --out BUNDLE  (RUN is the --out of dermedge train)",
        )
    check_replaceable(out.resolve())  # known before anything is computed
    order = Order(out, precision, fold, name, version, golden)
    if run_folder is not None:
        _from_run(run_folder, order)
    elif description is not None:
        _from_description(description, order)


def _from_run(folder: Path, order: Order) -> None:
    from export.build import export_run, steps_of
    from export.finished_run import FinishedRun
    from export.parity import PYTORCH

    run = FinishedRun.read(folder)
    run.part(order.fold)
    with _progress(steps_of(run.recipe, order.precision)) as step:
        bundle, findings = export_run(run, order, step)
    _report(bundle, findings, PYTORCH)
    click.echo(
        "No threshold yet, so it scores and refers nobody. Next:\n"
        f"  dermedge operate --bundle {order.out} --predictions {folder / 'oof.csv'}"
    )


def _from_description(path: Path, order: Order) -> None:
    from export.imported import export_graphs, read_description, steps_of
    from export.parity import usable_backends

    if order.fold is not None or order.precision != "fp32":
        raise UsageError(
            "--fold and --precision are for runs.",
            remedy="a graph that is brought in is taken as it is",
        )
    fields = read_description(path)
    with _progress(steps_of(fields)) as step:
        bundle, findings = export_graphs(path, fields, order, step)
    _report(bundle, findings, f"the same graph in {usable_backends()[0]}")
    if bundle.spec.decision.threshold is None:
        click.echo(
            "No threshold yet, so it scores and refers nobody. Next:\n"
            f"  dermedge operate --bundle {order.out} --predictions OUT_OF_FOLD.csv"
        )


@contextmanager
def _progress(total: int) -> Iterator[Step]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (TextColumn("{task.description:<36}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("reading the run", total=total)
        begun = False

        def step(text: str) -> None:
            nonlocal begun
            bar.update(task, description=text, advance=1 if begun else 0)
            begun = True

        yield step


def _report(bundle: LoadedBundle, findings: list[Finding], truth: str) -> None:
    from rich.console import Console

    from export.parity import as_table

    if findings:
        Console(file=sys.stdout).print(as_table(findings, truth))
    spec = bundle.spec
    size = sum((bundle.path / file).stat().st_size for file in spec.files)
    click.echo(
        f"{spec.name} {spec.version} ({bundle.digest[:12]}) in {bundle.path}: "
        f"{len(spec.models)} graphs, {len(spec.golden)} golden images, {size / 1e6:.1f} MB."
    )


if __name__ == "__main__":
    command()
