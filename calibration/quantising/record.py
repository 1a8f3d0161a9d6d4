"""calibration.json: what a bundle was quantised on, how, and what it cost. A bundle holds one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationError

from runtime.bundle import Sha256
from runtime.errors import BundleError
from runtime.specs import Spec

if TYPE_CHECKING:
    from calibration.quantising.loss import Loss
    from runtime.bundle_files import LoadedBundle

FILE = "calibration.json"


class ImageRecord(Spec):
    name: str
    sha256: Sha256


class LossRecord(Spec):
    mean: float
    worst: float

    @classmethod
    def of(cls, loss: Loss) -> LossRecord:
        return cls(mean=round(loss.mean, 6), worst=round(loss.worst, 6))


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
    loss_before_tuning: LossRecord | None = None  # where a fine-tune followed, on its own images
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


class TuningRecord(Spec):
    """A fine-tune in 8 bits: losses of `models`, and the chain's changes, are of `judged_on`."""

    created: datetime
    models: tuple[str, ...]
    images: tuple[ImageRecord, ...]  # that were learned from
    judged_on: tuple[ImageRecord, ...]
    held_out: int
    unreadable: tuple[str, ...]
    passes: int
    batch: int
    rate: float
    torch: str


class CalibrationRecord(Spec):
    schema_number: Annotated[Literal[1], Field(alias="schema")] = 1
    created: datetime
    reference: Sha256  # the digest of the bundle that was quantised
    method: str  # as it was asked for
    images: tuple[ImageRecord, ...]
    held_out: int = 0  # images of the folder that were left for judging
    unreadable: tuple[str, ...] = ()
    without_lesion: int = 0
    models: dict[str, ModelRecord]
    tuning: TuningRecord | None = None
    chain: ChainRecord | None = None
    golden_dropped: tuple[str, ...] = ()
    versions: dict[str, str]
    machine: dict[str, str | int | None]

    @property
    def images_used(self) -> frozenset[str]:
        """SHA-256 of every image that had a say in the 8-bit files."""
        tuned = (*self.tuning.images, *self.tuning.judged_on) if self.tuning else ()
        return frozenset(image.sha256 for image in (*self.images, *tuned))

    @property
    def orders(self) -> dict[str, object]:
        """What was asked for, by name; whatever depends on the images aside."""
        asked = {"models", "passes", "batch", "rate"}
        tuning = self.tuning and self.tuning.model_dump(include=asked)
        budgets = {name: model.budget for name, model in self.models.items()}
        return {"method": self.method, "budgets": budgets, "fine-tune": tuning}

    def to_json(self) -> str:
        return self.model_dump_json(by_alias=True, indent=1) + "\n"


def images_used(bundle: LoadedBundle) -> frozenset[str]:
    """SHA-256 of every image that had a say in its 8-bit files; none where it has none."""
    record = read_record(bundle)
    return frozenset() if record is None else record.images_used


def read_record(bundle: LoadedBundle) -> CalibrationRecord | None:
    """None where the bundle was not quantised, or by other means."""
    if FILE not in bundle.spec.files:
        return None
    content = (bundle.path / FILE).read_bytes()
    try:
        return CalibrationRecord.model_validate_json(content)
    except ValidationError as error:
        raise BundleError(
            f"{FILE} is not as quantize writes it.",
            got=f"{error.error_count()} problems, the first at "
            + ".".join(map(str, error.errors()[0]["loc"])),
            remedy="quantize the float bundle again",
        ) from error
