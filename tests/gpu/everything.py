"""All that a GPU can show, in one go: python -m tests.gpu.everything --out out/bench-gpu

Whatever fails is written down with what it answered, and the rest is done all the same: where
TensorRT cannot run, the kernels can. The folder gets a log a step and summary.md.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import click

from runtime.backends.registry import why_no_gpu, why_unusable
from tests.gpu.on_gpu import BACKENDS

PATIENCE_S = 900.0
LAST_LINES = 40


@dataclass(frozen=True)
class Step:
    name: str
    words: tuple[str, ...]


def steps(out: Path, pictures: Path) -> Iterator[Step]:
    python = sys.executable
    yield Step("smi", ("nvidia-smi",))
    yield Step("doctor", (python, "-m", "runtime.doctor"))
    yield Step("kernels", (python, "-m", "pytest", "-q", "tests/gpu/test_kernels_on_gpu.py"))
    sanitized = (python, "-m", "pytest", "-q", "tests/gpu/test_kernels_on_gpu.py", "-k", "hard")
    yield Step("sanitizer", ("compute-sanitizer", "--error-exitcode", "99", *sanitized))
    yield Step("rtx", (python, "-m", "tests.gpu.rtx_answers"))
    yield Step("costs", (python, "-m", "tests.gpu.kernel_costs", "--out", f"{out}/costs.json"))
    usable = [name for name in BACKENDS if why_unusable(name) is None]
    for backend in usable:
        yield from _with(backend, out, pictures)
    if not usable or not _ran(out, usable):
        words = ("-m", "tests.gpu.stand_in", "--recipe", "demo", "--out", f"{out}/stand_in.json")
        yield Step("stand-in", (python, *words))


def _with(backend: str, out: Path, pictures: Path) -> Iterator[Step]:
    python = sys.executable
    for precision in ("fp16", "int8"):
        how = ("--backend", backend, "--precision", precision)
        build = (python, "-m", "runtime.build", *how, "--batch", "8")
        yield Step(f"build {backend} {precision}", build)
        for name in ("512", "1080"):
            figures = f"{out}/{backend}-{precision}-{name}.json"
            words = ("--image", f"{pictures}/{name}.png", "--seconds", "20", "--out", figures)
            yield Step(
                f"bench {backend} {precision} {name}",
                (python, "-m", "runtime.bench", *how, *words),
            )
    words = ("tests/gpu/test_device_chain_on_gpu.py", "tests/gpu/test_built_engines.py")
    yield Step(f"tests {backend}", (python, "-m", "pytest", "-q", "-k", backend, *words))
    for recipe in ("demo", "ding"):
        beside = ("--recipe", recipe, "--backend", backend)
        yield Step(
            f"pytorch {backend} {recipe}",
            (python, "-m", "export.bench_gpu", *beside, "--out", f"{out}/{backend}-{recipe}.json"),
        )


def _ran(out: Path, backends: list[str]) -> bool:
    return any(list(out.glob(f"{backend}-*.json")) for backend in backends)


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out/bench-gpu"), show_default=True
)
def main(out: Path) -> None:
    if (reason := why_no_gpu()) is not None:
        sys.exit(f"There is no GPU here to measure: {reason}")
    out.mkdir(parents=True, exist_ok=True)
    for old in (*out.glob("*.json"), *out.glob("*.log")):
        old.unlink()
    os.environ["DERMEDGE_CACHE"] = str((out / "cache").resolve())
    pictures = _pictures(out)
    failed: list[str] = []
    told = [f"# {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC", ""]
    for step in steps(out, pictures):
        print(f"== {step.name}", flush=True)
        lines, passed = _done(step, out)
        told += lines
        failed += [] if passed else [step.name]
        (out / "summary.md").write_text("\n".join(told) + "\n", encoding="utf-8")
    if failed:
        sys.exit(f"Not passed: {', '.join(failed)}; see {out}/summary.md")


def _done(step: Step, out: Path) -> tuple[list[str], bool]:
    log = out / f"{step.name.replace(' ', '-')}.log"
    started = time.monotonic()
    try:
        with log.open("w", encoding="utf-8") as file:
            done = subprocess.run(
                step.words, stdout=file, stderr=file, check=False, timeout=PATIENCE_S
            )
        status, passed = f"exit {done.returncode}", done.returncode == 0
    except (OSError, subprocess.TimeoutExpired) as error:
        status, passed = str(error), False
    seconds = time.monotonic() - started
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
    print("\n".join(lines), flush=True)
    head = f"## {step.name}: {status}, {seconds:.0f} s"
    words = f"    {shlex.join(step.words)}"
    return [head, "", words, *(f"    {line}" for line in lines), ""], passed


def _pictures(out: Path) -> Path:
    import cv2

    from train.phantom.compose import make_phantom

    for name, shape in (("512", (512, 512)), ("1080", (1080, 1920))):
        cv2.imwrite(str(out / f"{name}.png"), make_phantom(0, 0, shape).image)
    return out


if __name__ == "__main__":
    main()
