"""`infer --camera` as a process, asked as people ask it: by its console and by its screen."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from runtime.store.store import Capture, Store
from tests.faults.soak import FATES, children
from tests.runtime.capture.waiting import until

if TYPE_CHECKING:
    from typing_extensions import Self

KEPT = re.compile(r"Kept as capture (\d+)\.")
ANSWERS = re.compile(r"Kept as capture|There is no live picture")
SCREEN = re.compile(r"The screen is at (\S+)")
TOO_OFTEN = 429


class CameraLoop:
    """The command, with its words as they come. Without a bundle it takes the demo's."""

    def __init__(
        self, store: Path, source: str = "synthetic:320x240@60", bundle: Path | None = None
    ) -> None:
        words = ["--camera", source, "--store", store, "--backend", "openvino"]
        words += ["--web", "127.0.0.1:0"] + ([] if bundle is None else ["--bundle", bundle])
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runtime.infer", *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.words = ""
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Of a test that failed nothing is left running."""
        if self.process.poll() is None:
            self.end(signal.SIGKILL)

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.words += line

    @property
    def acknowledged(self) -> list[int]:
        """What the console said it kept."""
        return [int(number) for number in KEPT.findall(self.words)]

    def ask(self, patient: dict[str, object]) -> None:
        """By the console."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(patient) + "\n")
        self.process.stdin.flush()

    def wait_for(self, captures: int) -> None:
        until(lambda: len(self.acknowledged) >= captures, self.words)

    def first_capture(self) -> None:
        """At first there is no picture, and it says so: ask until there is one."""
        asked = 0
        while not self.acknowledged:
            self.ask({"patient": "first"})
            asked += 1
            until(lambda a=asked: len(ANSWERS.findall(self.words)) == a, "it says nothing")

    def capture(self) -> tuple[int, dict[str, Any]]:
        """By the screen: status and what it answers. It takes two a second, and no more."""
        status, answer = TOO_OFTEN, {}
        while status == TOO_OFTEN:
            status, answer = self._send("POST", "/api/captures", b'{"patient": "p1"}')
            time.sleep(0.1 if status == TOO_OFTEN else 0.0)
        return status, answer

    def captures(self) -> list[dict[str, Any]]:
        return list(self._send("GET", "/api/captures")[1])

    def device(self) -> dict[str, Any]:
        """How it is; at every moment that it is asked every frame is accounted for."""
        found = self._send("GET", "/api/device")[1]
        counts = found["counts"]
        assert counts["received"] == sum(counts[fate] for fate in FATES), counts
        assert min(counts.values()) >= 0, counts
        return dict(found)

    def _send(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        until(lambda: SCREEN.search(self.words) is not None, "no screen")
        found = SCREEN.search(self.words)
        assert found is not None
        connection = http.client.HTTPConnection(urlsplit(found[1]).netloc, timeout=60)
        try:
            connection.request(method, path, body, {"X-Dermedge": "1"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    @property
    def state(self) -> str:
        return str(self.device()["camera"]["state"])

    def until_live(self, openings: int = 0) -> float:
        """When it was live, by the monotonic clock, in an opening after so many."""

        def live() -> bool:
            found = self.device()
            return found["counts"]["openings"] > openings and found["camera"]["state"] == "live"

        until(live, self.words)
        return time.monotonic()

    def process_of(self, word: str) -> int:
        """The one that it, or one of those, has started and that has this word in its name."""
        for pid in descendants(self.process.pid):
            with suppress(OSError):
                if word in Path(f"/proc/{pid}/cmdline").read_text():
                    return pid
        raise AssertionError(f"no process with {word}")

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """All that it started has to end with it."""
        started = descendants(self.process.pid)
        self.process.send_signal(how)
        self.process.wait(timeout=60)
        self._listener.join()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(BrokenPipeError):
                assert pipe is not None
                pipe.close()
        until(lambda: not any(map(is_running, started)), "a process was left behind")
        return self.process.returncode


@contextmanager
def running(store: Path, source: str, bundle: Path) -> Iterator[CameraLoop]:
    with CameraLoop(store, source, bundle) as loop:
        loop.until_live()
        yield loop
        assert loop.end() == 0, loop.words


def descendants(pid: int) -> list[int]:
    found = []
    with suppress(OSError):
        for child in children(pid):
            found += [child, *descendants(child)]
    return found


def is_running(pid: int) -> bool:
    """Not so of one that has ended and that nobody has asked for its status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def check_kept(folder: Path, acknowledged: list[int], after: int = 0) -> list[Capture]:
    """The store is as its log says, holds what was acknowledged, and none of it is torn."""
    with Store(folder, writable=False) as store:
        assert list(store.problems()) == []  # every hash, of pictures too
        kept = {capture.number: capture for capture in store.captures()}
        assert set(acknowledged) <= kept.keys()
        for capture in kept.values():
            assert capture.record is not None
            assert capture.image is not None
            if capture.number > after:
                picture = store.picture(capture.image)
                assert picture.startswith(b"\x89PNG")
                assert picture.endswith(b"IEND\xaeB`\x82")
    return list(kept.values())
