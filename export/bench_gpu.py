"""The GPU's chain beside PyTorch on the same GPU, eager and compiled, in turns within one run.

    python export/bench_gpu.py --recipe demo --backend tensorrt_rtx --out bench.json

From a frame in the host's memory to probabilities there. PyTorch has what one would write: the
host's chain between networks, channels last, inference mode; compiled it is in half precision.
Weights are random unless a run is given.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from export.benched import bundle_of, frame_of, networks_of, telling
from runtime.command import Verb
from runtime.errors import UsageError

if TYPE_CHECKING:
    from export.system import Part
    from runtime.bundle_files import LoadedBundle
    from runtime.preprocess import Image
    from train.recipe import Recipe

SCHEMA = 1
COMPILERS = ("tensorrt", "tensorrt_rtx")


@click.command("bench-gpu", cls=Verb)
@click.option("--recipe", "recipe_name", help="Measure its networks with random weights.")
@click.option("--run", "run_folder", type=click.Path(path_type=Path), help="Or those of a run.")
@click.option("--backend", type=click.Choice(COMPILERS), default="tensorrt", show_default=True)
@click.option("--image", type=click.Path(path_type=Path), help="A frame. Default: a phantom.")
@click.option("--runs", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write all figures as JSON.")
def command(
    recipe_name: str | None,
    run_folder: Path | None,
    backend: str,
    image: Path | None,
    runs: int,
    out: Path | None,
) -> None:
    """Compare the GPU's chain with PyTorch: eager in fp32, and torch.compile in half precision.

    \b
    Examples:
      python export/bench_gpu.py --recipe demo --backend tensorrt_rtx
      python export/bench_gpu.py --run run --image lesion.jpg --out bench.json
    """
    import torch

    from export.beside_torch import compare
    from runtime import machine

    if (recipe_name is None) == (run_folder is None):
        raise UsageError("Name what to measure.", expected="--recipe NAME or --run RUN")
    recipe, parts = networks_of(recipe_name, run_folder)
    frame = frame_of(image)
    with tempfile.TemporaryDirectory(prefix="dermedge-gpu-") as place, telling() as step:
        os.environ["DERMEDGE_CACHE"] = str(Path(place) / "cache")
        whole, half = bundles_of(Path(place), recipe, parts, frame, step)
        _build(half, backend, step)
        figures = compare(whole, half, parts, backend, frame, runs, step)
    report = {
        "schema": SCHEMA,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "recipe": recipe.name,
        "backend": backend,
        "frame": list(frame.shape[:2]),
        "runs": runs,
        "machine": machine.facts(),
        "torch": str(torch.__version__),
        **figures,
    }
    _print(report)
    if out is not None:
        out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def bundles_of(
    place: Path, recipe: Recipe, parts: list[Part], frame: Image, step: Callable[[str], None]
) -> tuple[LoadedBundle, LoadedBundle]:
    """One in fp32, and one that has its networks in 16 bits as well, as export makes them."""
    import onnx

    from export import parity
    from export.build import Making
    from runtime.bundle_files import fields_of
    from runtime.half import to_half

    folder = place / "bundle"
    whole = bundle_of(folder, recipe, parts, step)
    making = Making(folder, fields_of(whole), step)
    for part in parts:
        if not part.always_float:
            step(f"{part.name}: to 16 bits")
            graph = onnx.load(str(whole.path / whole.spec.models[part.name].variants[0].file))
            cases = parity.make_feeds(whole, part.name, [frame])
            making.add_variant(part.name, "fp16", to_half(graph, cases))
    return whole, making.seal()


def _build(bundle: LoadedBundle, backend: str, step: Callable[[str], None]) -> None:
    from runtime.build_process import build_engine
    from runtime.build_worker import Job
    from runtime.host_chain import models_in_use
    from runtime.machine import engine_folder

    for name in models_in_use(bundle.spec):
        step(f"{name}: building its engine")
        fields = {"bundle": bundle.path, "model": name, "backend": backend, "precision": "fp16"}
        build_engine(Job.model_validate(fields | {"cache": engine_folder()}))


def _print(report: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console()
    rows, columns = report["frame"]
    console.print(
        f"[bold]{report['recipe']}[/], a {columns} × {rows} frame, median of {report['runs']} "
        f"runs; ours as {report['mode']}"
    )
    for name, ms in report["median_ms"].items():
        console.print(f"{name}: {ms:.3f} ms", highlight=False)
    for why in report["why"]:
        console.print(why, highlight=False)
    for name, times in report["times_as_fast"].items():
        target = report["targets"][name]
        console.print(
            f"{times:.1f} times as fast as {name}; target {target:g}, "
            f"{'reached' if times >= target else 'missed'}; probabilities differ by at most "
            f"{report['largest_difference'][name]:.4f}.",
            highlight=False,
        )


if __name__ == "__main__":
    command()
