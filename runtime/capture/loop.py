"""The loop: it looks at the newest frame again and again, and judges with all care when asked to.

Looking finds the outline and says what to do better; nothing of it is kept. A capture takes the
sharpest of the frames of the last moment, judges that and nothing older, and is handed to whoever
asked. Every frame that came is accounted for: it was looked at and good enough, or rejected, or
dropped because a newer one was there.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any

from runtime.capture.fusing import Judged, fuse
from runtime.capture.rate import Rate
from runtime.errors import DermedgeError
from runtime.quality import measure_focus

if TYPE_CHECKING:
    from typing_extensions import Self

    from runtime.capture.camera import Camera, Frame, Status
    from runtime.chain import Analysis, Chain, Look
    from runtime.heatmap import Floats
    from runtime.lesion import Box, Lesion
    from runtime.preprocess import Image

STALE_MS = 500.0  # an older frame is neither looked at nor judged
LATE_SECONDS = 2.0  # between a request and its turn: by then something else may be in sight
CHOICE_SECONDS = 0.4  # how far back a capture may reach for a sharper frame
WAIT_SECONDS = 0.1
SEEN = 20  # last looks whose focus is remembered


class NotCaptured(DermedgeError):
    """There was nothing to judge at that moment; nothing was kept."""


@dataclass(frozen=True, slots=True)
class Captured:
    """`frame` is what was judged, `age_ms` how old it was when that was done."""

    frame: Image
    analysis: Analysis
    age_ms: float
    waited_ms: float  # from the request to the result


@dataclass(frozen=True, slots=True)
class View:
    """What there is to show now. Without a live camera there is no look."""

    camera: Status
    look: Look | None
    size: tuple[int, int] | None  # height and width of the frame that was looked at
    number: int
    looks_per_second: float


@dataclass(slots=True)
class _Task:
    """Something that needs the chain, done between two looks."""

    work: Callable[[], Any]
    answer: Future[Any] = field(default_factory=Future)


class Loop:
    """One thread that has the chain for itself. Use it in a `with`, inside the camera's."""

    def __init__(self, camera: Camera, chain: Chain) -> None:
        self.camera, self.chain = camera, chain
        self._tasks: SimpleQueue[_Task] = SimpleQueue()
        self._lock = Lock()
        self._last = 0
        self._looks = Rate()
        self._latest: tuple[Look, tuple[int, int]] | None = None
        self._focus: deque[tuple[int, float]] = deque(maxlen=SEEN)  # of frames by number
        self._closing = False
        self.beat = time.monotonic()  # when the loop last went round
        self._failure: BaseException | None = None
        self._thread = Thread(target=self._run, name="loop", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing = True
        self._thread.join()
        if error is None and self._failure is not None:
            raise self._failure

    @property
    def failed(self) -> BaseException | None:
        """What ended the loop, if anything did: it is then of no use any more."""
        return self._failure

    def capture(
        self,
        metadata: Mapping[str, object] | None = None,
        frames: int = 1,
        chosen: Callable[[Image], object] = lambda sharpest: None,
    ) -> Future[Captured]:
        """Judge what the camera sees now: the mean of so many frames, the sharpest there are.

        `chosen` gets the sharpest before it is judged, to do beside that what need not wait for it.
        """
        told, asked = dict(metadata or {}), time.monotonic()
        return self._do(lambda: self._capture(told, max(frames, 1), chosen, asked))

    def judge(self, frame: Image, metadata: Mapping[str, object]) -> Future[Analysis]:
        """Judge a picture from elsewhere; the camera has no part in it."""
        return self._do(lambda: self.chain.analyse(frame, metadata))

    def find(self, frame: Image) -> Future[Lesion | None]:
        """The lesion in a picture that was judged before."""
        return self._do(lambda: self.chain.find(frame))

    def explain_part(
        self, model: str, frame: Image, lesion: Lesion | None
    ) -> Future[tuple[Box, Floats]]:
        """One member's heat map. A capture waits for one at most, not for all of them."""
        return self._do(lambda: self.chain.explain_part(model, frame, lesion))

    def _do(self, work: Callable[[], Any]) -> Future[Any]:
        task = _Task(work)
        self._tasks.put(task)
        self.camera.wake()
        if self._closing or self._failure is not None:
            self._refuse_all("the loop has ended")
        return task.answer

    def view(self) -> View:
        with self._lock:
            latest = self._latest
            number = self._last
        camera = self.camera.status
        live = camera.state == "live"
        latest = latest if live else None
        return View(
            camera=camera,
            look=latest[0] if latest else None,
            size=latest[1] if latest else None,
            number=number,
            looks_per_second=self._looks.a_second() if live else 0.0,
        )

    def _run(self) -> None:
        """Looks at most half of the time: requests seldom wait, and the machine stays cool."""
        rest = 0.0
        try:
            while not self._closing:
                self.beat = time.monotonic()
                try:
                    self._work_on(
                        self._tasks.get(timeout=rest) if rest else self._tasks.get_nowait()
                    )
                except Empty:
                    with self.camera.to_look_at(self._last, WAIT_SECONDS, self._is_asked) as frame:
                        rest = 0.0 if frame is None else self._look_at(frame)
        except BaseException as exc:  # shown by whoever asks, and raised at the end
            self._failure = exc
        finally:
            self._refuse_all("the loop has ended")

    def _is_asked(self) -> bool:
        return not self._tasks.empty()

    def _look_at(self, frame: Frame) -> float:
        """How long it took."""
        started = time.monotonic()
        look = None
        if frame.age_ms <= STALE_MS:
            with suppress(DermedgeError):
                look = self.chain.look(frame.pixels)
        height, width = frame.pixels.shape[:2]
        with self._lock:
            self._last = frame.number
            self._latest = None if look is None else (look, (height, width))
            if look is not None:
                self._focus.append((frame.number, look.quality["focus"]))
            self._looks.note()
        self.camera.looked_at(good=look is not None and not look.hints)
        return time.monotonic() - started

    def _work_on(self, task: _Task) -> None:
        if not task.answer.set_running_or_notify_cancel():
            return  # whoever asked has gone
        try:
            task.answer.set_result(task.work())
        except DermedgeError as error:
            task.answer.set_exception(error)
        except BaseException as error:
            task.answer.set_exception(NotCaptured("The chain failed.", got=repr(error)))
            raise

    def _capture(
        self,
        metadata: Mapping[str, object],
        count: int,
        tell: Callable[[Image], object],
        asked: float,
    ) -> Captured:
        """Frames are copied: held while they are judged, they would leave the camera no room."""
        if time.monotonic() - asked > LATE_SECONDS:
            raise NotCaptured(
                "The networks were busy for too long: what is seen now is not what was asked for.",
                remedy="capture once more",
            )
        with self.camera.recent(CHOICE_SECONDS) as frames:
            fresh = [frame for frame in frames if frame.age_ms <= STALE_MS]
            chosen = [(f.pixels.copy(), f.taken) for f in self._sharpest(fresh, count)]
        if not chosen:
            status = self.camera.status
            raise NotCaptured(
                "There is no live picture to judge.",
                got=f"the camera is {status.state}" + (f": {status.why}" if status.why else ""),
                remedy="wait until the picture moves again, then capture once more",
            )
        tell(chosen[0][0])
        age_ms = (time.monotonic() - min(taken for _, taken in chosen)) * 1e3
        judged = [Judged(pixels, self.chain.analyse(pixels, metadata)) for pixels, _ in chosen]
        best = fuse(self.chain, judged)
        result = best.analysis.result.model_copy(update={"frame_age_ms": round(age_ms, 1)})
        waited = (time.monotonic() - asked) * 1e3
        return Captured(best.frame, replace(best.analysis, result=result), age_ms, waited)

    def _sharpest(self, frames: list[Frame], count: int) -> list[Frame]:
        """Measured within the lesion that was last seen: its surroundings may be sharper."""
        with self._lock:
            lesion = self._latest[0].lesion if self._latest else None
            known = dict(self._focus)

        def focus(frame: Frame) -> float:
            found = known.get(frame.number)
            return measure_focus(frame.pixels, lesion) if found is None else found

        return sorted(frames, key=focus, reverse=True)[:count]

    def _refuse_all(self, why: str) -> None:
        with suppress(Empty):
            while True:
                answer = self._tasks.get_nowait().answer
                if answer.set_running_or_notify_cancel():
                    answer.set_exception(NotCaptured("Nothing was captured.", got=why))
