"""A camera that is watched: its reader process is killed and started anew whenever it must be.

    opening → live ⇄ stalled → lost → reopening → live

It is the one camera that was opened first: one that is plugged in for it later is not taken.
Only a camera that is live gives frames. What it gives is always the newest; how old that is can be
told from its time, by the monotonic clock.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Condition, Thread
from typing import TYPE_CHECKING, Literal

from runtime.capture.address import Address
from runtime.capture.camera_profile import Profile
from runtime.capture.counts import Counts, Fate
from runtime.capture.messages import Damaged, Lost, Opened, Taken
from runtime.capture.rate import Rate
from runtime.capture.reader_process import ReaderGone, ReaderProcess
from runtime.closing import Closing
from runtime.preprocess import Image

if TYPE_CHECKING:
    from typing_extensions import Self

State = Literal["opening", "live", "stalled", "lost", "reopening"]

KEPT = 6  # newest frames that are held, for a capture to choose from
SPARE = 4  # slots beside them: one being written, one on its way, one or two looked at
TICK_SECONDS = 0.05
HELD = "the camera's driver hangs, and its reader with it: unplug the camera"
SILENT, STILL, BLACK = "no frame comes", "the picture does not change", "the picture is black"


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: until a camera counts as stalled, until its reader is killed, and so on."""

    stall: float = 1.0
    kill: float = 2.0  # without a frame
    opening: float = 15.0  # until the first frame
    frozen: float = 1.0  # with one picture again and again, which no sensor gives
    thaw: float = 10.0  # frozen for that long, the camera is opened again
    # Before each opening; after one that was live they begin anew.
    waits: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True)
class Status:
    state: State
    since: float
    why: str | None  # it is not live
    what: str  # driver, format, size and rate, as the camera says
    counts: Counts
    frames_per_second: float = 0.0  # as they come


@dataclass(slots=True)
class Frame:
    """`pixels` lie in memory that is shared: valid until nobody holds the frame any more."""

    pixels: Image
    number: int
    taken: float  # by time.monotonic
    _slot: int
    _reader: ReaderProcess
    _holders: int = 1
    _waiting: bool = True  # to be looked at

    @property
    def age_ms(self) -> float:
        return (time.monotonic() - self.taken) * 1e3


