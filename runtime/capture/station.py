"""A place where lesions are captured: camera, loop and store, for a screen and a console."""

from __future__ import annotations

import hashlib
import json
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import cv2

from runtime.capture.loop import NotCaptured
from runtime.capture.presses import Presses
from runtime.capture.watch import Journal
from runtime.errors import DermedgeError, InputError
from runtime.overlay import outline_shares
from runtime.timings import percentile

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.capture.loop import Captured, Loop
    from runtime.preprocess import Image
    from runtime.store.store import Store

FIELDS = ("age", "sex", "site")  # of a patient, that networks may be told of; an id never is
PACKING = [cv2.IMWRITE_PNG_COMPRESSION, 1]  # lossless; packing it harder would keep people waiting
ANSWER_SECONDS = 60.0
SWEEP_SECONDS = 60.0  # between two looks at what is too old: it reads the whole store
REMEMBERED = 500  # captures that the percentiles are taken over


@dataclass
class Station:
    loop: Loop
    store: Store
    session: str
    camera: str  # as records name it
    frames: int = 1
    journal: Journal = field(default_factory=lambda: Journal(None))
    presses: Presses = field(default_factory=Presses)
    captured: int = 0  # in this session
    _swept: float = field(default_factory=time.monotonic)
    waited_ms: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    @property
    def bundle(self) -> Bundle:
        return self.loop.chain.bundle.spec

    def capture(self, patient: Mapping[str, object]) -> tuple[int, Captured]:
        """Judge what is seen now and keep it: the number is given once all is on the disk."""
        try:
            number, captured = self._capture(patient)
        except DermedgeError as error:
            self.journal.note("not captured", kind=type(error).__name__, what=error.what)
            raise
        status = captured.analysis.result.status
        self.journal.note("captured", number=number, status=status, ms=round(captured.waited_ms))
        return number, captured

    def _capture(self, patient: Mapping[str, object]) -> tuple[int, Captured]:
        check_patient(patient)
        metadata = metadata_of(patient, self.bundle)
        self.store.check_room()
        try:
            captured = self.loop.capture(metadata, self.frames).result(ANSWER_SECONDS)
        except TookTooLong as exc:
            raise NotCaptured("The networks did not answer in time; nothing was kept.") from exc
        number = self._keep(captured, patient)
        self.captured += 1
        self.waited_ms.append(captured.waited_ms)
        if time.monotonic() - self._swept > SWEEP_SECONDS:
            self._swept = time.monotonic()
            try:
                self.store.apply_limits()
            except (DermedgeError, OSError) as error:  # the capture is kept all the same
                self.journal.note("retention failed", what=str(error))
        return number, captured

    def percentiles(self) -> dict[str, float]:
        """Milliseconds from the request to the result, of the last captures."""
        waited = list(self.waited_ms)  # as it is now: captures go on
        return {f"p{p}": percentile(waited, p) for p in (50, 90, 99) if waited}

    def _keep(self, captured: Captured, patient: Mapping[str, object]) -> int:
        picture = as_png(captured.frame)
        record = captured.analysis.result.model_copy(
            update={
                "time": datetime.now(timezone.utc).isoformat(),
                "source": self.camera,
                "sha256": hashlib.sha256(picture).hexdigest(),
            }
        )
        height, width = captured.frame.shape[:2]
        curves = outline_shares(captured.analysis.lesion, height, width)
        return self.store.add(self.session, picture, record, patient, curves)


def as_png(frame: Image) -> bytes:
    done, packed = cv2.imencode(".png", frame, PACKING)
    if not done:
        raise DermedgeError("The picture cannot be packed.", got=str(frame.shape))
    return packed.tobytes()


def check_patient(patient: Mapping[str, object]) -> None:
    """What is kept must be readable by all that reads it later."""
    for name, value in patient.items():
        try:
            f"{name}{value}".encode()
            json.dumps(value, allow_nan=False)
        except ValueError as exc:
            raise InputError(
                f"The field {name!a} cannot be kept.",
                got=ascii(value),
                expected="text, a finite number or nothing",
            ) from exc


def metadata_of(patient: Mapping[str, object], bundle: Bundle) -> dict[str, object]:
    """What the networks get of a patient; refused here, before a picture is taken for nothing."""
    spec = bundle.chain.metadata
    names = FIELDS if spec is None else [field.name for field in spec.fields]
    metadata = {name: patient[name] for name in names if patient.get(name) not in (None, "")}
    if spec is not None:
        spec.encode(metadata)
    return metadata
