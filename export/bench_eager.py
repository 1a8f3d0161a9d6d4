"""OpenVINO beside eager PyTorch: the same networks, the same frame, in turns within one run.

    python export/bench_eager.py --recipe ding --runs 20
    python export/bench_eager.py --run RUN --runs 50 --out bench.json

Eager is PyTorch as one would write it: channels last, inference mode. Both chains share all of
the host's code, so that what differs is the engines. Weights are random unless a run is given.

Beside the times stands how fast each network computes and how fast a large matrix product does on
the same cores: where the two meet, no engine that computes the same sums can be any faster.
"""

from __future__ import annotations

import json
import shlex
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import click
import numpy as np

from runtime.command import Verb
from runtime.errors import UsageError

if TYPE_CHECKING:
    import torch

    from export.system import Part
    from runtime.backends.base import Engine
    from runtime.bundle_files import LoadedBundle
    from runtime.chain import Chain
    from runtime.preprocess import Image
    from train.recipe import Recipe

SCHEMA = 1
WARM_UP = 3
MATRIX, MATRIX_RUNS = 2048, 12
FRAME = (768, 1024)  # height and width, as most images of ISIC 2017 have them
TARGETS = {"backbones": 2.0, "chain": 1.5}
"""How many times as fast as eager it ought to be."""


class EagerEngine:
    """A network in place of an engine: arrays in, arrays out, PyTorch in between."""

    precision = "fp32"

    def __init__(self, part: Part) -> None:
        import torch

        self.graph = part.graph.eval()
        if len(part.shape) == 3:
            # mypy has no overload for a module and a memory format.
            self.graph = self.graph.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        import torch

        with torch.inference_mode():
            said = self.graph(*(self._tensor(feeds[name]) for name in self.graph.inputs))
        said = said if isinstance(said, tuple) else (said,)
        return dict(zip(self.graph.outputs, (each.numpy() for each in said), strict=True))

    @staticmethod
    def _tensor(array: np.ndarray) -> torch.Tensor:
        import torch

        tensor = torch.from_numpy(array)
        if tensor.ndim == 4:
            return tensor.contiguous(memory_format=torch.channels_last)
        return tensor


class Stopwatch:
    """Anything that runs like an engine, with a note of how long each run took."""

    def __init__(self, engine: Any) -> None:
        self.engine, self.precision = engine, engine.precision
        self.ms: list[float] = []

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        started = perf_counter()
        outputs = self.engine.run(feeds)
        self.ms.append((perf_counter() - started) * 1e3)
        return outputs


Watches = dict[str, Stopwatch]


