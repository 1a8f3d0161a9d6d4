"""The reader of a camera as the loop holds it: the process, its socket and its memory."""

from __future__ import annotations

import select
import subprocess
import sys
from contextlib import suppress
from threading import Lock, Thread

from runtime.capture.address import Address
from runtime.capture.camera_profile import Profile
from runtime.capture.messages import Message, hand_back, hear, pair
from runtime.capture.reader import Job
from runtime.capture.slots import Slots
from runtime.child_process import same_source
from runtime.closing import Closing

PROGRAM = [sys.executable, "-m", "runtime.capture.reader"]
ENDING_SECONDS = 2.0


class ReaderGone(Exception):
    """It ended without a word: killed, or crashed."""


class ReaderProcess(Closing):
    """New at every opening, so that nothing of a broken one is left over."""

    def __init__(
        self, address: Address, profile: Profile, slots: int, identity: str | None = None
    ) -> None:
        self.slots = Slots(slots)
        self._channel, theirs = pair()
        self._lock, self._open = Lock(), True
        job = Job(
            address=address,
            profile=profile,
            identity=identity,
            memory=self.slots.descriptor,
            slots=slots,
            channel=theirs.fileno(),
        )
        with theirs:
            self._process = subprocess.Popen(
                PROGRAM,
                stdin=subprocess.PIPE,
                pass_fds=(self.slots.descriptor, theirs.fileno()),
                env=same_source(),
            )
        self.pid = self._process.pid
        assert self._process.stdin is not None
        with suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(job.model_dump_json(by_alias=True).encode())

    def hear(self, timeout: float) -> Message | None:
        """What it says next, or None where it says nothing for so long."""
        ready, _, _ = select.select([self._channel], [], [], timeout)
        if not ready:
            return None
        try:
            message = hear(self._channel)
        except ConnectionResetError:
            message = None
        if message is None:
            raise ReaderGone(self._ending())
        return message

    def hand_back(self, slot: int) -> None:
        with self._lock:
            if self._open:
                with suppress(OSError):  # it has gone, which the next message will say
                    hand_back(self._channel, slot)

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def _ending(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        status = self._process.returncode
        if status is None:
            return "it closed its socket"
        return f"signal {-status}" if status < 0 else f"status {status}"

    def close(self) -> None:
        self._process.kill()
        try:
            self._process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            # It waits in a driver where no signal reaches it, and ends when the driver lets go.
            Thread(target=self._process.wait, name="reader's end", daemon=True).start()
        with self._lock:
            self._open = False
            self._channel.close()
        self.slots.close()
