"""What each kernel costs on this GPU: python -m tests.gpu.kernel_costs --out costs.json

A launch is captured as a graph and started many times in a row, so that what is timed is the GPU's
work and not the host's. Frames and masks are of the sizes that are in use.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from runtime.device.arena import Arena, Mirrored
from runtime.device.driver import Cuda
from runtime.device.kernels import Kernels
from runtime.device.layouts import BOX, FRAME, LESION, SAID, TARGET, Format
from runtime.device.pixels import Pixels
from runtime.device.targets import Target, target_table
from runtime.specs import PreprocessSpec, ViewSpec
from tests.gpu.lesion_launch import LesionLaunch
from tests.runtime.device.test_lesion_kernels import SHAPES

FRAMES = {"512 × 512": (512, 512), "1920 × 1080": (1080, 1920)}
SIDE, MEMBERS, CLASSES = 256, 5, 3
ROUNDS, REPEATS = 30, 50


def median_us(cuda: Cuda, stream: Any, launch: Callable[[], None]) -> float:
    launch()
    cuda.synchronize(stream)
    with cuda.capturing(stream) as captured:
        for _ in range(REPEATS):
            launch()
    begun, ended = cuda.clock_event(), cuda.clock_event()
    times = []
    for _ in range(ROUNDS):
        cuda.record(begun, stream)
        cuda.start(captured[0], stream)
        cuda.record(ended, stream)
        cuda.synchronize(stream)
        times.append(cuda.between(begun, ended) * 1e3 / REPEATS)
    cuda.forget(captured[0])
    return statistics.median(times)


def inputs_us(cuda: Cuda, kernels: Kernels, shape: tuple[int, int]) -> dict[str, float]:
    """One target, and five at once, out of a frame; and the frame's own way up."""
    spec = PreprocessSpec(size=(SIDE, SIDE), mean=(0.5,) * 3, std=(0.2,) * 3)
    target = Target(ViewSpec(area="lesion"), spec, False)
    given, made, pixels, stream = Mirrored(cuda), Arena(cuda), Pixels(cuda), cuda.stream()
    given.reserve("frame", FRAME.itemsize)
    given.reserve("targets", MEMBERS * TARGET.itemsize)
    given.reserve("boxes", MEMBERS * BOX.itemsize)
    given.reserve("lesion", LESION.itemsize)
    for number in range(MEMBERS):
        made.reserve(str(number), target.size)
    given.allocate()
    made.allocate()
    height, width = shape
    frame = pixels.memory(height, width)
    pixels.take(frame, Format.BGR, given.host("frame", FRAME, 1)[0], stream)
    places = [made.address(str(number)) for number in range(MEMBERS)]
    given.host("targets", TARGET, MEMBERS)[...] = target_table([target] * MEMBERS, places)
    given.host("boxes", BOX, MEMBERS)[...] = (width // 4, height // 4, width // 2, height // 2)
    given.upload(stream)
    frame_at, *names = (given.address(n) for n in ("frame", "targets", "boxes", "lesion"))

    def fill(rows: int) -> Callable[[], None]:
        return lambda: kernels(
            "fill_targets", stream, frame_at, 0, *names, 0, 0, 0, threads=SIDE * SIDE, rows=rows
        )

    header = given.host("frame", FRAME, 1)[0]
    return {
        "one crop of half the frame": median_us(cuda, stream, fill(1)),
        f"{MEMBERS} such crops at once": median_us(cuda, stream, fill(MEMBERS)),
        "the frame's way up": median_us(
            cuda, stream, lambda: pixels.take(frame, Format.BGR, header, stream)
        ),
    }


def lesion_us(cuda: Cuda, kernels: Kernels, mask: np.ndarray) -> float:
    launch = LesionLaunch(cuda, kernels, mask)
    return median_us(cuda, launch.stream, launch.issue)


def ensemble_us(cuda: Cuda, kernels: Kernels) -> float:
    given = Mirrored(cuda)
    for name, size in (("rows", MEMBERS * SAID.itemsize), ("said", 4096), ("out", 4096)):
        given.reserve(name, size)
    given.allocate()
    stream = cuda.stream()
    given.host("rows", SAID, MEMBERS)["values"] = given.address("said")
    given.upload(stream)
    places = given.address("rows"), CLASSES, given.address("out")
    return median_us(
        cuda,
        stream,
        lambda: kernels("stack_members", stream, *places, threads=CLASSES, rows=MEMBERS),
    )


def blob() -> np.ndarray:
    rows, columns = np.indices((SIDE, SIDE))
    middle = (rows - SIDE / 2) ** 2 + (columns - SIDE / 2) ** 2
    return (middle < (SIDE / 4) ** 2).astype(np.float32)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="Write them as JSON.")
def main(out: Path | None) -> None:
    cuda = Cuda()
    with cuda.current():
        kernels = Kernels(cuda)
        found: dict[str, Any] = {"gpu": cuda.name, "driver": cuda.driver_version, "us": {}}
        for name, shape in FRAMES.items():
            for what, us in inputs_us(cuda, kernels, shape).items():
                found["us"][f"{name}: {what}"] = us
        masks = {"a lesion": blob(), "noise": SHAPES["noise"], "a comb": SHAPES["comb"]}
        for name, mask in masks.items():
            sides = " × ".join(map(str, mask.shape))
            found["us"][f"{name} of {sides}: mask to boxes"] = lesion_us(cuda, kernels, mask)
        found["us"][f"{MEMBERS} members side by side"] = ensemble_us(cuda, kernels)
    for name, us in found["us"].items():
        print(f"{us:9.2f} µs  {name}")
    if out is not None:
        out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
