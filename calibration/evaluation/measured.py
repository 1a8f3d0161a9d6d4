"""What `evaluate` and `bench` wrote, read again as far as the two are held against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from calibration.evaluation.bootstrap import Estimate
from runtime.errors import InputError
from runtime.record import BackendRecord, BundleRecord

M = TypeVar("M", bound=BaseModel)


class Part(BaseModel):
    """Of something larger, of which the rest is not looked at."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class JudgedBundle(Part):
    name: str
    version: str
    digest: str
    positive: tuple[str, ...]


class Images(Part):
    images_digest: str
    classes: dict[str, int]


class Ties(Part):
    count: int


class Leakage(Part):
    """None where that is not known."""

    trained_on: int | None  # images
    copies_of_training_images: Ties | None = None  # ties of others to some
    quantised_on: int = 0  # images beside these that 8 bits were calibrated or tuned on


class Evaluated(Part):
    """evaluation.json"""

    schema_number: Literal[1] = Field(alias="schema")
    bundles: Annotated[tuple[JudgedBundle, ...], Field(min_length=1)]
    backends: tuple[BackendRecord, ...]
    data: Images
    leakage: Leakage
    metrics: dict[str, Estimate]

    def asked(self, measure: str) -> str:
        """What was to be told from what."""
        counts = dict(sorted(self.data.classes.items()))
        if measure != "auc.mean":
            name = measure.removeprefix("auc.")
            sought = self.bundles[0].positive if measure == "auc" else (name,)
            hits = sum(counts.get(name, 0) for name in sought)
            counts = {" or ".join(sought): hits, "others": sum(counts.values()) - hits}
        return ", ".join(f"{many:,} {name}" for name, many in counts.items())


class Times(Part):
    p50: Annotated[float, Field(gt=0)]
    p95: Annotated[float, Field(gt=0)]


class Machine(Part):
    cores: int
    jetson: dict[str, str] | None = None
    power_mode: str | None = None


class Mode(Part):
    wall_ms: Times


class OnGpu(Part):
    modes: Annotated[dict[str, Mode], Field(min_length=1)]


class Bench(Part):
    """What `bench --out` writes of a chain."""

    schema_number: Literal[1] = Field(alias="schema")
    bundle: BundleRecord
    backend: BackendRecord
    machine: Machine
    chain_ms: Times
    device: OnGpu | None

    @property
    def times(self) -> Times:
        """Of the chain as `infer` runs it: with engines on a GPU, the one that stays there."""
        if self.device is None:
            return self.chain_ms
        return next(iter(self.device.modes.values())).wall_ms

    @property
    def place(self) -> str:
        """The machine, and which of its processors."""
        board = self.machine.jetson and self.machine.jetson.get("board")
        cores = f"{self.machine.cores} cores" if self.device is None else None
        parts = (board, self.machine.power_mode, self.backend.device, cores)
        return ", ".join(part for part in parts if part)


def read(path: Path, model: type[M]) -> M:
    writer = "dermedge evaluate" if model is Evaluated else "dermedge bench --out"
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise InputError(f"{path} cannot be read.", got=exc.strerror or exc) from exc
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{path} is not what `{writer}` writes.",
            got=f"{where}: {first['msg']}" if where else first["msg"],
            remedy=f"write it with `{writer}` of this version, bench without --camera",
        ) from exc
