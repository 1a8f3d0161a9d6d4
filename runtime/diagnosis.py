"""The checks behind `dermedge doctor`: each looks at one thing and says how to mend it.

Nothing here may fail because something is missing: that is what it is there to report. So every
library is imported inside its check, and one that is installed but broken is a finding too.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Literal

from runtime import demo, machine
from runtime.errors import DermedgeError

State = Literal["ok", "absent", "broken"]
DISK_MIB = 2048  # a compiled ensemble of five with its timing cache, and room for a session
MEMORY_MIB = 2048
GPU_REMEDY = "on a machine with an NVIDIA GPU: dermedge build, then try again"
TRAINING = ("torch", "torchvision", "timm", "segmentation-models-pytorch", "lightning")


@dataclass(frozen=True, slots=True)
class Finding:
    """`absent` is something optional that is not here; `broken` keeps something from working."""

    area: str
    what: str
    state: State
    found: str
    remedy: str | None = None


def examine(bundle: Path = demo.BUNDLE) -> Iterator[Finding]:
    """Everything there is to say, as it is found out: the slow checks come last."""
    yield from _machine()
    yield from _jetson()
    yield from _pictures()
    yield from _backends()
    yield from _nvidia()
    yield from _training()
    yield from _self_tests(bundle)


def usable_backends(findings: list[Finding]) -> list[str]:
    """Backends that can be imported and did not fail the demo bundle."""
    states: dict[str, set[State]] = {}
    for finding in findings:
        if finding.area in ("engines", "self-test"):
            states.setdefault(finding.what, set()).add(finding.state)
    return [name for name in _real_backends() if states.get(name) == {"ok"}]


def _machine() -> Iterator[Finding]:
    facts = machine.facts()
    new_enough = sys.version_info >= (3, 10)
    yield Finding(
        "machine", "Python", "ok" if new_enough else "broken", f"{facts['python']}, {sys.prefix}",
        None if new_enough else "install Python 3.10 or newer and make the environment again",
    )  # fmt: skip
    yield Finding("machine", "system", "ok", str(facts["system"]))
    _, flags = machine.cpu()
    yield Finding(
        "machine", "processor", "ok",
        f"{facts['cpu']}, {facts['cores']} cores, {' '.join(flags) or 'no vector units known'}",
    )  # fmt: skip
    memory = machine.memory_mib()
    small = memory is not None and memory < MEMORY_MIB
    yield Finding(
        "machine", "memory", "broken" if small else "ok", f"{memory} MiB",
        "an ensemble of five needs 2 GiB; run a smaller bundle" if small else None,
    )  # fmt: skip
    yield _cache()


def _cache() -> Finding:
    folder = machine.cache_folder()
    remedy = "make it writable, or set DERMEDGE_CACHE to a folder that is"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with NamedTemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free >> 20
    except OSError as exc:
        return Finding("machine", "cache", "broken", f"{folder}: {exc.strerror or exc}", remedy)
    if free < DISK_MIB:
        remedy = f"free some space: compiled engines and sessions need about {DISK_MIB} MiB"
        return Finding("machine", "cache", "broken", f"{folder}: {free} MiB free", remedy)
    return Finding("machine", "cache", "ok", f"{folder}, {free:,} MiB free")


def _jetson() -> Iterator[Finding]:
    board = machine.jetson()
    if board is None:
        return
    found = f"{board['board']}, JetPack {board['jetpack']} (L4T {board['l4t']})"
    yield Finding("machine", "Jetson", "ok", found)
    mode = machine.power_mode()
    yield Finding(
        "machine", "power mode", "ok" if mode else "absent", mode or "unknown",
        None if mode else "sudo nvpmodel -q  (says it; -m 0 is the fastest on most boards)",
    )  # fmt: skip


def _pictures() -> Iterator[Finding]:
    yield _library("pictures", "NumPy", "numpy", "pip install numpy")
    on_jetson = machine.jetson() is not None
    remedy = (
        "sudo apt install python3-opencv, in a venv made with --system-site-packages"
        if on_jetson
        else "pip install 'dermedge[cpu]'"
    )
    opencv = _library("pictures", "OpenCV", "cv2", remedy)
    yield opencv
    if opencv.state != "ok":
        return
    streams = "GStreamer:                   YES" in import_module("cv2").getBuildInformation()
    wanted = (
        "pip uninstall opencv-python  (it hides JetPack's own OpenCV, which has GStreamer)"
        if on_jetson
        else "only csi:// and gst: cameras need it; an OpenCV from your system may have it"
    )
    yield Finding(
        "pictures", "GStreamer", "ok" if streams else "absent",
        "in this OpenCV" if streams else "not in this OpenCV", None if streams else wanted,
    )  # fmt: skip


def _real_backends() -> list[str]:
    from runtime.backends.registry import BACKENDS

    return [name for name, row in BACKENDS.items() if row.automatic]


def _backends() -> Iterator[Finding]:
    from runtime.backends.registry import BACKENDS, available_backends

    available = available_backends()
    for name in _real_backends():
        row = BACKENDS[name]
        remedy = f"pip install 'dermedge[{row.extra}]'"
        found = _library("engines", name, row.package or name, _tensorrt_from(name) or remedy)
        reason = available[name]
        if found.state == "ok" and row.compiled and reason is not None:
            yield Finding("engines", name, "absent", f"{found.found}, but {reason}", GPU_REMEDY)
        else:
            yield found


def _tensorrt_from(name: str) -> str | None:
    """TensorRT is no package of ours to install: it comes with JetPack or from NVIDIA's index."""
    if name != "tensorrt":
        return None
    if machine.jetson():
        return "it is part of JetPack: make the venv with --system-site-packages"
    return "pip install tensorrt, of the CUDA version that the driver has"


