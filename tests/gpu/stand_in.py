"""The GPU's chain with PyTorch's networks as its engines, for a GPU that TensorRT cannot run on.

    python -m tests.gpu.stand_in --recipe demo --out figures.json

Memory, kernels, streams, events and the graph are the chain's own; only what an engine computes is
PyTorch's. So the chain's share of a frame can be measured where the engines cannot.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from export.benched import bundle_of, frame_of, networks_of
from export.side_by_side import deciding
from export.system import Part
from runtime.backends.trt_flavours import Tensor
from runtime.device.figures import device_figures
from runtime.device.figures_table import device_sentences, device_table
from runtime.device.opened import OpenedBundle


class TorchPlan:
    """What an opened plan has, of a network."""

    precision = "fp16"

    def __init__(self, part: Part, batch: int = 1) -> None:
        self.name, self.batch, self.device = part.name, batch, "cuda"
        self.kind = torch.float32 if part.always_float else torch.float16
        self.graph = copy.deepcopy(deciding(part.graph)).eval().to("cuda", self.kind)
        samples = (torch.zeros(1, *s, device="cuda", dtype=self.kind) for s in part.shapes)
        with torch.inference_mode():
            said = self.graph(*samples)
        every = said if isinstance(said, tuple) else (said,)
        shapes_in = ((1, *shape) for shape in part.shapes)
        self.inputs = dict(zip(self.graph.inputs, shapes_in, strict=True))
        shapes = zip(self.graph.outputs, every, strict=True)
        self.outputs = {name: tuple(tensor.shape) for name, tensor in shapes}
        both = self.inputs | self.outputs
        self.tensors = {
            name: Tensor(name, name in self.inputs, shape, "FLOAT") for name, shape in both.items()
        }

    def context(self) -> TorchContext:
        return TorchContext(self)

    def close(self) -> None: ...


class _Memory:
    """A place on the GPU, as PyTorch takes it without a copy."""

    def __init__(self, address: int, shape: tuple[int, ...]) -> None:
        self.__cuda_array_interface__ = {
            "shape": shape, "typestr": "<f4", "data": (address, False), "version": 3,
        }  # fmt: skip


class TorchContext:
    def __init__(self, plan: TorchPlan) -> None:
        self.plan = plan

    def bind(self, addresses: Mapping[str, int]) -> None:
        shapes = self.plan.inputs | self.plan.outputs
        self.tensors = {
            name: torch.as_tensor(_Memory(at, (self.plan.batch, *shapes[name][1:])), device="cuda")
            for name, at in addresses.items()
        }

    def enqueue(self, stream: Any) -> None:
        plan = self.plan
        with torch.inference_mode(), torch.cuda.stream(torch.cuda.ExternalStream(stream.handle)):
            said = plan.graph(*(self.tensors[name].to(plan.kind) for name in plan.graph.inputs))
            every = said if isinstance(said, tuple) else (said,)
            for name, tensor in zip(plan.graph.outputs, every, strict=True):
                self.tensors[name].copy_(tensor)


@click.command()
@click.option("--recipe", default="demo", show_default=True)
@click.option("--seconds", default=20.0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path))
def main(recipe: str, seconds: float, out: Path | None) -> None:
    from rich.console import Console

    found_recipe, parts = networks_of(recipe, None)
    by_name = {part.name: part for part in parts}

    def opened(bundle: OpenedBundle, name: str) -> Any:
        return TorchPlan(by_name[name], bundle.batch)

    OpenedBundle._open = opened  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as place:
        bundle = bundle_of(Path(place) / "bundle", found_recipe, parts, lambda step: None)
        frame = np.asarray(frame_of(None))
        figures = device_figures(bundle, "tensorrt_rtx", None, frame, seconds)
    console = Console()
    console.print(device_table(figures))
    for line in device_sentences(figures):
        console.print(line, highlight=False)
    if out is not None:
        out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
