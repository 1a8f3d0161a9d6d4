"""kill -9 in the middle of a scan, then the same command: every image once, none lost."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from runtime.overlay import overlay_name
from tests.runtime.scans import bundle_at, records_in, write_pictures

IMAGES = 150


def command(tmp_path: Path) -> list[str]:
    words = ["--folder", tmp_path / "in", "--bundle", tmp_path / "bundle", "--backend", "fake"]
    return [sys.executable, "-m", "runtime.infer", *map(str, words), "--out", str(tmp_path / "out")]


def lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def stop_at(tmp_path: Path, count: int, how: signal.Signals) -> int:
    """Start the scan and send it a signal once that many records are there; its exit status."""
    scan = subprocess.Popen(command(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    records = tmp_path / "out" / "results.jsonl"
    while scan.poll() is None and lines_in(records) < count:
        time.sleep(0.002)
    scan.send_signal(how)
    scan.communicate(timeout=60)
    return scan.returncode


def check_complete(tmp_path: Path, names: list[str]) -> None:
    done = subprocess.run(
        command(tmp_path), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    records = records_in(tmp_path / "out")
    assert Counter(record["source"] for record in records) == Counter(names)
    for record in records:
        overlay = tmp_path / "out" / "overlays" / overlay_name(record["source"], record["sha256"])
        assert overlay.read_bytes().endswith(b"\xff\xd9")
    run = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert run["images"] == len(names)
    assert run["finished"]
    assert (tmp_path / "out" / "report.html").stat().st_size > 1000


@pytest.mark.slow
def test_killed_again_and_again(tmp_path: Path, fault_rounds: int) -> None:
    bundle_at(tmp_path / "bundle")
    names = write_pictures(tmp_path / "in", IMAGES)
    points = sorted(random.Random(5).choices(range(IMAGES - 30), k=fault_rounds))
    for point in points:
        assert stop_at(tmp_path, point, signal.SIGKILL) == -signal.SIGKILL
    assert lines_in(tmp_path / "out" / "results.jsonl") < IMAGES
    check_complete(tmp_path, names)


@pytest.mark.slow
def test_ctrl_c(tmp_path: Path) -> None:
    bundle_at(tmp_path / "bundle")
    names = write_pictures(tmp_path / "in", IMAGES)
    assert stop_at(tmp_path, 20, signal.SIGINT) == 130
    assert 20 <= len(records_in(tmp_path / "out")) < IMAGES  # every line whole
    check_complete(tmp_path, names)
