"""Which backends there are, which of them work here, and which one to take.

A backend is a row of the table below: its module is imported only when it is opened. One that
compiles needs an NVIDIA GPU, and engines that `dermedge build` made for it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.backends.base import Engine, Graph
from runtime.errors import BackendError, BundleError, UsageError, missing_extra
from runtime.machine import engine_folder, gpus

if TYPE_CHECKING:
    from runtime.bundle import ModelSpec, Variant

AUTO = "auto"
PRECISIONS = ("fp32", "fp16", "int8")  # from the finest to the coarsest


@dataclass(frozen=True, slots=True)
class Row:
    module: str
    engine: str
    package: str | None = None  # what has to be importable, and
    extra: str | None = None  # what to install if it is not
    automatic: bool = True  # whether `auto` may choose it
    compiled: bool = False  # by `dermedge build`, for an NVIDIA GPU


BACKENDS: dict[str, Row] = {  # in the order in which `auto` prefers them
    "tensorrt": Row(
        "runtime.backends.trt_engine", "TensorRtEngine", "tensorrt", "tensorrt", compiled=True
    ),
    "tensorrt_rtx": Row(
        "runtime.backends.trt_engine", "TensorRtRtxEngine", "tensorrt_rtx", "rtx", compiled=True
    ),
    "openvino": Row("runtime.backends.openvino_engine", "OpenVinoEngine", "openvino", "cpu"),
    "onnxruntime": Row(
        "runtime.backends.onnxruntime_engine", "OnnxRuntimeEngine", "onnxruntime", "ort"
    ),
    "fake": Row("runtime.backends.fake", "FakeEngine", automatic=False),
}


def available_backends() -> dict[str, str | None]:
    """Every backend, with None where it can be used here and else the reason why it cannot."""
    return {name: why_unusable(name) or _why_nothing_built(name) for name in BACKENDS}


def why_not_installed(name: str) -> str | None:
    row = BACKENDS[name]
    if row.package is None or find_spec(row.package) is not None:
        return None
    return f"'{row.package}' is not installed: pip install 'dermedge[{row.extra}]'"


def why_no_gpu() -> str | None:
    """Asked of the driver itself: that a library is installed says nothing about it."""
    try:
        found = gpus()
    except OSError as exc:
        return f"no NVIDIA driver that works: {exc}"
    return None if found else "an NVIDIA driver, but no GPU"


def why_unusable(name: str) -> str | None:
    """Why nothing can be run on it here, or None."""
    missing = why_not_installed(name)
    if missing is not None or not BACKENDS[name].compiled:
        return missing
    if (reason := why_no_gpu()) is not None:
        return reason
    if find_spec("pycuda") is None:
        return "'pycuda' is not installed: pip install 'dermedge[tensorrt]'"
    return None


def _why_nothing_built(name: str) -> str | None:
    """`auto` does not choose what would then refuse to start, for want of an engine."""
    from runtime.backends.engine_cache import any_engine

    if BACKENDS[name].compiled and not any_engine(engine_folder(), name):
        return f"no engine has been built yet: dermedge build --backend {name}"
    return None


def choose_backend(name: str = AUTO) -> str:
    """The backend asked for, or for `auto` the first that can be used here."""
    if name == AUTO:
        return _first_usable()
    if name not in BACKENDS:
        raise UsageError(
            f"There is no backend '{name}' in this version.",
            expected=", ".join([AUTO, *(n for n, row in BACKENDS.items() if row.automatic)]),
            remedy="dermedge doctor  (says what this machine can run)",
        )
    row = BACKENDS[name]
    if row.package is not None and row.extra is not None and why_not_installed(name):
        raise missing_extra(row.package, row.extra, f"The backend '{name}'")
    if (reason := why_unusable(name)) is not None:
        raise BackendError(
            f"The backend '{name}' cannot run here.",
            got=reason,
            expected="an NVIDIA GPU with its driver, and PyCUDA",
            remedy="--backend auto  (takes what can run here)",
        )
    return name


def _first_usable() -> str:
    reasons = {name: why for name, why in available_backends().items() if BACKENDS[name].automatic}
    usable = [name for name, why in reasons.items() if why is None]
    if not usable:
        raise BackendError(
            "No engine can run here.",
            got="; ".join(f"{name}: {why}" for name, why in reasons.items()),
            expected="at least one backend",
            remedy="pip install 'dermedge[cpu]'",
        )
    return usable[0]


def open_engine(
    backend: str,
    folder: Path,
    name: str,
    model: ModelSpec,
    threads: int | None = None,
    *,
    precision: str | None = None,
    classes: int = 2,
) -> Engine:
    """Load one model of the bundle in `folder`, ready to run: close it, or use it in a `with`.

    `precision` asks for a variant by precision where the model has it, whatever backend the bundle
    means it for: that is how precisions are compared. `classes` is for a backend that reads no
    file and cannot know otherwise.
    """
    backend = choose_backend(backend)
    graph = read_graph(backend, folder, name, model, precision=precision, classes=classes)
    return load_graph(backend, graph, threads)


def read_graph(
    backend: str,
    folder: Path,
    name: str,
    model: ModelSpec,
    *,
    precision: str | None = None,
    classes: int = 2,
) -> Graph:
    """What `open_engine` loads: the file of the model that suits the backend, checked."""
    variant = choose_variant(name, model, backend, precision)
    content = read_checked(folder / variant.file, variant)
    return Graph(name, variant.file, variant.precision, content, model, classes)


def load_graph(backend: str, graph: Graph, threads: int | None = None) -> Engine:
    """An engine for a graph that is at hand, also one that is in no bundle yet."""
    row = BACKENDS[choose_backend(backend)]
    engine: type[Engine] = getattr(import_module(row.module), row.engine)
    return engine(graph, threads)


def choose_variant(
    name: str, model: ModelSpec, backend: str, precision: str | None = None
) -> Variant:
    """The first variant of the precision asked for, else the first that suits the backend.

    Where the precision asked for is not there, the nearest one is taken, so that fp32 asked of a
    model with int8 and fp16 files gives fp16.
    """
    for variant in model.variants:
        if variant.precision == precision:
            return variant
    suits = [v for v in model.variants if not v.backends or backend in v.backends]
    if suits and precision in PRECISIONS:
        wanted, place = PRECISIONS.index(precision), PRECISIONS.index
        return min(suits, key=lambda v: (abs(place(v.precision) - wanted), place(v.precision)))
    if suits:
        return suits[0]
    meant_for = sorted({other for variant in model.variants for other in variant.backends})
    raise BundleError(
        f"The bundle has no file of '{name}' that {backend} may run.",
        got="files for " + ", ".join(meant_for),
        remedy=f"--backend {meant_for[0]}, or export the bundle again with an fp32 file",
    )


def read_checked(path: Path, variant: Variant) -> bytes:
    """The file's bytes, hashed as they were read: what is loaded is what the bundle names."""
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise BundleError(
            f"The bundle's file {variant.file} cannot be read.",
            got=exc.strerror or str(exc),
            remedy="copy the bundle again from where it was made",
        ) from exc
    digest = hashlib.sha256(content).hexdigest()
    if digest != variant.sha256:
        raise BundleError(
            f"{variant.file} is not the file that the bundle was made with.",
            got=f"SHA-256 {digest}",
            expected=f"SHA-256 {variant.sha256}",
            remedy="copy the bundle again from where it was made",
        )
    return content
