"""calibration.json: what a bundle was quantised on, how, and what it cost. A bundle holds one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from runtime.bundle import Sha256
from runtime.specs import Spec

FILE = "calibration.json"


class ImageRecord(Spec):
    name: str
    sha256: Sha256


class LossRecord(Spec):
    mean: float
    worst: float


class GroupRecord(Spec):
    """Layers of one block, and the loss when they are quantised and nothing else is."""

    name: str
    layers: int
    loss: LossRecord
    precision: Literal["int8", "fp16"]


class SpeedRecord(Spec):
    backend: str
    float_precision: str
    float_ms: float
    int8_ms: float
    ratio: float


class ModelRecord(Spec):
    """`measure` says what a loss is: a change of probability, or of a mask (1 − Jaccard)."""

    quantised: bool
    reason: str | None = None  # why not
    measure: Literal["probability", "mask"] | None = None
    budget: float | None = None
    method: str | None = None
    methods: dict[str, LossRecord] = {}  # every layer in 8 bits, by method
    loss: LossRecord | None = None  # of the file that ships
    groups: tuple[GroupRecord, ...] = ()
    bytes: dict[str, int] = {}  # of the model's file, by precision
    speed: tuple[SpeedRecord, ...] = ()
    not_run_by: dict[str, str] = {}  # engines that refused the file, with the reason
    backends: Annotated[tuple[str, ...], Field(alias="for")] = ()


class ChainRecord(Spec):
    """The whole system in 8 bits against itself in float, on the calibration images."""

    images: int
    mean_change: float  # of the score
    worst_change: float
    decisions: int  # images on which both came to one
    decisions_changed: int


class CalibrationRecord(Spec):
    schema_number: Annotated[Literal[1], Field(alias="schema")] = 1
    created: datetime
    reference: Sha256  # the digest of the bundle that was quantised
    method: str  # as it was asked for
    images: tuple[ImageRecord, ...]
    unreadable: tuple[str, ...] = ()
    without_lesion: int = 0
    models: dict[str, ModelRecord]
    chain: ChainRecord | None = None
    golden_dropped: tuple[str, ...] = ()
    versions: dict[str, str]
    machine: dict[str, str | int | None]

    def to_json(self) -> str:
        return self.model_dump_json(by_alias=True, indent=1) + "\n"
