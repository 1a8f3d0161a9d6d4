"""Whether every graph of a bundle says what its PyTorch network says, in every engine here.

Both get the same inputs: noise, and the pictures of the self-test prepared as on the device. For
graphs that were brought in there is no PyTorch; the first engine then stands for the truth, and
the others are held against it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from runtime.backends.registry import BACKENDS, available_backends, open_engine
from runtime.errors import BackendError, DermedgeError
from runtime.lesion import cut_view
from runtime.preprocess import to_tensor

if TYPE_CHECKING:
    from rich.table import Table

    from export.graphs import Graph
    from runtime.bundle import Bundle, ModelSpec
    from runtime.bundle_files import LoadedBundle
    from runtime.preprocess import Image

Floats = npt.NDArray[np.float32]
Feeds = dict[str, Floats]
Outputs = Mapping[str, Floats]

PYTORCH = "PyTorch"
NOISE = 2  # inputs of noise, beside one for every picture

LIMITS = {
    "fp32": {"probabilities": 1e-4, "mask": 1e-3, "heatmap": 1e-3, "other": 1e-3},
    "fp16": {"probabilities": 2e-2, "mask": 1e-1, "heatmap": 1e-1, "other": 5e-2},
    "int8": {"probabilities": 2e-1, "mask": 5e-1, "heatmap": 5e-1, "other": 5e-1},
}
"""The largest difference allowed. `other` (features, logits) is relative to the largest value;
a mask has the sigmoid's steepest slope at every pixel of the lesion's edge."""


class ParityError(DermedgeError):
    """An exported graph computes something else than the network it was made from."""


@dataclass(frozen=True, slots=True)
class Finding:
    model: str
    precision: str
    backend: str
    role: str
    difference: float
    limit: float

    @property
    def passed(self) -> bool:
        return self.difference <= self.limit  # false for NaN

    @property
    def share(self) -> float:
        return self.difference / self.limit

    @property
    def key(self) -> str:
        return f"parity.{self.precision}.{self.backend}.{self.model}.{self.role}"


def usable_backends() -> list[str]:
    """Every engine that can run a file here as it is: not the fake one, none that compiles."""
    usable = [name for name, why in available_backends().items() if why is None]
    found = [name for name in usable if BACKENDS[name].automatic and not BACKENDS[name].compiled]
    if not found:
        raise BackendError(
            "No engine is installed to check the graphs with.",
            remedy="pip install 'dermedge[cpu]'",
        )
    return found


def make_feeds(bundle: LoadedBundle, name: str, frames: Sequence[Image]) -> list[Feeds]:
    """Inputs for one model: noise first, then every frame as the chain would prepare it."""
    rng = np.random.default_rng(0)
    spec, shapes = bundle.spec, input_shapes(bundle, name)
    cases: list[Feeds] = []
    for frame in [None] * NOISE + list(frames):
        feeds: Feeds = {}
        for item in spec.models[name].inputs:
            shape = shapes[item.name]
            if item.kind == "image" and frame is not None:
                view = cut_view(frame, spec.views[item.view], None)
                feeds[item.name] = to_tensor(view, item.preprocess)
            elif item.kind == "image":
                feeds[item.name] = rng.standard_normal(shape, dtype=np.float32)
            elif item.kind == "metadata" or _takes_features(spec):
                feeds[item.name] = rng.random(shape, dtype=np.float32)
            else:
                rows = rng.dirichlet([0.5] * shape[2], shape[:2])
                feeds[item.name] = rows.astype(np.float32)
        cases.append(feeds)
    return cases


def _takes_features(spec: Bundle) -> bool:
    return spec.chain.combine is not None and spec.chain.combine.takes != "probabilities"


def input_shapes(bundle: LoadedBundle, name: str) -> dict[str, tuple[int, ...]]:
    """A graph's inputs, with the open batch at one."""
    import onnx

    file = bundle.path / bundle.spec.models[name].variants[0].file
    graph = onnx.load(str(file), load_external_data=False).graph
    constants = {item.name for item in graph.initializer}
    return {
        item.name: tuple(size.dim_value or 1 for size in item.type.tensor_type.shape.dim)
        for item in graph.input
        if item.name not in constants
    }


