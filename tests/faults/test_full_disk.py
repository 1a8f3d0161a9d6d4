"""A disk that fills up, for real where a small file system can be had: a message, and no loss."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.scans import bundle_at, infer, records_in, write_pictures


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB, which only root can make."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)]
    made = mount and subprocess.run([mount, *options], capture_output=True, check=False)
    if not made or made.returncode:
        pytest.skip("needs the right to mount a small file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_fills_up(tmp_path: Path, small_disk: Path) -> None:
    bundle = bundle_at(tmp_path / "bundle")
    names = write_pictures(tmp_path / "in", 40)
    words = ("--folder", tmp_path / "in", "--bundle", bundle, "--out", small_disk / "out")
    full = infer(*words)
    assert full.exit_code == 2, full.output
    assert "No space left on device" in full.stderr
    assert "--out" in full.stderr
    assert "Traceback" not in full.output
    kept = records_in(small_disk / "out")
    assert 0 < len(kept) < len(names)
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    done = infer(*words)
    assert done.exit_code == 0, done.output
    records = records_in(small_disk / "out")
    assert Counter(record["source"] for record in records) == Counter(names)
    assert records[: len(kept)] == kept
