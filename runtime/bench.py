"""`dermedge bench`: how fast a bundle runs here, engine by engine and as a whole."""

from __future__ import annotations

import json
import shlex
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime import demo
from runtime.command import Number, Verb
from runtime.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from runtime.benchmark import Plan
    from runtime.sources import Item

SCHEMA = 1
ON_GPU = {"h2dMs": "H2D", "computeMs": "GPU compute", "d2hMs": "D2H", "latencyMs": "GPU latency"}


@click.command("bench", cls=Verb)
@click.option("--bundle", type=click.Path(path_type=Path), help="Default: the demo bundle.")
@click.option("--backend", default="auto", show_default=True, help="As with infer.")
@click.option(
    "--image",
    "images",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A picture to measure with; may be given more than once.",
)
@click.option("--folder", type=click.Path(path_type=Path), help="A folder of pictures instead.")
@click.option(
    "--seconds",
    type=Number(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="How long to measure, after a warm-up.",
)
@click.option("--runs", type=click.IntRange(min=1), help="A number of frames instead of seconds.")
@click.option("--threads", type=click.IntRange(min=1), help="Of each engine. Default: its own.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    help="Of the files to run, where a model has it. Default: what the bundle means for it.",
)
@click.option("--camera", metavar="SRC", help="Measure captures of a camera instead.")
@click.option("--out", type=click.Path(path_type=Path), help="Write all figures as JSON.")
def command(
    bundle: Path | None,
    backend: str,
    images: tuple[Path, ...],
    folder: Path | None,
    seconds: float,
    runs: int | None,
    threads: int | None,
    precision: str | None,
    camera: str | None,
    out: Path | None,
) -> None:
    """Measure a bundle on this machine: each engine, the chain, and what is neither.

    Engines are measured in the chain and, in turns with it, alone on the same inputs: each by
    itself, and all one after the other as a frame runs them. Without pictures the demo's
    frames are used. Percentiles are values that were seen, as in trtexec.

    \b
    Examples:
      dermedge bench
      dermedge bench --bundle my-bundle --folder photos --seconds 30 --out bench.json
      dermedge bench --backend onnxruntime --precision fp16 --runs 100
      dermedge bench --camera synthetic:1920x1080@30 --seconds 30
    """
    from runtime.benchmark import Plan

    if camera is not None:
        found = _measure_camera(camera, bundle or demo.BUNDLE, (backend, precision), seconds)
        _print_camera(found)
        if out is not None:
            _write(out, found)
        return
    plan = Plan(
        bundle=bundle or demo.BUNDLE,
        items=_pictures(images, folder),
        backend=backend,
        seconds=seconds,
        runs=runs,
        threads=threads,
        precision=precision,
    )
    report = {**_head(), **_run_with_progress(plan)}
    _print_report(report)
    if out is not None:
        _write(out, report)


def _head() -> dict[str, Any]:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"schema": SCHEMA, "command": _as_typed(), "date": now}


def _measure_camera(
    source: str, folder: Path, how: tuple[str, str | None], seconds: float
) -> dict[str, Any]:
    """`how`: the backend and the precision."""
    from rich.console import Console
    from rich.progress import Progress

    from runtime import machine
    from runtime.bundle_files import load_bundle
    from runtime.capture.address import parse_address
    from runtime.capture.camera import Camera
    from runtime.capture.loop_benchmark import measure_loop
    from runtime.chain import open_chain

    address = parse_address(source)
    with (
        Progress(console=Console(stderr=True), transient=True) as bar,
        open_chain(load_bundle(folder), how[0], precision=how[1]) as chain,
        Camera(address) as camera,
    ):
        task = bar.add_task("Measuring", total=1.0)
        found = measure_loop(camera, chain, seconds, lambda s: bar.update(task, completed=s))
    return {**_head(), "machine": machine.facts(), **found}


def _print_camera(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"{found['camera']}: {found['captures']} captures", highlight=False)
    table = Table("ms", "p50", "p90", "p99", box=None, pad_edge=False)
    rows = {
        "capture to result": "capture_to_result_ms",
        "capture until it is kept": "capture_until_kept_ms",
        "of that, the chain": "chain_ms",
        "added by the loop": "added_by_loop_ms",
        "age of the frame when it was judged": "frame_age_ms",
    }
    for words, name in rows.items():
        table.add_row(words, *(f"{found[name][key]:.1f}" for key in ("p50", "p90", "p99")))
    console.print(table)
    added, chain = found["added_by_loop_ms"]["p50"], found["chain_ms"]["p50"]
    console.print(f"The loop adds {added:.1f} ms, {added / chain:.0%} of the chain's own time.")
    console.print(
        f"{found['frames_per_second']:.1f} frames came a second; the live picture showed "
        f"{found['live_pictures_per_second']:.1f} of them.",
        highlight=False,
    )


