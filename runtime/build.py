"""`dermedge build`: compile a bundle's engines for this machine, into the cache."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import click

from runtime import demo
from runtime.command import Verb
from runtime.errors import BackendError, UsageError

if TYPE_CHECKING:
    from runtime.backends.engine_key import EngineKey
    from runtime.build_process import Outcome
    from runtime.build_worker import Job
    from runtime.bundle import Bundle
    from runtime.bundle_files import LoadedBundle

Compiler = Literal["tensorrt", "tensorrt_rtx"]
OpenVino = Literal["openvino"]
COMPILERS = ("tensorrt", "tensorrt_rtx")
OPENVINO: OpenVino = "openvino"  # on the CPU: it compiles in moments, and in this process
AUTO = "auto"


@click.command("build", cls=Verb)
@click.option("--bundle", type=click.Path(path_type=Path), help="Default: the demo bundle.")
@click.option(
    "--backend",
    type=click.Choice([AUTO, *COMPILERS, OPENVINO]),
    default="auto",
    show_default=True,
    help="auto takes TensorRT where there is a GPU for it, else TensorRT-RTX, else OpenVINO, which "
    "then need not compile at every start.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    help="Where engines are kept. Default: DERMEDGE_CACHE, or the user's cache folder.",
)
@click.option(
    "--workspace",
    type=click.IntRange(min=1),
    metavar="MIB",
    help="The most device memory the builder may use. Default: all there is; on a Jetson, which "
    "shares it with the rest of the system, a quarter.",
)
@click.option("--models", multiple=True, metavar="NAME", help="Only these; may be repeated.")
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Build for N frames at a time as well, which scans of folders then use on a GPU.",
)
@click.option("--force", is_flag=True, help="Build even what is in the cache.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    help="Of the variants to build, where a model has it. Default: what each backend takes.",
)
@click.option(
    "--dla",
    type=click.IntRange(min=0),
    metavar="N",
    help="Build for DLA core N, from float files: run these with infer --precision fp16.",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder with a TensorRT calibration cache MODEL.cache a model, for INT8 on DLA: "
    "BUNDLE/calibration, where quantize wrote them.",
)
def command(
    bundle: Path | None,
    backend: str,
    cache: Path | None,
    workspace: int | None,
    models: tuple[str, ...],
    batch: int,
    force: bool,
    precision: str | None,
    dla: int | None,
    calibration: Path | None,
) -> None:
    """Compile the networks of a bundle for this machine, and keep the engines.

    Each is built in a process of its own, one after the other. What is in the cache for this very
    graph, GPU and TensorRT is not built again. A layer that would compute in another precision than
    the bundle's file says is an error.

    \b
    Examples:
      dermedge build --bundle bundles/ding
      dermedge build --bundle bundles/ding --workspace 1024 --models segmenter
      dermedge build --backend tensorrt_rtx --cache engines
      dermedge build --bundle bundles/ding --batch 8
      dermedge build --backend openvino
      dermedge build --bundle bundles/ding8 --dla 0 --calibration bundles/ding8/calibration
    """
    from runtime.backends.engine_key import BuildSettings
    from runtime.build_worker import Job
    from runtime.bundle_files import load_bundle
    from runtime.machine import engine_folder

    loaded = load_bundle(bundle or demo.BUNDLE)
    chosen = choose_compiler(backend)
    names = _models(loaded.spec, models)
    if chosen == OPENVINO:
        several = batch if batch > 1 else None
        _refuse_for_cpu(workspace=workspace, dla=dla, calibration=calibration, batch=several)
        build_for_cpu(loaded, names, precision, cache, force)
        return
    settings = BuildSettings(workspace_mib=workspace or usual_workspace(), dla=dla)
    jobs = [
        Job.model_validate(
            {
                "bundle": loaded.path.resolve(),
                "model": name,
                "backend": chosen,
                "cache": engine_folder(cache).resolve(),
                "precision": precision,
                "settings": settings,
                "ranges": _ranges(calibration, name),
                "batch": size,
                "force": force,
            }
        )
        for size in dict.fromkeys((1, batch))
        for name in names
    ]
    _print_table(loaded, build_all(jobs), jobs[0].cache)
    _self_test(loaded, names, jobs[-1], cache)


def choose_compiler(backend: str) -> Compiler | OpenVino:
    """Unlike for running, no GPU need be here: TensorRT-RTX compiles for families of them."""
    from runtime.backends.registry import why_no_gpu, why_not_installed

    if backend != AUTO:
        return cast("Compiler", backend)
    reason = why_not_installed("tensorrt") or why_no_gpu()
    if reason is None:
        return "tensorrt"
    missing = why_not_installed("tensorrt_rtx")
    if missing is None:
        return "tensorrt_rtx"
    if (absent := why_not_installed(OPENVINO)) is None:
        return OPENVINO
    raise BackendError(
        "No engine can be built here.",
        got=f"tensorrt: {reason}; tensorrt_rtx: {missing}; openvino: {absent}",
        expected="TensorRT with a GPU, TensorRT-RTX, or OpenVINO",
        remedy="pip install 'dermedge[rtx]' or 'dermedge[cpu]', or on a Jetson use JetPack's "
        "TensorRT",
    )


def build_for_cpu(
    bundle: LoadedBundle,
    names: list[str],
    precision: str | None,
    cache: Path | None,
    force: bool,
) -> None:
    from runtime.backends.openvino_engine import compile_to
    from runtime.backends.registry import choose_backend, read_graph
    from runtime.machine import engine_folder

    choose_backend(OPENVINO)
    folder = engine_folder(cache)
    for name in names:
        model = bundle.spec.models[name]
        graph = read_graph(OPENVINO, bundle.path, name, model, precision=precision)
        size = compile_to(graph, folder, force)
        words = "from cache" if size is None else f"{size / 2**20:.1f} MiB"
        click.echo(f"{name}: {graph.precision}, {words}")
    click.echo(f"Compiled graphs are in {folder}")
    if _is_whole(bundle, names):
        _try_golden_images(bundle, OPENVINO, precision, cache)


def _refuse_for_cpu(**given: object) -> None:
    if used := [name for name, value in given.items() if value is not None]:
        raise UsageError(
            f"--{used[0]} is for TensorRT.",
            got="--backend openvino, or auto where there is no TensorRT",
            remedy=f"leave --{used[0]} out, or name --backend tensorrt",
        )


def usual_workspace() -> int | None:
    """On a board the builder would take what the system needs, and be ended for it."""
    from runtime import machine

    memory = machine.memory_mib()
    return None if machine.jetson() is None or memory is None else max(memory // 4, 256)


def build_all(jobs: list[Job]) -> list[Outcome]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from runtime.build_process import build_engine

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    done = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        for number, job in enumerate(jobs, start=1):
            title = f"{number}/{len(jobs)} {_named(job.model, job.batch)}"
            task = bar.add_task(title, total=None)

            def show(phase: str, share: float | None, task: int = task, title: str = title) -> None:
                total = None if share is None else 1.0
                told = f"{title}: {phase}"
                bar.update(task, description=told, completed=share or 0, total=total)  # type: ignore[arg-type]

            done.append(build_engine(job, show))
            bar.remove_task(task)
    return done


def _self_test(bundle: LoadedBundle, built: list[str], job: Job, cache: Path | None) -> None:
    """The golden images through the engines that `job` and its like have built, where they can
    run. A miss ends with exit 3."""
    from runtime.backends.registry import why_unusable

    if (purify := bundle.spec.chain.purify) is not None and purify.only_on_host:
        click.echo(
            "note: this bundle is purified by OpenCV on the host, so infer runs it with --backend "
            f"{OPENVINO} or onnxruntime; what is built here is for programs of your own.",
            err=True,
        )
        return
    if not _is_whole(bundle, built):
        return
    if job.opened_with is not None:
        words = f"--backend {job.backend} --precision {job.opened_with}"
        click.echo(f"To run these engines: dermedge infer {words}")
    if (reason := why_unusable(job.backend)) is not None:
        click.echo(f"Not tried on the golden images, which needs a GPU: {reason}")
        return
    _try_golden_images(bundle, job.backend, job.opened_with, cache)
    if job.batch > 1:
        from runtime.judging import open_chains

        with open_chains(bundle, job.backend, precision=job.opened_with) as chains:
            click.echo(f"And with those for {chains[0].batch} frames at a time.")


def _is_whole(bundle: LoadedBundle, built: list[str]) -> bool:
    """Part of a chain is none."""
    from runtime.host_chain import models_in_use

    return set(models_in_use(bundle.spec)) <= set(built)


def _try_golden_images(
    bundle: LoadedBundle, backend: str, precision: str | None, cache: Path | None
) -> None:
    from runtime.chain import open_chain

    if cache is not None:
        os.environ["DERMEDGE_CACHE"] = str(cache)  # where a chain looks, as any later one must
    with open_chain(bundle, backend, precision=precision):
        count = len(bundle.spec.golden)
    click.echo(f"Golden images as expected with these engines: {count}.")


def _models(spec: Bundle, wanted: tuple[str, ...]) -> list[str]:
    from runtime.host_chain import models_in_use

    if unknown := [name for name in wanted if name not in spec.models]:
        raise UsageError(
            f"The bundle has no model '{unknown[0]}'.",
            expected=", ".join(spec.models),
            remedy="--models NAME with one of them",
        )
    return list(dict.fromkeys(wanted)) or models_in_use(spec)


def _ranges(folder: Path | None, model: str) -> Path | None:
    """A model without a file of its own is left to 16 bits, or refused where INT8 was asked."""
    if folder is None:
        return None
    if not folder.is_dir():
        raise UsageError(
            f"{folder} is not a folder.",
            expected="a folder with MODEL.cache files in it",
            remedy="name the folder, or leave --calibration out to build for 16 bits",
        )
    path = folder / f"{model}.cache"
    return path.resolve() if path.is_file() else None


def _print_table(bundle: LoadedBundle, outcomes: list[Outcome], folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    key = outcomes[0].record.key
    console.print(
        f"[bold]{bundle.spec.name} {bundle.spec.version}[/] with {key.flavour} {key.version}, "
        f"for {_target(key)}",
        highlight=False,
    )
    table = Table(box=None, pad_edge=False)
    for header in ("model", "precision", "layers", "checked on", "MiB", "s", ""):
        table.add_column(header, justify="right" if header in ("MiB", "s") else "left")
    for outcome in outcomes:
        record = outcome.record
        table.add_row(
            _named(record.model, record.key.batch),
            record.key.precision,
            ", ".join(f"{count} {name}" for name, count in record.layers.items()) or "none",
            record.checked_on,
            f"{record.bytes / 2**20:.1f}",
            f"{record.seconds:.1f}",
            _where_from(outcome.why),
        )
    console.print(table)
    console.print(f"Engines are in {folder}", highlight=False, soft_wrap=True)


def _named(model: str, batch: int) -> str:
    return model if batch == 1 else f"{model} ×{batch}"


def _target(key: EngineKey) -> str:
    """TensorRT-RTX compiles for families of GPUs, whether or not one of them is here."""
    from runtime.backends.engine_key import PORTABLE_WORDS

    if key.flavour == "tensorrt_rtx":
        return f"any GPU of compute capability {PORTABLE_WORDS}"
    return f"{key.home.gpu} ({key.home.capability})"


def _where_from(why: str | None) -> str:
    from runtime.backends.engine_cache import MISSING

    if why is None:
        return "from cache"
    return "built" if why == MISSING else f"built again: {why}"


if __name__ == "__main__":
    command()
