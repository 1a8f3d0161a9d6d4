"""USB/IP: a USB device written in Python, in a port of the kernel's virtual host controller.

The kernel's drivers see a device on a bus. Each of their requests comes over a socket as a packet
of 48 bytes, with what it writes behind it, and is answered or withdrawn by its number.

(The kernel's own loop, `dummy_hcd`, offers a gadget no isochronous endpoint, and the camera among
its gadgets, `usb_f_uvc`, is not bound without one: "Unable to allocate streaming EP".)
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Thread
from typing import Protocol

from tests.runtime.capture.waiting import PATIENT_SECONDS

ATTACH = Path("/sys/devices/platform/vhci_hcd.0/attach")
PORT, DEVICE, HIGH_SPEED = 0, 1, 3
SUBMIT, UNLINK, SUBMITTED, UNLINKED = 1, 2, 3, 4  # kinds of packets
OUT = 0
PACKET = struct.Struct(">2I4x4I12x8s")  # command, number, way, endpoint, flags, length, setup
ANSWER = struct.Struct(">2I12x2i20x")  # command, number, status, length
STALL, WITHDRAWN = -errno.EPIPE, -errno.ECONNRESET


@dataclass(frozen=True, slots=True)
class Setup:
    """The eight bytes of a control request."""

    kind: int
    request: int
    value: int
    index: int
    length: int


class Device(Protocol):
    def control(self, setup: Setup, written: bytes) -> bytes | None:
        """The answer; None refuses."""


class Plug:
    """A device from when it is plugged in until it is pulled out."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._change = Condition()
        self._waiting: defaultdict[int, deque[tuple[int, int]]] = defaultdict(deque)
        self._pulled = self._dead = False
        self._socket, theirs = socket.socketpair()
        with theirs:
            _attach(theirs)
        self._thread = Thread(target=self._serve, name="usb device", daemon=True)
        self._thread.start()

    @property
    def pulled(self) -> bool:
        return self._pulled

    def is_asked(self, endpoint: int) -> bool:
        with self._change:
            return bool(self._waiting[endpoint])

    def die(self) -> None:
        """Answer nothing, not even that a request was withdrawn.

        A driver waits for that for ever, and no signal reaches it. A controller that works says it
        without asking the device.
        """
        with self._change:
            self._dead = True
            for waiting in self._waiting.values():
                waiting.clear()

    def pull(self) -> None:
        with self._change:
            self._pulled = True
            self._change.notify_all()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def give(self, endpoint: int, data: bytes, unless: Callable[[], bool] = lambda: False) -> None:
        """Fill one request after the other; one that is not filled up is the end.

        `unless` gives it up: it is asked again at every `wake`.
        """
        while True:
            with self._change:
                waiting = self._waiting[endpoint]
                self._change.wait_for(lambda w=waiting: self._pulled or unless() or bool(w))
                if self._pulled or unless():
                    return
                number, length = waiting.popleft()
                self._answer(SUBMITTED, number, 0, data[:length])
            if len(data) < length:
                return
            data = data[length:]

    def wake(self) -> None:
        with self._change:
            self._change.notify_all()

    def _serve(self) -> None:
        with suppress(OSError, EOFError):
            while True:
                packet = PACKET.unpack(self._take(PACKET.size))
                command, number, way, endpoint, withdrawn, length, setup = packet
                written = self._take(length) if command == SUBMIT and way == OUT else b""
                if self._dead:
                    continue
                if command == UNLINK:
                    self._withdraw(number, withdrawn)
                elif endpoint:
                    with self._change:
                        self._waiting[endpoint].append((number, length))
                        self._change.notify_all()
                else:
                    self._control(number, Setup(*struct.unpack("<2B3H", setup)), written)

    def _control(self, number: int, setup: Setup, written: bytes) -> None:
        answer = self._device.control(setup, written)
        with self._change:
            if answer is None:
                self._answer(SUBMITTED, number, STALL)
            else:
                self._answer(SUBMITTED, number, 0, answer[: setup.length], len(written))

    def _withdraw(self, number: int, withdrawn: int) -> None:
        """One that was answered in the meantime is none of those that wait."""
        with self._change:
            for waiting in self._waiting.values():
                for request in waiting:
                    if request[0] == withdrawn:
                        waiting.remove(request)
                        self._answer(UNLINKED, number, WITHDRAWN)
                        return
            self._answer(UNLINKED, number, 0)

    def _answer(
        self, command: int, number: int, status: int, data: bytes = b"", taken: int = 0
    ) -> None:
        with suppress(OSError):  # the kernel has let go, as when it was told to
            self._socket.sendall(ANSWER.pack(command, number, status, taken or len(data)) + data)

    def _take(self, size: int) -> bytes:
        data = self._socket.recv(size, socket.MSG_WAITALL) if size else b""
        if len(data) < size:
            raise EOFError
        return data


def _attach(theirs: socket.socket) -> None:
    """A port is busy for a moment after what was in it was pulled out."""
    deadline = time.monotonic() + PATIENT_SECONDS
    while True:
        try:
            ATTACH.write_text(f"{PORT} {theirs.fileno()} {DEVICE} {HIGH_SPEED}")
        except OSError as exc:
            if exc.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
        else:
            return
        time.sleep(0.05)