def _nvidia() -> Iterator[Finding]:
    yield _driver()
    compiler = machine.nvcc()
    yield Finding(
        "NVIDIA", "nvcc", "ok" if compiler else "absent", compiler or "not found",
        None if compiler else "it is part of the CUDA toolkit: it compiles the chain's kernels",
    )  # fmt: skip
    yield _library("NVIDIA", "PyCUDA", "pycuda", "pip install 'dermedge[tensorrt]'")
    yield _library("NVIDIA", "CUDA bindings", "cuda.bindings", "pip install 'dermedge[tensorrt]'")


def _driver() -> Finding:
    try:
        gpus = machine.gpus()
    except OSError as exc:
        remedy = "only for a machine with an NVIDIA GPU: install its driver"
        return Finding("NVIDIA", "driver", "absent", str(exc), remedy)
    if not gpus:
        return Finding("NVIDIA", "driver", "absent", "a driver, but no GPU")
    found = "; ".join(
        f"{gpu.name}, compute capability {gpu.capability}, {gpu.memory_mib} MiB, "
        f"CUDA up to {gpu.driver_cuda}"
        for gpu in gpus
    )
    return Finding("NVIDIA", "driver", "ok", found)


def _training() -> Iterator[Finding]:
    """By their metadata: importing PyTorch takes seconds, and no runtime module ever does."""
    remedy = "pip install 'dermedge[train]'  (only where networks are trained)"
    for name in TRAINING:
        found = _installed(name)
        state: State = "ok" if found else "absent"
        yield Finding("training", name, state, found or "not installed", None if found else remedy)


def _self_tests(folder: Path) -> Iterator[Finding]:
    """Every engine that is here gives the demo bundle's golden results, or is not to be used."""
    try:
        from runtime.backends.registry import available_backends
        from runtime.bundle_files import load_bundle
        from runtime.chain import open_chain

        bundle = load_bundle(folder)
    except (DermedgeError, ImportError) as exc:
        yield _failed_test("demo bundle", exc, "install dermedge again, or pass --bundle")
        return
    yield Finding("self-test", "demo bundle", "ok", f"{bundle.digest[:12]}, every file as sealed")
    available = available_backends()
    for name in _real_backends():
        if available[name] is not None:
            continue
        try:
            with open_chain(bundle, name) as chain:
                device = chain.backend.device
        except Exception as exc:  # an engine can fail in ways of its vendor's
            yield _failed_test(name, exc, "use another --backend; please report this")
        else:
            images = len(bundle.spec.golden)
            found = f"{images} golden images as expected, on {device}"
            yield Finding("self-test", name, "ok", found)


def _failed_test(what: str, error: Exception, remedy: str) -> Finding:
    if isinstance(error, DermedgeError):
        return Finding("self-test", what, "broken", error.one_line, error.remedy or remedy)
    return Finding("self-test", what, "broken", f"{type(error).__name__}: {error}", remedy)


def _library(area: str, what: str, module: str, remedy: str) -> Finding:
    """Importable, missing, or installed and still not importable: three different remedies."""
    try:
        found = import_module(module)
    except ModuleNotFoundError as exc:
        top = module.partition(".")[0]
        if exc.name is not None and exc.name.partition(".")[0] == top:
            return Finding(area, what, "absent", "not installed", remedy)
        return Finding(area, what, "broken", f"needs '{exc.name}'", f"pip install {exc.name}")
    except Exception as exc:  # a shared library that is missing, a NumPy of the wrong major, …
        text = str(exc).strip().splitlines() or [type(exc).__name__]
        return Finding(area, what, "broken", text[0], f"install it again: {remedy}")
    return Finding(area, what, "ok", _version_of(found, module))


def _version_of(module: object, name: str) -> str:
    stated = getattr(module, "__version__", None)
    return str(stated).partition("-")[0] if stated else _installed(name) or "installed"


def _installed(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def summary(findings: list[Finding]) -> str:
    """One sentence: what can be done here, or the one thing to do first."""
    usable = usable_backends(findings)
    if not usable:
        return "No engine can run here. Try: pip install 'dermedge[cpu]'"
    broken = [finding.what for finding in findings if finding.state == "broken"]
    rest = f"; look at: {', '.join(broken)}" if broken else ""
    return f"Ready to run bundles with {', '.join(usable)}{rest}."