@dataclass
class Camera(Closing):
    address: Address
    profile: Profile = field(default_factory=Profile)
    patience: Patience = field(default_factory=Patience)

    def __post_init__(self) -> None:
        self._status = Status("opening", time.monotonic(), None, "", Counts())
        self._change = Condition()
        self._frames: deque[Frame] = deque()
        self._closing = False
        self._reader: ReaderProcess | None = None
        self._identity: str | None = None
        self._rate = Rate()
        self.device: str | None = None  # where it is, or was last
        self._thread = Thread(target=self._keep_open, name="camera", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        with self._change:
            self._closing = True
            self._change.notify_all()
        self._thread.join()

    @property
    def is_watched(self) -> bool:
        return self._thread.is_alive()

    @property
    def status(self) -> Status:
        with self._change:
            counts, rate = replace(self._status.counts), self._rate.a_second()
            return replace(self._status, counts=counts, frames_per_second=rate)

    @contextmanager
    def newest(self, after: int = 0, timeout: float = 0.0) -> Iterator[Frame | None]:
        """The newest frame, if its number is above `after`; waits that long for one."""
        frames = self._wait_for(after, timeout, lambda: False)
        with self._held(frames):
            yield frames[0] if frames else None

    @contextmanager
    def to_look_at(
        self, after: int, timeout: float, or_when: Callable[[], bool]
    ) -> Iterator[Frame | None]:
        """As `newest`, for the loop, which says of each whether it was good: `looked_at`.

        `or_when` ends the waiting as well: it is asked again at every `wake`.
        """
        frames = self._wait_for(after, timeout, or_when, to_look_at=True)
        with self._held(frames):
            yield frames[0] if frames else None

    def looked_at(self, good: bool) -> None:
        with self._change:
            self._status.counts.note_look(good)

    @contextmanager
    def recent(self, seconds: float) -> Iterator[list[Frame]]:
        """The frames of the last seconds that are still there, oldest first."""
        oldest = time.monotonic() - seconds
        with self._change:
            frames = [f for f in self._frames if f.taken >= oldest] if self._live else []
            _hold(frames)
        with self._held(frames):
            yield frames

    @contextmanager
    def _held(self, frames: list[Frame]) -> Iterator[None]:
        try:
            yield
        finally:
            with self._change:
                _release(frames)

    def wake(self) -> None:
        with self._change:
            self._change.notify_all()

    def _wait_for(
        self, after: int, timeout: float, or_when: Callable[[], bool], to_look_at: bool = False
    ) -> list[Frame]:
        def there() -> bool:
            return self._live and bool(self._frames) and self._frames[-1].number > after

        with self._change:
            self._change.wait_for(lambda: self._closing or there() or or_when(), timeout)
            frames = [self._frames[-1]] if there() and not self._closing else []
            _hold(frames)
            if to_look_at and frames:
                frames[0]._waiting = False
        return frames

    @property
    def _live(self) -> bool:
        return self._status.state == "live"

    def _keep_open(self) -> None:
        tries = 0
        while not self._closing:
            given = self._status.counts.given
            try:
                why = self._read_until_lost()
            except Exception as exc:  # no handles, no memory: the next opening may have them
                why = f"{type(exc).__name__}: {exc}"
            self._forget_frames()
            self._become("lost", why)
            self._wait_for_its_end()
            if self._status.counts.given > given:
                tries = 0
            wait = self.patience.waits[min(tries, len(self.patience.waits) - 1)]
            tries += 1
            with self._change:
                self._change.wait_for(lambda: self._closing, wait)

    def _wait_for_its_end(self) -> None:
        """A driver that does not let go of one reader would not let go of the next one either."""
        while not self._closing and self._reader is not None and not self._reader.has_ended:
            self._become("lost", HELD)
            time.sleep(TICK_SECONDS)

    def _read_until_lost(self) -> str | None:
        """Open it and take its frames; the return value is why that ended."""
        counts = self._status.counts
        self._become("reopening" if counts.openings else "opening", self._status.why)
        counts.openings += 1
        before, heard = counts.received, time.monotonic()
        seen, trouble = heard, None
        job = self.address, self.profile, KEPT + SPARE, self._identity
        with ReaderProcess(*job) as reader:
            self._reader = reader
            while not self._closing:
                try:
                    message = reader.hear(TICK_SECONDS)
                except ReaderGone as ending:
                    return trouble or f"its reader ended: {ending}"
                if isinstance(message, Lost):
                    return message.why
                if isinstance(message, Opened):
                    self._note_opened(message)
                if isinstance(message, Damaged):
                    self._count(before, message, "damaged")
                    trouble = message.why
                if isinstance(message, Taken):
                    heard = time.monotonic()
                    fate = self._fate(message)
                    self._count(before, message, fate)
                    if fate == "black":  # it is there, and sees nothing: opening it anew is no help
                        trouble = BLACK
                    else:
                        seen, trouble = heard, None
                    self._take(message, fate, reader)
                    if message.frozen_ms > self.patience.thaw * 1e3:
                        return STILL
                if self._is_stalled(seen, trouble):
                    self._become("stalled", trouble or SILENT)
                starting = self._status.state in ("opening", "reopening")
                silent = time.monotonic() - heard
                if silent > (self.patience.opening if starting else self.patience.kill):
                    return trouble or SILENT
        return None

    def _note_opened(self, message: Opened) -> None:
        self._identity, self.device = self._identity or message.identity, message.device
        with self._change:
            self._status = replace(self._status, what=message.what)

    def _is_stalled(self, seen: float, trouble: str | None) -> bool:
        """A camera in the dark is opened, but never live: that is said as well."""
        waits = self._live or trouble == BLACK
        return waits and time.monotonic() - seen > self.patience.stall

    def _fate(self, message: Taken) -> Fate:
        if message.frozen_ms > self.patience.frozen * 1e3 or not message.moves:
            return "frozen"
        return "black" if message.black else "waiting"

    def _count(self, before: int, message: Taken | Damaged, fate: Fate) -> None:
        """In one step: whoever looks at the counts finds that they add up."""
        with self._change:
            self._status.counts.note(before + message.number, message.unread, fate)
            self._rate.note()

    def _take(self, message: Taken, fate: Fate, reader: ReaderProcess) -> None:
        if message.frozen_ms > self.patience.frozen * 1e3:
            self._forget_frames()
            self._become("stalled", STILL)
        if fate != "waiting":
            reader.hand_back(message.slot)
            return
        pixels = reader.slots.view(message.slot, message.height, message.width)
        # A picture that stands still may have frozen when it first came.
        taken = message.taken_ns / 1e9 - message.frozen_ms / 1e3
        frame = Frame(pixels, self._status.counts.received, taken, message.slot, reader)
        with self._change:
            self._frames.append(frame)
            while len(self._frames) > KEPT:
                self._let_go(self._frames.popleft())
        self._become("live", None)

    def _forget_frames(self) -> None:
        with self._change:
            while self._frames:
                self._let_go(self._frames.popleft())

    def _let_go(self, frame: Frame) -> None:
        if frame._waiting:
            frame._waiting = False
            self._status.counts.note_passed()
        _release([frame])

    def _become(self, state: State, why: str | None) -> None:
        with self._change:
            since = self._status.since if state == self._status.state else time.monotonic()
            self._status = replace(self._status, state=state, since=since, why=why)
            self._change.notify_all()


def _hold(frames: list[Frame]) -> None:
    for frame in frames:
        frame._holders += 1


def _release(frames: list[Frame]) -> None:
    """The last who lets go of a frame gives its room back to the reader."""
    for frame in frames:
        frame._holders -= 1
        if frame._holders == 0:
            frame._reader.hand_back(frame._slot)
