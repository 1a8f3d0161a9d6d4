"""The contract of a chain: a frame goes in, a result comes out, whatever computed it.

A chain's own part is `_measure`, from a frame to what its networks said. What follows from that,
quality, temperature, abstention, the record, stands here once, so that the host and the device
cannot judge differently.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from runtime.closing import Closing
from runtime.decision import disagreement, judge, quality_hints, temper
from runtime.errors import BundleError, DermedgeError, InputError, UsageError
from runtime.quality import MEASURES, measure_quality

if TYPE_CHECKING:
    from runtime.bundle_files import LoadedBundle
    from runtime.lesion import Box, Lesion
    from runtime.preprocess import Image
    from runtime.record import BackendRecord, LesionRecord, Result

Floats = npt.NDArray[np.float32]

NO_LESION = "No lesion is in sight: bring one into the middle of the picture."


@dataclass(slots=True)
class Measured:
    """What a chain's networks said about one frame, filled in as far as it came."""

    lesion: Lesion | None = None
    members: dict[str, Floats] = field(default_factory=dict)  # class probabilities of each
    combined: Floats | None = None  # class probabilities, before the temperature
    ood: float | None = None
    timing_ms: dict[str, float] = field(default_factory=dict)
    failure: str | None = None  # what ended it on the way


Measure = Callable[["Image", Mapping[str, object], Measured], None]


@dataclass(frozen=True, slots=True)
class Analysis:
    """A result, and what it was made from that no record holds."""

    result: Result
    lesion: Lesion | None
    combined: dict[str, float] | None  # before the temperature; None where the status is error
    heat: Floats | None = None  # where it was asked for: runtime/heatmap.py


@dataclass(frozen=True, slots=True)
class Look:
    """What can be said of a frame at a glance: where the lesion is, and what to do better."""

    lesion: Lesion | None
    quality: dict[str, float]
    hints: tuple[str, ...]  # empty where there is nothing to do better


class Chain(Closing):
    """An opened bundle. Close it, or use it in a `with`; one thread at a time may use it."""

    bundle: LoadedBundle
    backend: BackendRecord
    batch: int = 1  # how many frames `analyse_batch` can judge at once
    notes: tuple[str, ...] = ()  # what whoever opened it ought to know of how it runs

    @abstractmethod
    def _measure(self, frame: Image, metadata: Mapping[str, object], measured: Measured) -> None:
        """Fill in `measured`. A DermedgeError here is this frame's failure, not the chain's."""

    @abstractmethod
    def _find(self, frame: Image) -> Lesion | None:
        """The lesion alone, without judging it."""

    @abstractmethod
    def _heat(self, model: str, frame: Image, lesion: Lesion | None) -> tuple[Box, Floats]:
        """One member's heat map, and the part of the frame that it is of."""

    def look(self, frame: Image) -> Look:
        """Cheaper than judging: for the live picture, many times a second."""
        check_frame(frame)
        spec = self.bundle.spec
        lesion = self._find(frame)
        quality = measure_quality(frame, lesion)
        hints = quality_hints(spec.quality, quality, live=True)
        if spec.chain.segment is not None and lesion is None:
            hints.append(NO_LESION)
        return Look(lesion, quality, tuple(hints))

    def explain(self, frame: Image, lesion: Lesion | None) -> Floats:
        """The heat map of a frame whose lesion is known: 0 to 1, see runtime/heatmap.py."""
        from runtime.heatmap import over_frame

        parts = (self.explain_part(name, frame, lesion) for name in self.explaining)
        return over_frame(parts, *frame.shape[:2])

    @property
    def explaining(self) -> tuple[str, ...]:
        """The models that a heat map is made of."""
        require_explain(self.bundle)
        explain = self.bundle.spec.chain.explain
        return () if explain is None else explain.models

    def explain_part(self, model: str, frame: Image, lesion: Lesion | None) -> tuple[Box, Floats]:
        """One of `explaining` alone: something else may be done before the next."""
        check_frame(frame)
        return self._heat(model, frame, lesion)

    def find(self, frame: Image) -> Lesion | None:
        check_frame(frame)
        return self._find(frame)

    def process(self, frame: Image, metadata: Mapping[str, object] | None = None) -> Result:
        return self.analyse(frame, metadata).result

    def analyse(
        self, frame: Image, metadata: Mapping[str, object] | None = None, explain: bool = False
    ) -> Analysis:
        """Judge one BGR frame. What fails on the way is the record's status, not an exception.

        A heat map is made after that, and is in none of its times.
        """
        return self._analysed(self._measure, frame, metadata or {}, Measured(), explain)

    def analyse_batch(
        self,
        frames: Sequence[Image],
        metadata: Sequence[Mapping[str, object]],
        explain: bool = False,
    ) -> list[Analysis]:
        """Judge up to `batch` frames at once, where that is more than one."""
        pairs = zip(frames, metadata, strict=True)
        return [self.analyse(frame, row, explain) for frame, row in pairs]

    def _analysed(
        self,
        measure: Measure,
        frame: Image,
        metadata: Mapping[str, object],
        measured: Measured,
        explain: bool,
    ) -> Analysis:
        check_frame(frame)
        started = perf_counter()
        try:
            measure(frame, metadata, measured)
        except DermedgeError as exc:
            measured.failure = exc.one_line
        return self._concluded(frame, metadata, measured, started, explain)

    def _concluded(
        self,
        frame: Image,
        metadata: Mapping[str, object],
        measured: Measured,
        started: float,
        explain: bool,
    ) -> Analysis:
        from runtime.record import Result

        combined = _checked_numbers(measured)
        quality = measure_quality(frame, measured.lesion)
        known: dict[str, Any] = {
            "bundle": self.bundle.record,
            "backend": self.backend,
            "lesion": _lesion_record(measured.lesion),
            "quality": quality,
            "metadata": dict(metadata),
            "threshold": self.bundle.spec.decision.threshold,
        }
        if combined is None:
            known |= {"status": "error", "reason": measured.failure}
        else:
            known |= self._judged(measured, combined, quality)
        total = (perf_counter() - started) * 1e3
        return Analysis(
            Result(**known, timing_ms={**measured.timing_ms, "total": total}),
            measured.lesion,
            None if combined is None else self._by_class(combined),
            self.explain(frame, measured.lesion) if explain and combined is not None else None,
        )

    def _judged(
        self, measured: Measured, combined: Floats, quality: Mapping[str, float]
    ) -> dict[str, Any]:
        spec = self.bundle.spec
        place = spec.classes.index(spec.decision.score)
        probabilities = temper(combined, spec.decision.temperature)
        score = float(probabilities[place])
        spread = None
        if len(measured.members) > 1:
            spread = disagreement([float(said[place]) for said in measured.members.values()])
        verdict = judge(spec, score, measured.lesion, quality, spread, measured.ood)
        return {
            "status": verdict.status,
            "reason": verdict.reason,
            "refer": verdict.refer,
            "probabilities": self._by_class(probabilities),
            "score": score,
            "members": {name: self._by_class(said) for name, said in measured.members.items()},
            "disagreement": spread,
            "ood": measured.ood,
        }

    def _by_class(self, values: npt.ArrayLike) -> dict[str, float]:
        numbers = np.asarray(values, dtype=np.float64).tolist()
        return dict(zip(self.bundle.spec.classes, numbers, strict=True))


