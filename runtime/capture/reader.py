"""Reads one camera, in a process of its own: `python -m runtime.capture.reader`.

A driver may hang in a call that nothing interrupts, and a decoder may crash on what a broken camera
sends. Here that costs one process, which runtime/capture/camera.py kills and starts anew. The job
comes as JSON on stdin, where no list of processes shows a password; frames go into shared memory,
and word of them over a socket.
"""

from __future__ import annotations

import signal
import socket
import sys
import time
import zlib
from collections import deque
from contextlib import suppress
from functools import partial

from runtime.capture.address import Address, without_secrets
from runtime.capture.camera_profile import Profile
from runtime.capture.identity import located
from runtime.capture.messages import Damaged, Lost, Opened, Taken, handed_back, say
from runtime.capture.slots import Slots
from runtime.capture.source import FrameDamaged, Source, SourceLost
from runtime.child_process import end_with_parent
from runtime.errors import DermedgeError
from runtime.preprocess import Image
from runtime.specs import Spec

MOST_WORDS = 1000  # of a reason
SILENCE_NS = 500_000_000
GLANCE = 8  # every so many pixels are looked at to tell one frame from the next
BLACK = 20  # a mean below it is no light; of six thousand dermoscopic pictures the darkest has 42


class Job(Spec):
    address: Address
    profile: Profile
    identity: str | None = None  # of the camera that it has to be
    memory: int  # the descriptor of the slots
    slots: int
    channel: int  # the descriptor of the socket


class Backlog:
    """After a silence, what comes first was kept on the way, and is as old as the silence was long.

    It comes faster than a camera sends. Frames are pictures of now again when they come at their
    usual pace, or when as much time has passed as was missed.
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self._usual: float | None = None  # nanoseconds between two frames
        self._until = 0

    def holds(self, now_ns: int) -> bool:
        """Whether the frame that came now is one of those."""
        last, self._last = self._last, now_ns
        if last is None:
            return False
        gap = now_ns - last
        if self._usual is None:
            self._usual = gap
        elif gap > max(SILENCE_NS, 4 * self._usual):
            self._until = now_ns + gap
            return True
        elif now_ns < self._until:
            if gap < self._usual / 2:
                return True
            self._until = 0
        else:
            self._usual += (gap - self._usual) / 8
        return False


class Stillness:
    """For how long the picture has been the very same. The noise of a sensor never is."""

    def __init__(self) -> None:
        self._known: int | None = None  # the checksum of the last picture
        self._since = 0
        self.moves = False  # not known before the second frame

    def of(self, glance: Image, now_ns: int) -> float:
        known, self._known = self._known, zlib.crc32(glance.tobytes())
        if known != self._known:
            self.moves = known is not None
            self._since = now_ns
        return (now_ns - self._since) / 1e6


def open_source(address: Address, profile: Profile) -> Source:
    """Each kind's module is imported when it is asked for."""
    if address.kind == "v4l2":
        from runtime.capture.opencv_camera import V4l2Camera

        return V4l2Camera(address, profile)
    if address.kind == "rtsp":
        from runtime.capture.opencv_camera import RtspCamera

        return RtspCamera(address)
    if address.kind == "http":
        from runtime.capture.http_mjpeg import HttpMjpeg

        return HttpMjpeg(address)
    if address.kind in ("gst", "csi"):
        from runtime.capture.gstreamer import GStreamer

        return GStreamer(address)
    if address.kind == "synthetic":
        from runtime.capture.synthetic import Synthetic

        return Synthetic(address)
    from runtime.capture import played

    return (played.PlayedVideo if address.kind == "video" else played.PlayedFolder)(address)


def read_all(source: Source, slots: Slots, channel: socket.socket) -> None:
    """Until the source is lost. One slot is always at hand to write to, even where none is free.

    A frame for which the loop has no room is written over by the next one, so that what the loop
    gets when it has room again is the newest and not one that was kept for it. Slots are used in
    turn, so that the memory of all is there after the first frames, and not months later.
    """
    free = deque(range(slots.count))
    own, number, stillness, backlog = free.popleft(), 0, Stillness(), Backlog()
    unread = 0
    while True:
        damage = None
        try:
            frame = source.read(partial(slots.view, own))
        except FrameDamaged as error:
            damage = _words(error)
        taken_ns = time.monotonic_ns()
        passed_over, source.passed_over = source.passed_over, 0
        number += passed_over + 1
        unread += passed_over
        if damage is not None:
            say(channel, Damaged(number=number, unread=unread, why=damage))
            unread = 0
            continue
        glance = frame[::GLANCE, ::GLANCE]
        frozen_ms = 0.0 if source.still else stillness.of(glance, taken_ns)
        free += handed_back(channel)
        if not free or (not source.still and backlog.holds(taken_ns)):
            unread += 1
            continue
        height, width = frame.shape[:2]
        say(
            channel,
            Taken(
                slot=own,
                number=number,
                unread=unread,
                taken_ns=taken_ns,
                height=height,
                width=width,
                frozen_ms=frozen_ms,
                moves=source.still or stillness.moves,
                black=bool(glance.mean() < BLACK),
            ),
        )
        own, unread = free.popleft(), 0


def _words(error: DermedgeError) -> str:
    return without_secrets(error.one_line)[:MOST_WORDS]


def _opened(source: Source, address: Address, identity: str | None) -> Opened:
    if address.kind != "v4l2":
        return Opened(what=source.what)
    what = source.what + (f", at {address.where}" if address.where != address.name else "")
    return Opened(what=what, identity=identity, device=address.where)


def main() -> int:
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the loop, which ends this
    job = Job.model_validate_json(sys.stdin.read())
    with socket.socket(fileno=job.channel) as channel, Slots(job.slots, job.memory) as slots:
        try:
            handed_back(channel)  # ends it where the loop was killed before end_with_parent
            address, identity = located(job.address, job.identity)
            with open_source(address, job.profile) as source:
                if located(address, identity) != (address, identity):
                    raise SourceLost(f"{address.name} was exchanged while it was opened.")
                say(channel, _opened(source, address, identity))
                read_all(source, slots, channel)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return 0  # the loop has gone
        except SourceLost as error:
            why = error
        except DermedgeError as error:
            why = SourceLost(error.what, got=error.got, expected=error.expected)
        with suppress(OSError):
            say(channel, Lost(why=_words(why)))
    return 1


if __name__ == "__main__":
    sys.exit(main())
