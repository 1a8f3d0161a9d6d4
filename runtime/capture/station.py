"""A place where lesions are captured: camera, loop and store, for a screen and a console."""

from __future__ import annotations

import hashlib
import json
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import cv2

from runtime.capture.camera_profile import Profile
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
# Lossless. Somebody waits for it, and a sensor's noise has no repetitions to look for. With a level
# of compression named, OpenCV tries five filters on each row: twice the time for a twentieth less.
PACKING = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
TEXTS = {"patient": 64, "sex": 16, "site": 64, "note": 500}  # characters at most
OLDEST = 120
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
    profile: Profile = field(default_factory=Profile)
    journal: Journal = field(default_factory=lambda: Journal(None))
    presses: Presses = field(default_factory=Presses)
    captured: int = 0  # in this session
    # One thread for all captures: each new one would leave memory of its own behind.
    _packer: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, "packing"))
    _swept: float = field(default_factory=time.monotonic)
    waited_ms: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    @property
    def bundle(self) -> Bundle:
        return self.loop.chain.bundle.spec

    def capture(self, patient: Mapping[str, object]) -> tuple[int, Captured]:
        """Judge what is seen now and keep it: the number is given once all is on the disk."""
        asked = time.monotonic()
        try:
            number, captured = self._capture(patient)
        except DermedgeError as error:
            self.journal.note("not captured", kind=type(error).__name__, what=error.what)
            raise
        waited = (time.monotonic() - asked) * 1e3
        self.waited_ms.append(waited)
        status = captured.analysis.result.status
        self.journal.note("captured", number=number, status=status, ms=round(waited))
        return number, captured

    def _capture(self, patient: Mapping[str, object]) -> tuple[int, Captured]:
        check_patient(patient, self.bundle)
        metadata = metadata_of(patient, self.bundle)
        self.store.check_room()
        packing = _Packing(self._packer)
        try:
            asked = self.loop.capture(metadata, self.frames, packing.begin)
            captured = asked.result(ANSWER_SECONDS)
        except TookTooLong as exc:
            raise NotCaptured("The networks did not answer in time; nothing was kept.") from exc
        number = self._keep(captured, packing.of(captured.frame), patient)
        self.captured += 1
        return number, captured

    def sweep(self) -> None:
        """What is too old goes, now and then, whether anything is captured or not."""
        if time.monotonic() - self._swept < SWEEP_SECONDS:
            return
        self._swept = time.monotonic()
        try:
            self.store.apply_limits()
        except (DermedgeError, OSError) as error:  # captures go on all the same
            self.journal.note("retention failed", what=str(error))

    def percentiles(self) -> dict[str, float]:
        """Milliseconds from the request until the capture was kept, of the last captures."""
        waited = list(self.waited_ms)  # as it is now: captures go on
        return {f"p{p}": percentile(waited, p) for p in (50, 90, 99) if waited}

    def _keep(self, captured: Captured, picture: bytes, patient: Mapping[str, object]) -> int:
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


class _Packing:
    """A picture is packed while it is judged."""

    def __init__(self, packer: Executor) -> None:
        self._packer = packer
        self._frame: Image | None = None
        self._packed: Future[bytes] | None = None

    def begin(self, frame: Image) -> None:
        self._frame, self._packed = frame, self._packer.submit(as_png, frame)

    def of(self, frame: Image) -> bytes:
        """Where another frame than the sharpest is kept, because it failed, that one is packed."""
        if self._packed is None or frame is not self._frame:
            return as_png(frame)
        return self._packed.result()


def as_png(frame: Image) -> bytes:
    done, packed = cv2.imencode(".png", frame, PACKING)
    if not done:
        raise DermedgeError("The picture cannot be packed.", got=str(frame.shape))
    return packed.tobytes()


def check_patient(patient: Mapping[str, object], bundle: Bundle) -> None:
    """What is kept must be readable by all that reads it later, and be what its name says."""
    encoder = bundle.chain.metadata
    own = () if encoder is None else (field.name for field in encoder.fields)
    if unknown := sorted(patient.keys() - {*TEXTS, "age", *own}):
        raise InputError(
            "The patient's form has no such field.",
            got=", ".join(map(ascii, unknown)),
            expected=", ".join(dict.fromkeys((*TEXTS, "age", *own))),
        )
    age = patient.get("age")
    if age not in (None, "") and (
        not isinstance(age, (int, float)) or isinstance(age, bool) or not 0 <= age <= OLDEST
    ):
        raise InputError("The age is a number of years.", got=ascii(age), expected=f"0 to {OLDEST}")
    for name, most in TEXTS.items():
        text = patient.get(name)
        if text is not None and (not isinstance(text, str) or len(text) > most):
            raise InputError(
                "A field of the form is a text that is not too long.",
                got=f"{name}: {ascii(text)[:80]}",
                expected=f"at most {most} characters",
            )
    for name, value in patient.items():
        try:
            f"{name}{value}".encode()
            json.dumps(value, allow_nan=False)
        except ValueError as exc:
            raise InputError(
                "A field of the form cannot be kept.",
                got=f"{name!a}: {value!a}",
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