def _pictures(images: tuple[Path, ...], folder: Path | None) -> list[Item]:
    from runtime import sources

    if images and folder is not None:
        raise UsageError("--image and --folder were both given.", expected="one of them")
    if images:
        return [item for path in images for item in sources.one_image(path).items]
    found = list(sources.folder(folder or demo.FRAMES).items)
    if not found:
        raise UsageError(
            f"There are no pictures in {folder or demo.FRAMES}.",
            expected="files that end in " + ", ".join(sources.READ),
            remedy="name another folder, or leave --folder out to use the sample frames",
        )
    return found


def _as_typed() -> str:
    from runtime.capture.address import without_secrets

    name = sys.argv[0]
    program = ["python", name] if name.endswith(".py") else [Path(name).name]
    return shlex.join([*program, *map(without_secrets, sys.argv[1:])])


def _run_with_progress(plan: Plan) -> dict[str, Any]:
    from rich.console import Console
    from rich.progress import Progress

    from runtime.benchmark import run_benchmark

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Measuring", total=1.0)
        return run_benchmark(plan, lambda share: bar.update(task, completed=share))


def _write(path: Path, report: dict[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except OSError as exc:
        raise UsageError(
            f"The figures cannot be written to {path}.",
            got=exc.strerror or str(exc),
            remedy="Name a file in a folder that can be written to.",
        ) from exc


def _print_report(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    bundle, backend, machine = (report[key] for key in ("bundle", "backend", "machine"))
    console.print(
        f"[bold]{bundle['name']} {bundle['version']}[/] with {backend['name']} on "
        f"{backend['device']}, {machine['cores']} cores: {report['frames']} frames"
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("ms")
    for header in ("p50", "p90", "p95", "p99", "scatter"):
        table.add_column(header, justify="right")
    for name, figures in report["engines"].items():
        how = f"{figures['precision']}, {figures['backend']}"
        _add_row(table, f"{name} ({how})", figures["in_chain_ms"])
        _add_row(table, "[dim]  alone[/]", figures["alone_ms"])
        for part, label in ON_GPU.items() if figures["gpu"] else ():
            _add_row(table, f"[dim]  {label}[/]", figures["gpu"][part])
    _add_row(table, "[bold]all engines[/]", report["all_engines"]["in_chain_ms"])
    _add_row(table, "[dim]  alone[/]", report["all_engines"]["alone_ms"])
    for part, figures in report["outside_engines"]["parts_ms"].items():
        _add_row(table, f"[cyan]{part}[/]", figures)
    _add_row(table, "[bold]chain[/]", report["chain_ms"])
    _add_row(table, "[bold]frame, file to record[/]", report["frame_ms"])
    console.print(table)
    for line in _sentences(report):
        console.print(line, highlight=False)
    if report["device"] is not None:
        from runtime.device.figures_table import device_sentences, device_table

        console.print()
        console.print(device_table(report["device"]))
        for line in device_sentences(report["device"]):
            console.print(line, highlight=False)


def _add_row(table: Table, name: str, figures: dict[str, float]) -> None:
    shares = [f"{figures[key]:.2f}" for key in ("p50", "p90", "p95", "p99")]
    table.add_row(name, *shares, f"{figures['cv']:.1%}")


def _sentences(report: dict[str, Any]) -> list[str]:
    load, outside, rate = (
        report[key] for key in ("load_ms", "outside_engines", "frames_per_second")
    )
    peak = report["memory_mib"]["peak"]
    return [
        *_on_gpu(report),
        f"Not in an engine: {outside['share_of_chain']:.0%} of the chain, "
        f"{outside['share_of_frame']:.0%} of a frame.",
        f"A scan: {rate['scan']:.1f} frames/s, {rate['share']:.0%} of what the engines alone "
        f"allow ({rate['engines_alone']:.1f}).",
        f"Opened in {load['verify'] + load['open']:.0f} ms, tested in {load['self_test']:.0f} ms; "
        f"the first frame took {report['first_frame_ms']:.0f} ms.",
        f"Peak memory: {peak:.0f} MiB." if peak is not None else "Peak memory: not known here.",
    ]


def _on_gpu(report: dict[str, Any]) -> list[str]:
    """How GPU figures were measured: without that they cannot be compared with any other."""
    on_gpu = {name: row["gpu"] for name, row in report["engines"].items() if row["gpu"]}
    if not on_gpu:
        return []
    settings = next(iter(on_gpu.values()))["settings"]
    told = [f"{name.replace('_', '-')} {'on' if on else 'off'}" for name, on in settings.items()]
    lines = [f"GPU figures are of CUDA events: {', '.join(told)}."]
    for what, words in (
        ("steady", "scatter by more than 2.5 %"),
        ("host_bound", "wait for the host"),
    ):
        if names := [name for name, row in on_gpu.items() if row[what] is (what == "host_bound")]:
            lines.append(f"GPU times of {', '.join(names)} {words}.")
    return lines


if __name__ == "__main__":
    command()
