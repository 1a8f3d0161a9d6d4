"""What the reader makes of the times at which frames come."""

from __future__ import annotations

import socket
import subprocess

import numpy as np
import pytest

from runtime.capture.address import parse_address
from runtime.capture.camera_profile import Profile
from runtime.capture.messages import pair
from runtime.capture.reader import Backlog, Job, Stillness
from runtime.capture.reader_process import PROGRAM
from runtime.capture.slots import Slots

MS = 1_000_000


def held(arrivals_ms: list[float]) -> list[bool]:
    backlog = Backlog()
    return [backlog.holds(int(at * MS)) for at in arrivals_ms]


def test_a_steady_camera_loses_nothing() -> None:
    assert not any(held([33.0 * n for n in range(100)]))
    assert not any(held([1000.0 * n for n in range(20)])), "nor does a slow one"
    jitter = [33.0 * n + (n % 3) * 12 for n in range(100)]
    assert not any(held(jitter))


def test_after_a_silence_the_burst_is_old() -> None:
    steady = [33.0 * n for n in range(30)]
    burst = [steady[-1] + 2500 + n for n in range(60)]
    after = [burst[-1] + 33.0 * n for n in range(1, 30)]
    found = held([*steady, *burst, *after])
    assert not any(found[:30])
    assert all(found[30:90]), "two and a half seconds old, though they came just now"
    assert not any(found[90:]), "at its own pace again it is live"


def test_a_camera_that_comes_back_faster_is_not_held_for_ever() -> None:
    slow = [200.0 * n for n in range(20)]
    fast = [slow[-1] + 3000 + 16.0 * n for n in range(600)]
    found = held([*slow, *fast])
    assert found[20]
    assert not any(found[-300:])


def test_stillness() -> None:
    still, frame = Stillness(), np.zeros((40, 40, 3), np.uint8)
    assert still.of(frame, 0) == 0
    assert still.of(frame, 500 * MS) == 500
    assert not still.moves
    frame[0, 0] = 9
    assert still.of(frame, 600 * MS) == 0
    assert still.moves


def test_without_a_loop_no_camera_is_opened() -> None:
    """The loop was killed after it had started the reader: who asks for the end of one that has
    died before is not told of it."""
    ours, theirs = pair()
    with socket.create_server(("127.0.0.1", 0)) as camera, theirs, Slots(2) as slots:
        job = Job(
            address=parse_address(f"http://127.0.0.1:{camera.getsockname()[1]}/"),
            profile=Profile(),
            memory=slots.descriptor,
            slots=2,
            channel=theirs.fileno(),
        )
        ours.close()
        done = subprocess.run(
            PROGRAM,
            input=job.model_dump_json(by_alias=True).encode(),
            pass_fds=(slots.descriptor, theirs.fileno()),
            check=False,
        )
        assert done.returncode == 0
        camera.setblocking(False)
        with pytest.raises(BlockingIOError):
            camera.accept()