@click.command("bench-eager", cls=Verb)
@click.option("--recipe", "recipe_name", help="Measure its networks with random weights.")
@click.option("--run", "run_folder", type=click.Path(path_type=Path), help="Or those of a run.")
@click.option("--image", type=click.Path(path_type=Path), help="A frame. Default: a phantom.")
@click.option("--runs", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Of both. Default: all cores.")
@click.option("--out", type=click.Path(path_type=Path), help="Write all figures as JSON.")
def command(
    recipe_name: str | None,
    run_folder: Path | None,
    image: Path | None,
    runs: int,
    threads: int | None,
    out: Path | None,
) -> None:
    """Compare OpenVINO with eager PyTorch: each network, the backbones in turn, the whole chain.

    \b
    Examples:
      python export/bench_eager.py --recipe ding --runs 20
      python export/bench_eager.py --run run --image lesion.jpg --out bench.json
    """
    if (recipe_name is None) == (run_folder is None):
        raise UsageError("Name what to measure.", expected="--recipe NAME or --run RUN")
    recipe, parts = _networks(recipe_name, run_folder)
    frame = _frame(image)
    with tempfile.TemporaryDirectory(prefix="dermedge-eager-") as folder, _progress() as step:
        bundle = _bundle(Path(folder), recipe, parts, step)
        figures = _measure(bundle, parts, frame, runs, threads, step)
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


def _networks(name: str | None, folder: Path | None) -> tuple[Recipe, list[Part]]:
    from export.finished_run import FinishedRun
    from export.system import parts_of, parts_untrained
    from train.recipe import load_recipe

    if folder is not None:
        run = FinishedRun.read(folder)
        return run.recipe, list(parts_of(run, None))
    recipe = load_recipe(name or "")
    return recipe, list(parts_untrained(recipe))


def _frame(path: Path | None) -> Image:
    from runtime.decode import read_image
    from train.phantom.compose import make_phantom

    return make_phantom(0, 0, FRAME).image if path is None else read_image(path).frame


def _bundle(
    folder: Path, recipe: Recipe, parts: list[Part], step: Callable[[str], None]
) -> LoadedBundle:
    from export.build import Making
    from export.graphs import to_onnx
    from export.system import system_fields

    fields = system_fields(recipe) | {
        "name": recipe.name,
        "version": "0",
        "created": datetime.now(timezone.utc).isoformat(),
        "provenance": {"revision": "benchmark"},
    }
    making = Making(folder, fields, step)
    for part in parts:
        step(f"{part.name}: to ONNX")
        making.add_variant(part.name, "fp32", to_onnx(part.graph, part.shape))
    return making.seal()


def _measure(
    bundle: LoadedBundle,
    parts: list[Part],
    frame: Image,
    runs: int,
    threads: int | None,
    step: Callable[[str], None],
) -> dict[str, Any]:
    """One frame through one chain and then the other, as often as asked for."""
    import torch

    from runtime.host_chain import HostChain

    if threads is not None:
        torch.set_num_threads(threads)
    with HostChain(bundle, "openvino", threads) as compiled, HostChain(bundle) as eager:
        for engine in eager._engines.values():
            engine.close()  # the second chain gets networks in place of its engines
        watches: dict[str, Watches] = {
            "openvino": {name: Stopwatch(engine) for name, engine in compiled._engines.items()},
            "eager": {part.name: Stopwatch(EagerEngine(part)) for part in parts},
        }
        chains = {"openvino": compiled, "eager": eager}
        for kind, chain in chains.items():
            chain._engines = cast("dict[str, Engine]", watches[kind])
        step("warming up")
        for _ in range(WARM_UP):
            for chain in chains.values():
                chain.process(frame)
        for watch in (watch for by_name in watches.values() for watch in by_name.values()):
            watch.ms.clear()
        totals = _take_turns(chains, frame, runs, step)
        figures = _figures(watches, totals, list(bundle.spec.chain.classify))
    step("counting and measuring arithmetic")
    work = {part.name: _gflop(part) for part in parts}
    return figures | {"gflop": work, "matrix_product_gflops": _matrix_product_gflops()}


def _gflop(part: Part) -> float:
    """Of one run; a multiplication and an addition are two."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        part.graph(torch.zeros(1, *part.shape))
    return float(counter.get_total_flops()) / 1e9


def _matrix_product_gflops() -> float:
    """The best of several, because a peak is what nothing can exceed."""
    import torch

    square = torch.ones(MATRIX, MATRIX)
    seconds = []
    for _ in range(MATRIX_RUNS):
        started = perf_counter()
        square @ square
        seconds.append(perf_counter() - started)
    return 2 * MATRIX**3 / min(seconds) / 1e9


def _take_turns(
    chains: Mapping[str, Chain], frame: Image, runs: int, step: Callable[[str], None]
) -> dict[str, list[float]]:
    totals: dict[str, list[float]] = {name: [] for name in chains}
    for number in range(runs):
        step(f"frame {number + 1} of {runs}")
        for name, chain in chains.items():
            started = perf_counter()
            chain.process(frame)
            totals[name].append((perf_counter() - started) * 1e3)
    return totals


def _figures(
    watches: dict[str, Watches], totals: dict[str, list[float]], backbones: list[str]
) -> dict[str, Any]:
    ms = {kind: {n: watch.ms for n, watch in by.items()} for kind, by in watches.items()}
    together = {
        kind: [sum(run) for run in zip(*(by[n] for n in backbones), strict=True)]
        for kind, by in ms.items()
    }
    rows = {name: (ms["eager"][name], ms["openvino"][name]) for name in ms["eager"]}
    rows["backbones in turn"] = (together["eager"], together["openvino"])
    rows["whole chain"] = (totals["eager"], totals["openvino"])
    outside = {kind: 1 - sum(map(sum, by.values())) / sum(totals[kind]) for kind, by in ms.items()}
    return {
        "rows": {name: _row(*series) for name, series in rows.items()},
        "share_outside_engines": outside,
        "targets": TARGETS,
    }


def _row(eager: list[float], compiled: list[float]) -> dict[str, float]:
    """Medians, and the median of each run's own ratio: a slow moment slows both of a run."""
    return {
        "eager_ms": statistics.median(eager),
        "openvino_ms": statistics.median(compiled),
        "ratio": statistics.median(a / b for a, b in zip(eager, compiled, strict=True)),
    }


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


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("starting") as status:
        yield status.update


def _print(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    grid = Table(title=f"{report['recipe']}, median of {report['runs']} runs")
    grid.add_column("")
    for heading in ("eager PyTorch, ms", "OpenVINO, ms", "eager / OpenVINO", "GFLOP/s"):
        grid.add_column(heading, justify="right")
    for name, row in report["rows"].items():
        eager, compiled = row["eager_ms"], row["openvino_ms"]
        work = report["gflop"].get(name)
        speeds = f"{work / eager * 1e3:.0f} → {work / compiled * 1e3:.0f}" if work else ""
        grid.add_row(name, f"{eager:.1f}", f"{compiled:.1f}", f"{row['ratio']:.2f}", speeds)
    console = Console()
    console.print(grid)
    console.print(f"A large matrix product: {report['matrix_product_gflops']:.0f} GFLOP/s.")
    for kind, share in report["share_outside_engines"].items():
        console.print(f"Outside the networks: {share:.1%} of the chain with {kind}.")
    for what, name in (("backbones", "backbones in turn"), ("chain", "whole chain")):
        ratio, target = report["rows"][name]["ratio"], TARGETS[what]
        verdict = "reached" if ratio >= target else "missed"
        console.print(f"{name}: {ratio:.2f} times as fast as eager; target {target:g}, {verdict}.")


if __name__ == "__main__":
    command()
