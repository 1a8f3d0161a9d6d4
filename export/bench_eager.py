"""OpenVINO beside eager PyTorch: the same networks, the same frame, in turns within one run.

    python export/bench_eager.py --recipe ding --runs 20
    python export/bench_eager.py --run RUN --runs 50 --out bench.json

Eager is PyTorch as one would write it: channels last, inference mode. All chains share the host's
code, so that what differs is the engines. Weights are random unless a run is given.

Beside the times stands how fast each network computes and how fast a large matrix product does on
the same cores: where the two meet, no engine that computes the same sums can be any faster.
"""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.command import Verb
from runtime.errors import UsageError

if TYPE_CHECKING:
    from runtime.bundle_files import LoadedBundle

SCHEMA = 2


@click.command("bench-eager", cls=Verb)
@click.option("--recipe", "recipe_name", help="Measure its networks with random weights.")
@click.option("--run", "run_folder", type=click.Path(path_type=Path), help="Or those of a run.")
@click.option("--image", type=click.Path(path_type=Path), help="A frame. Default: a phantom.")
@click.option("--runs", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Of each. Default: all cores.")
@click.option("--int8", type=click.Path(path_type=Path), help="Its bundle in 8 bits, beside it.")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep the fp32 bundle here.")
@click.option("--out", type=click.Path(path_type=Path), help="Write all figures as JSON.")
def command(
    recipe_name: str | None,
    run_folder: Path | None,
    image: Path | None,
    runs: int,
    threads: int | None,
    int8: Path | None,
    keep: Path | None,
    out: Path | None,
) -> None:
    """Compare OpenVINO with eager PyTorch: each network, the backbones in turn, the whole chain.

    \b
    Examples:
      python export/bench_eager.py --recipe ding --runs 20
      python export/bench_eager.py --run run --image lesion.jpg --out bench.json
    \b
    In 8 bits, of random weights, where accuracy means nothing:
      python export/bench_eager.py --recipe ding --runs 1 --keep ding
      dermedge quantize --bundle ding --images PICTURES --out ding8 --method minmax \\
          --count 4 --budget 1 --mask-agreement 0 --backend openvino
      python export/bench_eager.py --recipe ding --runs 12 --int8 ding8
    """
    from export.benched import bundle_of, frame_of, networks_of, telling
    from export.side_by_side import compare

    if (recipe_name is None) == (run_folder is None):
        raise UsageError("Name what to measure.", expected="--recipe NAME or --run RUN")
    recipe, parts = networks_of(recipe_name, run_folder)
    frame = frame_of(image)
    with _place(keep) as folder, telling() as step:
        bundle = bundle_of(Path(folder), recipe, parts, step)
        quantised = None if int8 is None else _quantised(int8, bundle)
        figures = compare(bundle, quantised, parts, frame, runs, threads, step)
    report = {
        "schema": SCHEMA,
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "recipe": recipe.name,
        "weights": "random" if run_folder is None else "trained",
        "frame": list(frame.shape[:2]),
        "runs": runs,
        **_surroundings(),
        **figures,
    }
    _print(report)
    if out is not None:
        out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _place(keep: Path | None) -> AbstractContextManager[str | Path]:
    from runtime.target_folder import beside

    return tempfile.TemporaryDirectory(prefix="dermedge-eager-") if keep is None else beside(keep)


def _quantised(path: Path, bundle: LoadedBundle) -> LoadedBundle:
    from runtime.bundle_files import load_bundle

    found = load_bundle(path)
    if found.spec.chain != bundle.spec.chain or found.spec.views != bundle.spec.views:
        raise UsageError(
            f"{path} is not the same system in 8 bits.",
            got=f"{found.spec.name}, members {', '.join(found.spec.chain.classify)}",
            expected=f"{bundle.spec.name}, members {', '.join(bundle.spec.chain.classify)}",
            remedy="quantize the bundle that --keep kept",
        )
    return found


def _surroundings() -> dict[str, Any]:
    import openvino
    import torch

    from export.revision import code_revision
    from runtime import machine

    return {
        "machine": machine.facts(),
        "versions": {
            "dermedge": code_revision(),
            "torch": str(torch.__version__),
            "openvino": openvino.__version__,
        },
    }


def _print(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    grid = Table(title=f"{report['recipe']}, median of {report['runs']} runs")
    grid.add_column("")
    kinds = list(next(iter(report["median_ms"].values())))
    for kind in kinds:
        grid.add_column(f"{kind}, ms", justify="right")
    for ratio in report["ratios"]:
        grid.add_column(f"{ratio['to']} / {ratio['of']}", justify="right")
    grid.add_column("GFLOP/s, in this order", justify="right")
    for name, row in report["median_ms"].items():
        times = [f"{ratio['times_as_fast'][name]:.2f}" for ratio in report["ratios"]]
        work = report["gflop"].get(name)
        speeds = " → ".join(f"{work / row[kind] * 1e3:.0f}" for kind in kinds) if work else ""
        grid.add_row(name, *(f"{row[kind]:.1f}" for kind in kinds), *times, speeds)
    console = Console()
    console.print(grid)
    console.print(f"A large matrix product in fp32: {report['matrix_product_gflops']:.0f} GFLOP/s.")
    for kind, share in report["share_outside_engines"].items():
        console.print(f"Outside the networks: {share:.1%} of the chain with {kind}.")
    for ratio in report["ratios"]:
        for name, target in ratio["targets"].items():
            times = ratio["times_as_fast"][name]
            console.print(
                f"{name}: {ratio['of']} is {times:.2f} times as fast as {ratio['to']}; "
                f"target {target:g}, {'reached' if times >= target else 'missed'}."
            )


if __name__ == "__main__":
    command()
