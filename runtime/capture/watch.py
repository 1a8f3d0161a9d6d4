"""For whoever watches over an unattended loop: systemd's watchdog, and a log of what happened.

The watchdog is told that all is well only while the loop goes round. A camera that is gone does not
count: the loop waits for it, and a restart would bring nothing back. An engine that hangs does.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from contextlib import suppress
from datetime import datetime, timezone
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import UsageError

if TYPE_CHECKING:
    from runtime.capture.loop import Loop

HUNG_SECONDS = 20.0  # for which one look or capture may last, before the loop counts as hung
LOG_BYTES, LOG_FILES = 2_000_000, 5


def goes_round(loop: Loop) -> bool:
    well = loop.failed is None and loop.camera.is_watched
    return well and time.monotonic() - loop.beat < HUNG_SECONDS


class Notifier:
    """systemd's protocol: datagrams to a socket that the environment names. Without it, nothing."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        self._every = int(os.environ.get("WATCHDOG_USEC") or 0) / 2e6
        self._due = 0.0

    def ready(self) -> None:
        self._say("READY=1")

    def stopping(self) -> None:
        self._say("STOPPING=1")

    def tick(self, loop: Loop, status: str) -> None:
        """Call it often; it speaks as often as it was asked to."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + (self._every or 10.0)
        self._say(f"STATUS={status}")
        if self._every and goes_round(loop):
            self._say("WATCHDOG=1")

    def _say(self, message: str) -> None:
        if not self._address:
            return
        name = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(message.encode(), name)


class Journal:
    """What happened, one JSON object a line. Never a patient's field, never a camera's password."""

    def __init__(self, file: Path | None) -> None:
        self._handler: RotatingFileHandler | None = None
        if file is None:
            return
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._handler = RotatingFileHandler(file, maxBytes=LOG_BYTES, backupCount=LOG_FILES)
        except OSError as exc:
            raise UsageError(f"{file} cannot be written.", got=exc.strerror or str(exc)) from exc

    def note(self, event: str, **facts: object) -> None:
        if self._handler is not None:
            now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
            line = json.dumps({"time": now, "event": event, **facts}, default=str)
            self._handler.handle(logging.makeLogRecord({"msg": line}))

    def close(self) -> None:
        if self._handler is not None:
            self._handler.close()
