"""What a compiled engine belongs to, and whether it is this machine's to run.

An engine is right for one graph, one TensorRT, one kind of GPU and one system on it. All of that
stands beside the plan, and is compared before anybody reads the plan itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from runtime import machine
from runtime.bundle import Name, Precision, Sha256
from runtime.specs import Spec

if TYPE_CHECKING:
    from runtime.backends.trt_flavours import Flavour

NO_GPU = "none"
PORTABLE = ("8.0", "8.6", "8.9")  # and 12.0 upwards: what TensorRT-RTX compiles for unasked
PORTABLE_FROM = (12, 0)
PORTABLE_WORDS = f"{', '.join(PORTABLE)}, {'.'.join(map(str, PORTABLE_FROM))} or newer"

CheckedOn = Literal["network", "engine", "nothing"]
"""What the precisions were compared with. DLA chooses among those it was allowed."""


class BuildSettings(Spec):
    """What the builder was told. Another setting makes another engine."""

    workspace_mib: Annotated[int, Field(ge=1)] | None = None  # null: all there is
    tf32: bool = False  # fp32 is fp32: TensorRT would round its products to 10 bits unasked
    dla: Annotated[int, Field(ge=0)] | None = None
    ranges: Sha256 | None = None  # of the INT8 calibration cache, for DLA


class Home(Spec):
    """The machine, as far as a plan depends on it."""

    gpu: str
    capability: str
    l4t: str | None = None


class EngineKey(Spec):
    onnx: Sha256
    precision: Precision
    flavour: Literal["tensorrt", "tensorrt_rtx"]
    version: str
    home: Home
    settings: BuildSettings = BuildSettings()
    profile: Annotated[str, Field(pattern=r"^batch [1-9]\d*$")] = "batch 1"
    outputs: tuple[str, ...] = ()  # that were built, of those in the file; none named: all

    @property
    def batch(self) -> int:
        return int(self.profile.split()[1])


def key_for(
    onnx: str,
    precision: str,
    library: Flavour,
    outputs: Iterable[str],
    *,
    batch: int = 1,
    settings: BuildSettings | None = None,
) -> EngineKey:
    """Of a graph, by its file's SHA-256, for this machine."""
    return EngineKey.model_validate(
        {
            "onnx": onnx,
            "precision": precision,
            "flavour": library.name,
            "version": library.version,
            "home": this_home(),
            "settings": settings or BuildSettings(),
            "profile": f"batch {batch}",
            "outputs": tuple(outputs),
        }
    )


class PlanRecord(Spec):
    """The file beside a plan."""

    schema_number: Annotated[Literal[1], Field(alias="schema")] = 1
    model: Name
    file: str
    key: EngineKey
    plan: Sha256
    bytes: Annotated[int, Field(ge=1)]
    built: datetime
    seconds: float
    layers: dict[str, int]  # of the network, by precision
    multiplying: dict[str, str]  # the precision of each layer that multiplies
    checked_on: CheckedOn


class Difference(Spec):
    what: str
    got: str
    expected: str


def this_home() -> Home:
    """Device 0, which is the one that engines run on."""
    board = machine.jetson()
    l4t = board["l4t"] if board else None
    try:
        found = machine.gpus()
    except OSError:
        found = []
    if not found:
        return Home(gpu=NO_GPU, capability=NO_GPU, l4t=l4t)
    return Home(gpu=found[0].name, capability=found[0].capability, l4t=l4t)


def differences(
    had: EngineKey, wanted: EngineKey, *, portable: bool, settings: bool
) -> list[Difference]:
    """Everything in which a plan is another than the one wanted.

    `settings`: whether the builder's settings count. Who loads a plan takes it however it was
    built; who builds one has asked for something.
    """
    found = []

    def compare(what: str, got: object, expected: object) -> None:
        if got != expected:
            found.append(Difference(what=what, got=str(got), expected=str(expected)))

    compare("another graph", had.onnx, wanted.onnx)
    compare("other outputs", ", ".join(had.outputs), ", ".join(wanted.outputs))
    compare("another precision", had.precision, wanted.precision)
    compare("another library", had.flavour, wanted.flavour)
    compare("another version of the library", had.version, wanted.version)
    compare("another profile", had.profile, wanted.profile)
    compare("another Linux for Tegra", had.home.l4t, wanted.home.l4t)
    if portable:
        if not runs_portable(wanted.home.capability):
            compare("a GPU it was not built for", PORTABLE_WORDS, _gpu(wanted.home))
    else:
        compare("another GPU", _gpu(had.home), _gpu(wanted.home))
    if settings:
        compare("other settings", had.settings, wanted.settings)
    return found


def runs_portable(capability: str) -> bool:
    """Whether a plan of TensorRT-RTX, as it is built unasked, runs on such a GPU.

    Without a GPU there is nothing to contradict it: it cannot be loaded there anyhow.
    """
    if capability == NO_GPU or capability in PORTABLE:
        return True
    major, _, minor = capability.partition(".")
    return (int(major), int(minor or 0)) >= PORTABLE_FROM


def _gpu(home: Home) -> str:
    return "no GPU" if home.gpu == NO_GPU else f"{home.gpu} ({home.capability})"