def say(graph: Graph, feeds: Feeds) -> Outputs:
    """The network's own answer."""
    import torch

    with torch.inference_mode():
        said = graph.eval()(*(torch.from_numpy(feeds[name]) for name in graph.inputs))
    said = said if isinstance(said, tuple) else (said,)
    return dict(zip(graph.outputs, (tensor.numpy() for tensor in said), strict=True))


def compare(
    bundle: LoadedBundle,
    name: str,
    cases: Sequence[Feeds],
    expected: Sequence[Outputs],
    backends: Sequence[str],
) -> list[Finding]:
    """Every variant of a model in every engine, against what is expected for each case."""
    model = bundle.spec.models[name]
    findings = []
    for variant in model.variants:
        for backend in backends:
            engine = open_engine(
                backend, bundle.path, name, model, precision=variant.precision,
                classes=len(bundle.spec.classes),
            )  # fmt: skip
            with engine:
                got = [engine.run(feeds) for feeds in cases]
            findings += _findings(name, model, variant.precision, backend, got, expected)
    return findings


def run_in(bundle: LoadedBundle, name: str, cases: Sequence[Feeds], backend: str) -> list[Outputs]:
    """What an engine says: the reference, where there is no PyTorch network."""
    with open_engine(backend, bundle.path, name, bundle.spec.models[name]) as engine:
        return [engine.run(feeds) for feeds in cases]


def require_passed(findings: Sequence[Finding], truth: str = PYTORCH) -> None:
    for finding in findings:
        if not finding.passed:
            raise ParityError(
                f"The graph of '{finding.model}' in {finding.precision} does not say in "
                f"{finding.backend} what it says in {truth}: {finding.role}.",
                got=f"a difference of {finding.difference:.3g}",
                expected=f"at most {finding.limit:g}",
                remedy="--precision fp32" if finding.precision == "fp16" else
                f"another version of {truth} or of {finding.backend}; nothing was written",
            )  # fmt: skip


def metrics(findings: Sequence[Finding]) -> dict[str, float]:
    return {finding.key: float(f"{finding.difference:.3g}") for finding in findings}


def nearest_to_limit(findings: Sequence[Finding]) -> list[Finding]:
    """One finding for each graph, precision and engine: the output that is worst off."""
    worst: dict[tuple[str, str, str], Finding] = {}
    for found in findings:
        key = (found.model, found.precision, found.backend)
        if key not in worst or found.share > worst[key].share:
            worst[key] = found
    return list(worst.values())


def as_table(findings: Sequence[Finding], truth: str) -> Table:
    from rich.table import Table

    grid = Table(title=f"Largest difference from {truth}", title_justify="left")
    for heading in ("graph", "precision", "engine"):
        grid.add_column(heading)
    for heading in ("output", "difference", "limit"):
        grid.add_column(heading, justify="right")
    for f in nearest_to_limit(findings):
        colour = "green" if f.passed else "bold red"
        said = f"[{colour}]{f.difference:.1e}[/]"
        grid.add_row(f.model, f.precision, f.backend, f.role, said, f"{f.limit:.0e}")
    return grid


def _findings(
    name: str,
    model: ModelSpec,
    precision: str,
    backend: str,
    got: Sequence[Outputs],
    expected: Sequence[Outputs],
) -> list[Finding]:
    findings = []
    for output in model.outputs:
        key: Any = output.role if output.role in LIMITS[precision] else "other"
        pairs = [(a[output.name], b[output.name]) for a, b in zip(got, expected, strict=True)]
        difference = max(_difference(a, b, relative=key == "other") for a, b in pairs)
        limit = LIMITS[precision][key]
        findings.append(Finding(name, precision, backend, output.role, difference, limit))
    return findings


def _difference(got: Floats, expected: Floats, relative: bool) -> float:
    """Infinite where a number is missing, or where the shapes differ."""
    if got.shape != expected.shape or not np.isfinite(got).all():
        return float("inf")
    scale = max(1.0, float(np.abs(expected).max(initial=0))) if relative else 1.0
    return float(np.abs(got - expected).max(initial=0)) / scale