def open_chain(
    bundle: LoadedBundle,
    backend: str = "auto",
    self_test: bool = True,
    threads: int | None = None,
    precision: str | None = None,
) -> Chain:
    """Load every model of a bundle and prove it on the bundle's golden images.

    `precision` is as HostChain has it: None runs what the bundle means for the backend.
    """
    from runtime.golden import check_golden

    check_measures(bundle)
    chain = _opened(bundle, backend, threads, precision)
    try:
        if self_test:
            check_golden(chain)
    except BaseException:
        chain.close()
        raise
    return chain


def _opened(
    bundle: LoadedBundle, backend: str, threads: int | None, precision: str | None
) -> Chain:
    from runtime.backends.registry import BACKENDS, choose_backend
    from runtime.host_chain import HostChain

    backend = choose_backend(backend)
    if not BACKENDS[backend].compiled:
        return HostChain(bundle, backend, threads, precision)
    from runtime.device.device_chain import DeviceChain
    from runtime.device.opened import OpenedBundle

    return DeviceChain(OpenedBundle(bundle, backend, precision), alone=True)


def require_explain(bundle: LoadedBundle) -> None:
    if bundle.spec.chain.explain is None:
        raise UsageError(
            f"The bundle {bundle.spec.name} makes no heat maps.",
            got="chain.explain: null",
            expected="graphs that make them",
            remedy="export it again with this dermedge, or leave --explain out",
        )


def check_measures(bundle: LoadedBundle) -> None:
    """A limit on something that is never measured would look kept and never be."""
    if unknown := sorted(bundle.spec.quality.keys() - MEASURES.keys()):
        raise BundleError(
            "quality limits a measure that this dermedge does not take.",
            got=", ".join(unknown),
            expected=", ".join(MEASURES),
            remedy="correct the bundle's quality and seal it again",
        )


def check_frame(frame: Image) -> None:
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
        raise InputError(
            "A frame is not a colour picture.",
            got=f"{frame.dtype} {frame.shape}",
            expected="uint8, height × width × 3 in blue, green, red",
        )


def _checked_numbers(measured: Measured) -> Floats | None:
    """Networks that overflow say NaN, and every comparison with NaN is quietly false."""
    if measured.failure is None:
        measured.failure = _not_numbers(measured)
    return measured.combined if measured.failure is None else None


def _not_numbers(measured: Measured) -> str | None:
    for name, said in measured.members.items():
        if not np.isfinite(said).all():
            return f"'{name}' did not give numbers: its output has NaN or infinity"
    if measured.combined is None or not np.isfinite(measured.combined).all():
        return "the ensemble did not give numbers: its output has NaN or infinity"
    if measured.ood is not None and not np.isfinite(measured.ood):
        return "the measure of unlikeness (ood) is not a number"
    return None


def _lesion_record(lesion: Lesion | None) -> LesionRecord | None:
    from runtime.record import LesionRecord

    if lesion is None:
        return None
    box = lesion.box
    return LesionRecord(
        box=(box.x, box.y, box.width, box.height),
        area_fraction=lesion.area_fraction,
        touches_border=lesion.touches_border,
    )
