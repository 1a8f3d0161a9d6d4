"""The chain on an NVIDIA GPU: a frame goes up once, a few numbers and a mask come down.

Everything between is done there, in runtime/device/kernels, by the definitions that the host's
chain has; tests hold the two together. The host starts a frame with one call, where the driver can
capture it all as one graph, and waits once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from runtime.chain import Analysis, Chain, Floats, Measured, check_frame
from runtime.device.launching import WAYS, Launcher, Mode
from runtime.device.layouts import Format
from runtime.device.opened import OpenedBundle
from runtime.device.pixels import require_size
from runtime.device.slot import Slot
from runtime.errors import DermedgeError, UsageError
from runtime.said import heat_of, painted_by, taken, unlikeness

if TYPE_CHECKING:
    from runtime.backends.base import Engine
    from runtime.bundle_files import LoadedBundle
    from runtime.lesion import Box, Lesion
    from runtime.preprocess import Image


class DeviceChain(Chain):
    """Two of one OpenedBundle, each on a thread of its own, keep two frames in flight.

    `alone`: nobody else uses the engines, and they are closed with the chain.
    """

    def __init__(
        self, opened: OpenedBundle, ways: tuple[Mode, ...] = WAYS, *, alone: bool = False
    ) -> None:
        from runtime.record import BackendRecord

        self.bundle: LoadedBundle = opened.bundle
        self.batch = opened.batch
        self._opened, self._cuda = opened, opened.cuda
        self._stack = ExitStack()
        if alone:
            self._stack.callback(opened.close)
        self._explaining: dict[str, Engine] = {}
        self._under_way = False
        try:
            with self._cuda.current():
                self.slot = Slot(
                    self._cuda, opened.kernels, opened.bundle.spec, opened.plans, opened.batch
                )
                self._stack.callback(self._free)
                self._begun, self._ended = (self._cuda.clock_event() for _ in range(2))
                self.launcher = Launcher(self.slot, ways)
        except BaseException:
            self.close()
            raise
        self.notes = tuple(f"the GPU's chain does not run as {why}" for why in self.launcher.why)
        self.backend = BackendRecord(
            name=opened.backend,
            mode=self.launcher.mode,
            device=self._cuda.name,
            precision={name: plan.precision for name, plan in opened.plans.items()},
        )

    def frame_memory(self, height: int, width: int, place: int = 0) -> Image:
        """Where a frame can be written to, to be judged from there without a copy on the host."""
        with self._cuda.current():
            return self.slot.pixels[place].memory(height, width)

    def _measure(self, frame: Image, metadata: Mapping[str, object], measured: Measured) -> None:
        self._measure_each([frame], [metadata], [measured])

    def analyse_batch(
        self,
        frames: Sequence[Image],
        metadata: Sequence[Mapping[str, object]],
        explain: bool = False,
    ) -> list[Analysis]:
        """The time of each is that of all."""
        if len(frames) > self.batch:
            raise UsageError(
                "More frames than this chain judges at once.",
                got=len(frames),
                expected=f"at most {self.batch}",
                remedy=f"dermedge build --batch {len(frames)}, or fewer at a time",
            )
        for frame in frames:
            check_frame(frame)
        started = perf_counter()
        every = [Measured() for _ in frames]
        self._measure_each(frames, metadata, every)
        return [
            self._concluded(frame, row, measured, started, explain)
            for frame, row, measured in zip(frames, metadata, every, strict=True)
        ]

    def _measure_each(
        self,
        frames: Sequence[npt.NDArray[np.uint8]],
        metadata: Sequence[Mapping[str, object]],
        every: Sequence[Measured],
        format: Format = Format.BGR,
    ) -> None:
        """What fails is noted as that frame's failure."""
        encoder = self.bundle.spec.chain.metadata
        given: list[int] = []
        rows: list[Floats | None] = []
        for number, row in enumerate(metadata):  # what one frame lacks is no other frame's matter
            try:
                require_size(frames[number])
                rows.append(encoder.encode(row) if encoder else None)
                given.append(number)
            except DermedgeError as exc:
                every[number].failure = exc.one_line
        if not given:
            return
        try:
            times = self.run([frames[number] for number in given], rows, format)
        except DermedgeError as exc:
            self._settle()
            for number in given:
                every[number].failure = exc.one_line
            return
        for place, number in enumerate(given):
            every[number].timing_ms = dict(times)
            try:
                self._read(place, every[number])
            except DermedgeError as exc:
                every[number].failure = exc.one_line

    def run(
        self,
        frames: Sequence[npt.NDArray[np.uint8]],
        rows: Sequence[Floats | None],
        format: Format = Format.BGR,
    ) -> dict[str, float]:
        """From frames to results in the slot: milliseconds of its parts."""
        if self.launcher.mode == "staged":
            with self._cuda.current():
                self.slot.give(frames, rows, format)
                return self.launcher.run_stages()
        started = perf_counter()
        self.hand_over(frames, rows, format)
        given = perf_counter()
        gpu_ms = self.wait()
        return {"hand_over": (given - started) * 1e3, "gpu": gpu_ms}

    def _settle(self) -> None:
        """What was begun before something failed may still be copying to memory used next."""
        with self._cuda.current(), suppress(DermedgeError):
            self.slot.lanes.settle()

    def hand_over(
        self,
        frames: Sequence[npt.NDArray[np.uint8]],
        rows: Sequence[Floats | None],
        format: Format = Format.BGR,
    ) -> None:
        """Up to `batch` frames, and their rows of encoded metadata, begin to be judged."""
        if self._under_way:
            raise UsageError(
                "What was handed over before has not been waited for.",
                remedy="call wait() first, or use another chain of the same engines beside it",
            )
        with self._cuda.current():
            self._begin("judge", frames, rows, format)
        self._under_way = True

    def _begin(
        self,
        part: str,
        frames: Sequence[npt.NDArray[np.uint8]],
        rows: Sequence[Floats | None],
        format: Format = Format.BGR,
    ) -> None:
        self._cuda.record(self._begun, self.slot.lanes.main)
        self.slot.give(frames, rows, format)
        self.launcher.start(part)
        self._cuda.record(self._ended, self.slot.lanes.main)

    def wait(self) -> float:
        """Until what was handed over is done: milliseconds it took, by the GPU's clock."""
        self._under_way = False
        with self._cuda.current():
            self._cuda.synchronize(self._ended)
            return self._cuda.between(self._begun, self._ended)

    def measure(
        self,
        frame: npt.NDArray[np.uint8],
        metadata: Mapping[str, object] | None = None,
        format: Format = Format.BGR,
    ) -> Measured:
        """What the networks say of a frame as a camera sent it: its quality is another matter."""
        measured = Measured()
        self._measure_each([frame], [metadata or {}], [measured], format)
        return measured

    def add_part(self, name: str, issue: Callable[[], None]) -> None:
        """Something else to be timed in this chain's place: see figures.py."""
        with self._cuda.current():
            self.launcher.add(name, issue)

    def timed_part(self, name: str) -> float:
        """Milliseconds by the GPU's clock."""
        with self._cuda.current():
            self._cuda.record(self._begun, self.slot.lanes.main)
            self.launcher.start(name)
            self._cuda.record(self._ended, self.slot.lanes.main)
            self._cuda.synchronize(self._ended)
            return self._cuda.between(self._begun, self._ended)

    def _read(self, place: int, measured: Measured) -> None:
        spec, slot = self.bundle.spec, self.slot
        measured.lesion = slot.lesion(place)
        slot.check_picture(place)
        said = {name: slot.said(name, place) for name in spec.chain.classify}
        measured.members = {
            name: taken(spec, name, outputs, "probabilities") for name, outputs in said.items()
        }
        last = spec.chain.combine.model if spec.chain.combine else spec.chain.classify[0]
        measured.combined = taken(spec, last, slot.said(last, place), "probabilities")
        measured.ood = unlikeness(spec, said)

    def _find(self, frame: Image) -> Lesion | None:
        if not self.slot.finds:
            return None
        try:
            with self._cuda.current():
                self._begin("find", [frame], [])
                self._cuda.synchronize(self._ended)
        except DermedgeError:
            self._settle()
            raise
        return self.slot.lesion(0)

    def _heat(self, model: str, frame: Image, lesion: Lesion | None) -> tuple[Box, Floats]:
        spec, purify = self.bundle.spec, self.bundle.spec.chain.purify
        painter = (purify and purify.model) or ""
        return heat_of(
            self._apart(model), spec, model, frame, lesion,
            lambda: painted_by(self._apart(painter), spec, painter, frame),
        )  # fmt: skip

    def _apart(self, model: str) -> Engine:
        """An engine of its own, opened when it is first asked for: most devices never do."""
        from runtime.backends.registry import open_engine

        opened, spec = self._opened, self.bundle.spec
        if model not in self._explaining:
            self._explaining[model] = self._stack.enter_context(
                open_engine(
                    opened.backend, self.bundle.path, model, spec.models[model],
                    precision=opened.precision, classes=len(spec.classes),
                )
            )  # fmt: skip
        return self._explaining[model]

    def _free(self) -> None:
        with self._cuda.current():
            if hasattr(self, "launcher"):
                self.launcher.forget()
            self.slot.free()

    def close(self) -> None:
        self._stack.close()
