"""The loop for a long time, as a device runs it: does anything grow?

    python -m tests.faults.soak --minutes 30

A camera, the screen with somebody looking on, and a capture every few seconds. Memory of both
processes is read every ten seconds; after a warm-up its slope has to be under one megabyte an hour,
the number of open handles the same, and every frame accounted for; each capture has to be kept, and
whoever looks on sees pictures to the end. Ends with 1 where it is not so. A slope that is known no
better than the limit is wide is neither: that is said.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

import click
import numpy as np

FATES = ("good", "rejected", "dropped", "waiting")
KEPT = 201
WARM_UP, WARM_UP_SECONDS = 0.25, 120.0  # of the time, and at least so long
MOST_MB_AN_HOUR, MOST_HANDLES = 1.0, 2
START_OF_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two looks at the memory, and between two captures."""

    look: float = 10.0
    capture: float = 5.0


@dataclass
class Seen:
    """By who looks on, and by who captures."""

    answers: Counter[int] = field(default_factory=Counter)
    pictures: int = 0
    broken: list[str] = field(default_factory=list)

    @property
    def refused(self) -> int:
        return self.answers.total() - self.answers[KEPT]


@click.command()
@click.option("--minutes", type=float, default=30.0, show_default=True)
@click.option("--camera", default="synthetic:1280x720@30", show_default=True)
def main(minutes: float, camera: str) -> None:
    with tempfile.TemporaryDirectory() as place, started(Path(place), camera) as process:
        found = watch(process, minutes * 60)
    sys.exit(judge(*found))


@contextmanager
def started(
    place: Path, camera: str, bundle: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    words = ["--camera", camera, "--store", f"{place}/store", "--web", "127.0.0.1:0"]
    words += [] if bundle is None else ["--bundle", str(bundle)]
    process = subprocess.Popen(
        [sys.executable, "-m", "runtime.infer", *words, "--headless", "--keep-mb", "100"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        began = time.monotonic()
        process.wait(timeout=60)
        print(f"It ended in {time.monotonic() - began:.1f} s with {process.returncode}.")


def watch(
    process: subprocess.Popen[str], seconds: float, pace: Pace | None = None
) -> tuple[np.ndarray, dict[str, Any], Seen]:
    pace = pace or Pace()
    host = urlsplit(address_of(process)).netloc
    Thread(target=drain, args=(process,), daemon=True).start()
    until_live(host)
    stop, seen = Event(), Seen()
    work = [
        Thread(target=look_on, args=(host, stop, seen), daemon=True),
        Thread(target=capture, args=(host, stop, seen, pace.capture), daemon=True),
    ]
    for thread in work:
        thread.start()
    samples, began = [], time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        time.sleep(pace.look)
        ids = [process.pid, *children(process.pid)]
        memory = sum(resident_mb(pid) for pid in ids)
        handles = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in ids)
        samples.append((passed, memory, handles))
        if len(samples) % 6 == 0:
            print(f"{passed / 60:5.1f} min: {memory:.1f} MB, {handles} handles", flush=True)
    stop.set()
    for thread in work:
        thread.join(timeout=60)
    return np.array(samples), json.loads(ask(host, "/api/device")[1]), seen


def judge(samples: np.ndarray, device: dict[str, Any], seen: Seen) -> int:
    late = samples[samples[:, 0] >= WARM_UP * samples[-1, 0]]
    third = max(len(late) // 3, 1)  # at one moment a capture may have a file open
    handles = int(np.median(late[-third:, 2]) - np.median(late[:third, 2]))
    counts = device["counts"]
    balance = counts["received"] - sum(counts[fate] for fate in FATES)
    waited = {name: round(value) for name, value in device["captures"].items()}
    grows = judge_memory(samples)
    print(f"Handles: {handles:+d}. Frames: {counts}; unaccounted for: {balance}.")
    print(f"Capture to result, ms: {waited}; camera opened {counts['openings']} times.")
    print(f"Captures: {seen.answers[KEPT]} kept, {seen.refused} refused. ", end="")
    print(f"Looking on: {seen.pictures} pictures. {' '.join(seen.broken)}")
    unkept = seen.refused > 0 or seen.answers[KEPT] == 0
    unseen = bool(seen.broken) or seen.pictures == 0
    return int(grows or abs(handles) > MOST_HANDLES or balance != 0 or unkept or unseen)


def judge_memory(samples: np.ndarray) -> bool:
    """Whether it surely grows: also the slope's lower bound, of 95 %, is above the limit."""
    late = samples[samples[:, 0] >= max(WARM_UP * samples[-1, 0], WARM_UP_SECONDS)]
    low, high = slope_bounds(late[:, 0] / 3600, late[:, 1])
    slope = f"{low:+.2f} to {high:+.2f} MB/h" if np.isfinite(low) else "not looked at often enough"
    verdict = "it grows" if low > MOST_MB_AN_HOUR else "flat"
    if low <= MOST_MB_AN_HOUR < high:
        verdict = f"whether it is under {MOST_MB_AN_HOUR:g} is not told by so short a run"
    ends = f"{samples[0, 1]:.1f} to {samples[-1, 1]:.1f} MB"
    print(f"Memory: {ends}; after the warm-up {slope}: {verdict}.")
    return low > MOST_MB_AN_HOUR


def slope_bounds(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    if len(x) < 4:
        return -np.inf, np.inf
    line = np.polyfit(x, y, 1)
    rest = y - np.polyval(line, x)
    error = np.sqrt((rest**2).sum() / (len(x) - 2) / ((x - x.mean()) ** 2).sum())
    return float(line[0] - 2 * error), float(line[0] + 2 * error)


def address_of(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if "The screen is at " in line:
            return line.split()[-1]
    raise SystemExit("it did not start")


def drain(process: subprocess.Popen[str]) -> None:
    """Or it would wait once its words fill the pipe."""
    assert process.stderr is not None
    with process.stderr as words:
        for _ in words:
            pass


def ask(host: str, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request(method, path, body, {"X-Dermedge": "1"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def until_live(host: str) -> None:
    for _ in range(600):
        if json.loads(ask(host, "/api/device")[1])["camera"]["state"] == "live":
            return
        time.sleep(0.1)
    raise SystemExit("its camera is not live within a minute")


def look_on(host: str, stop: Event, seen: Seen) -> None:
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request("GET", "/live")
        answer = connection.getresponse()
        while not stop.is_set():
            if not (piece := answer.read1(1 << 20)):
                seen.broken.append("The live picture ended.")
                return
            seen.pictures += piece.count(START_OF_JPEG)
    except (OSError, http.client.HTTPException) as error:
        seen.broken.append(f"The live picture broke off: {error!r}.")
    finally:
        connection.close()


def capture(host: str, stop: Event, seen: Seen, every: float) -> None:
    while not stop.wait(every):
        try:
            status, _ = ask(host, "/api/captures", "POST", b'{"patient": "soak"}')
        except (OSError, http.client.HTTPException) as error:
            seen.broken.append(f"A capture was not answered: {error!r}.")
            return
        seen.answers[status] += 1


def children(pid: int) -> list[int]:
    """A process belongs to the thread that started it."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return sorted({int(number) for file in threads for number in file.read_text().split()})


def resident_mb(pid: int) -> float:
    """Without what is shared with files, which the system may drop and load as it likes."""
    fields = Path(f"/proc/{pid}/status").read_text()
    lines = dict(line.split(":", 1) for line in fields.splitlines() if ":" in line)
    return sum(int(lines[name].split()[0]) for name in ("RssAnon", "RssShmem")) / 1024


if __name__ == "__main__":
    main()
