"""The loop for a long time, as a device runs it: does anything grow?

    python -m tests.faults.soak --minutes 30

A camera, the screen with somebody looking on, and a capture every few seconds. Memory of both
processes is read every ten seconds; after a warm-up its slope has to be under one megabyte an hour,
the number of open handles the same, and every frame accounted for. Ends with 1 where it is not.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

import click
import numpy as np

FATES = ("good", "rejected", "dropped", "waiting")
EVERY_SECONDS, CAPTURE_SECONDS = 10.0, 5.0
WARM_UP = 0.25  # of the time
MOST_MB_AN_HOUR, MOST_HANDLES = 1.0, 2


@click.command()
@click.option("--minutes", type=float, default=30.0, show_default=True)
@click.option("--camera", default="synthetic:1280x720@30", show_default=True)
def main(minutes: float, camera: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        words = ["--camera", camera, "--store", f"{place}/store", "--web", "127.0.0.1:0"]
        process = subprocess.Popen(
            [sys.executable, "-m", "runtime.infer", *words, "--headless", "--keep-mb", "100"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            samples, device = watch(process, minutes * 60)
        finally:
            process.terminate()
            started = time.monotonic()
            process.wait(timeout=60)
            print(f"It ended in {time.monotonic() - started:.1f} s with {process.returncode}.")
    sys.exit(judge(samples, device))


def watch(process: subprocess.Popen[str], seconds: float) -> tuple[np.ndarray, dict[str, Any]]:
    address = urlsplit(address_of(process))
    drain = Thread(target=lambda: [None for _ in process.stderr or ()], daemon=True)
    drain.start()
    stop = Event()
    for work in (look_on, capture):
        Thread(target=work, args=(address.netloc, stop), daemon=True).start()
    samples, started = [], time.monotonic()
    while (passed := time.monotonic() - started) < seconds:
        time.sleep(EVERY_SECONDS)
        ids = [process.pid, *children(process.pid)]
        memory = [resident_mb(pid) for pid in ids]
        handles = [len(os.listdir(f"/proc/{pid}/fd")) for pid in ids]
        samples.append((passed, sum(memory), sum(handles)))
        if len(samples) % 6 == 0:
            print(
                f"{passed / 60:5.1f} min: {sum(memory):.1f} MB, {sum(handles)} handles", flush=True
            )
    stop.set()
    return np.array(samples), json.loads(ask(address.netloc, "/api/device"))


def judge(samples: np.ndarray, device: dict[str, Any]) -> int:
    late = samples[samples[:, 0] >= WARM_UP * samples[-1, 0]]
    slope = float(np.polyfit(late[:, 0] / 3600, late[:, 1], 1)[0])
    rest = late[:, 1] - np.polyval(np.polyfit(late[:, 0], late[:, 1], 1), late[:, 0])
    hours = late[:, 0] / 3600
    error = float(rest.std() / (hours.std() * np.sqrt(len(late)) + 1e-9))
    handles = int(late[-1, 2] - late[0, 2])
    counts = device["counts"]
    balance = counts["received"] - sum(counts[fate] for fate in FATES)
    captures = {name: round(value) for name, value in device["captures"].items()}
    print(f"Memory: {late[0, 1]:.1f} to {late[-1, 1]:.1f} MB, {slope:+.2f} ± {2 * error:.2f} MB/h.")
    print(f"Handles: {handles:+d}. Frames: {counts}; unaccounted for: {balance}.")
    print(f"Capture to result, ms: {captures}; camera opened {counts['openings']} times.")
    grows = slope - 2 * error > MOST_MB_AN_HOUR
    return int(grows or abs(handles) > MOST_HANDLES or balance != 0)


def address_of(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if "The screen is at " in line:
            return line.split()[-1]
    raise SystemExit("it did not start")


def ask(host: str, path: str, method: str = "GET", body: bytes | None = None) -> bytes:
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request(method, path, body, {"X-Dermedge": "1"})
        return connection.getresponse().read()
    finally:
        connection.close()


def look_on(host: str, stop: Event) -> None:
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request("GET", "/live")
    answer = connection.getresponse()
    while not stop.is_set():
        answer.read1(1 << 20)


def capture(host: str, stop: Event) -> None:
    while not stop.wait(CAPTURE_SECONDS):
        ask(host, "/api/captures", "POST", b'{"patient": "soak"}')


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
