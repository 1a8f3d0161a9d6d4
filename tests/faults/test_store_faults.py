"""`infer --camera` as a process, on disks that fill up and with a database that others hold."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from runtime.store.store import Store
from tests.faults.camera_loop import CameraLoop, check_kept, running
from tests.runtime.scans import bundle_at

SOURCE = "synthetic:96x96@30"
KEPT, STORE_BROKEN = 201, 507
FREE_MB = 200  # what a store leaves free of a disk
HOLD = """
import sqlite3, sys
base = sqlite3.connect(sys.argv[1], isolation_level=None)
base.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[CameraLoop]:
    with running(tmp_path / "store", SOURCE, bundle_at(tmp_path / "bundle")) as loop:
        yield loop
    check_kept(tmp_path / "store", loop.acknowledged)


STOP_SECONDS = 5.0  # that docs/deploy/dermedge.service leaves to a stop


def keeps(loop: CameraLoop, times: int = 1) -> int:
    """The number of the last."""
    for _ in range(times):
        status, answer = loop.capture()
        assert status == KEPT, answer
    return int(answer["number"])


def is_refused(loop: CameraLoop, *said: str) -> None:
    """For that reason; nothing of it is kept, and the loop goes on."""
    before = loop.captures()
    status, answer = loop.capture()
    assert status == STORE_BROKEN, answer
    words = f"{answer['what']} {answer['got']}"
    assert all(each in words for each in said), words
    assert loop.captures() == before
    loop.until_live()


@contextmanager
def files_of_at_most(size: int, loop: CameraLoop) -> Iterator[None]:
    """What a full disk is to a process: nothing can be written beyond."""
    pid = loop.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@pytest.mark.slow
def test_a_picture_that_cannot_be_written(loop: CameraLoop) -> None:
    last = keeps(loop)
    with files_of_at_most(1000, loop):
        for _ in range(2):
            is_refused(loop, "The capture was not kept.", "File too large")
    assert keeps(loop) == last + 1


@pytest.mark.slow
def test_a_record_that_cannot_be_written(loop: CameraLoop, tmp_path: Path) -> None:
    """The picture is on the disk by then: nothing names it."""
    last = keeps(loop, 8)
    written = (tmp_path / "store" / "store.db-wal").stat().st_size
    pictures = (tmp_path / "store" / "pictures").glob("??/*")
    assert max(file.stat().st_size for file in pictures) < written
    with files_of_at_most(written, loop):
        for _ in range(2):
            is_refused(loop, "The capture was not kept.")
    assert keeps(loop) == last + 1


@pytest.mark.slow
def test_a_disk_without_room(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    size = f"size={FREE_MB + 20}m"
    mount = [shutil.which("mount") or "false", "-t", "tmpfs", "-o", size, "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        with running(disk / "store", SOURCE, bundle_at(tmp_path / "bundle")) as loop:
            last = keeps(loop, 2)
            filler = disk / "of somebody else"
            filler.write_bytes(bytes(40_000_000))
            for _ in range(2):
                is_refused(loop, "The disk is full", "and nothing was lost", "MB free")
            filler.unlink()
            assert keeps(loop) == last + 1
        check_kept(disk / "store", [1, last, last + 1])
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture
def holder(loop: CameraLoop, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another program that holds the database."""
    keeps(loop)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "store" / "store.db")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    yield holder
    holder.kill()
    holder.communicate()


@pytest.mark.slow
def test_a_database_that_is_locked_for_a_moment(
    loop: CameraLoop, holder: subprocess.Popen[str]
) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(loop.capture)
        time.sleep(0.5)
        assert not answer.done()
        holder.kill()
        assert answer.result()[0] == KEPT, "it waits"


@pytest.mark.slow
def test_a_database_that_stays_locked(loop: CameraLoop, holder: subprocess.Popen[str]) -> None:
    is_refused(loop, "The capture was not kept.", "locked by another program")
    holder.kill()
    holder.wait()
    keeps(loop)


@pytest.mark.slow
@pytest.mark.parametrize("captures", [0, 3])
def test_a_stop_while_the_database_is_locked(
    loop: CameraLoop, holder: subprocess.Popen[str], tmp_path: Path, captures: int
) -> None:
    """Soon, in order, and whatever still waits for the database is refused."""
    with ThreadPoolExecutor(captures + 1) as pool:
        waiting = []
        for _ in range(captures):
            waiting.append(pool.submit(loop.capture))
            time.sleep(0.6)
        began = time.monotonic()
        assert loop.end() == 0, loop.words
        assert time.monotonic() - began < STOP_SECONDS
        for one in waiting:
            one.exception()
    assert "The session's end was not noted; its captures are kept." in loop.words
    assert "locked by another program" in loop.words
    assert "Traceback" not in loop.words
    holder.kill()
    holder.wait()
    with Store(tmp_path / "store", writable=False) as store:
        (session,) = store.sessions()
        assert (session["ended"], session["captures"]) == (None, 1)
