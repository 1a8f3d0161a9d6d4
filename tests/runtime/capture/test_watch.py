"""An unattended loop as systemd and a log see it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from runtime.capture import watch
from runtime.capture.watch import Journal, Notifier, goes_round
from runtime.errors import UsageError
from tests.boundaries.source_tree import ROOT
from tests.runtime.capture.waiting import until
from tests.runtime.scans import bundle_at


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The other end of its socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "200000")
        yield listening


def heard(listening: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(listening.recv(4096).decode())
        except BlockingIOError:
            return found


def loop(
    age: float = 0.0, failed: BaseException | None = None, watched: bool = True
) -> SimpleNamespace:
    camera = SimpleNamespace(is_watched=watched)
    return SimpleNamespace(beat=time.monotonic() - age, failed=failed, camera=camera)


def test_the_watchdog_hears_of_a_loop_that_goes_round(systemd: socket.socket) -> None:
    notifier = Notifier()
    notifier.ready()
    notifier.tick(loop(), "live")  # type: ignore[arg-type]
    notifier.tick(loop(), "live")  # type: ignore[arg-type]
    assert heard(systemd) == ["READY=1", "STATUS=live", "WATCHDOG=1"], "no more than was asked for"


@pytest.mark.parametrize(
    "broken", [loop(age=100.0), loop(failed=RuntimeError()), loop(watched=False)]
)
def test_of_one_that_does_not_it_hears_nothing(
    systemd: socket.socket, broken: SimpleNamespace
) -> None:
    assert not goes_round(broken)  # type: ignore[arg-type]
    Notifier().tick(broken, "live")  # type: ignore[arg-type]
    assert heard(systemd) == ["STATUS=live"]


def test_without_systemd_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Notifier().tick(loop(), "live")  # type: ignore[arg-type]
    monkeypatch.setenv("NOTIFY_SOCKET", "@nobody-listens-there")
    Notifier().ready()


@pytest.mark.slow
def test_the_command_keeps_to_the_protocol(systemd: socket.socket, tmp_path: Path) -> None:
    bundle_at(tmp_path / "bundle")
    words = ["--camera", "synthetic:320x240@30", "--bundle", tmp_path / "bundle", "--headless"]
    words += ["--store", tmp_path / "store", "--log", tmp_path / "log" / "loop.jsonl"]
    process = subprocess.Popen(
        [sys.executable, "-m", "runtime.infer", *map(str, words), "--backend", "openvino"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    said: list[str] = []

    def has(message: str) -> bool:
        said.extend(heard(systemd))
        return message in said

    until(lambda: has("READY=1"), "it is not ready")
    until(lambda: has("STATUS=live"), "it has no picture")
    until(lambda: said.count("WATCHDOG=1") > 3 or has(""), "the watchdog hears nothing")
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.3)
    heard(systemd)
    time.sleep(0.6)
    assert heard(systemd) == [], "a process that stands still says so"
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    until(lambda: has("STOPPING=1"), "it does not say that it stops")
    lines = [
        json.loads(line) for line in (tmp_path / "log" / "loop.jsonl").read_text().splitlines()
    ]
    events = [line["event"] for line in lines]
    assert events[0] == "started"
    assert events[-1] == "ended"
    assert {"live"} <= {line.get("state") for line in lines}


def test_a_journal_is_lines_that_rotate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOG_BYTES", 1000)
    journal = Journal(tmp_path / "logs" / "loop.jsonl")
    for number in range(100):
        journal.note("captured", number=number, why="ä\nb")
    journal.close()
    files = sorted((tmp_path / "logs").iterdir())
    assert len(files) == watch.LOG_FILES + 1
    for file in files:
        assert file.stat().st_size <= 1100
        for line in file.read_text().splitlines():
            assert json.loads(line)["event"] == "captured"
    Journal(None).note("nothing")
    with pytest.raises(UsageError, match="cannot be written"):
        Journal(tmp_path)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "deploy" / "dermedge.service").read_text()
    options = text.partition("dermedge infer ")[2].partition("\nStateDirectory")[0]
    from runtime.infer import command

    known = {name for option in command.params for name in option.opts}
    assert {word for word in options.split() if word.startswith("--")} <= known
    unit = tmp_path / "dermedge.service"
    unit.write_text(text.replace("/opt/dermedge/.venv/bin/dermedge", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
    )
    complaints = [line for line in done.stderr.splitlines() if "dermedge.service" in line]
    assert complaints == []
