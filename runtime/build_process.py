"""Starts one worker for one engine, and turns what it says, or its death, into a result."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

from runtime import errors
from runtime.child_process import same_source
from runtime.errors import BackendError, DermedgeError

if TYPE_CHECKING:
    from runtime.backends.engine_key import PlanRecord
    from runtime.build_worker import Job

PROGRAM = [sys.executable, "-m", "runtime.build_worker"]
TAIL = 3  # lines of a crashed worker's last words
Progress = Callable[[str, float | None], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    record: PlanRecord
    why: str | None  # it was built; None: it was in the cache


def build_engine(job: Job, progress: Progress = lambda phase, share: None) -> Outcome:
    """Have one engine built, or found. Raises what the worker raised."""
    with TemporaryFile("w+", encoding="utf-8", errors="replace") as words:
        worker = subprocess.Popen(
            PROGRAM,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            text=True,
            encoding="utf-8",
            env=same_source(),
        )
        try:
            outcome = _listen(worker, job, progress)
            status = worker.wait()
        finally:
            worker.kill()
            worker.wait()
        if outcome is None:
            raise _died(job, status, words)
        return outcome


def _listen(worker: subprocess.Popen[str], job: Job, progress: Progress) -> Outcome | None:
    from runtime.backends.engine_key import PlanRecord

    if worker.stdin is None or worker.stdout is None:
        raise AssertionError("both were asked for")
    # One that dies before it has read its job is spoken of as any that dies.
    with suppress(BrokenPipeError), worker.stdin as stdin:
        stdin.write(job.model_dump_json())
    with worker.stdout as stdout:
        for line in stdout:
            message: dict[str, Any] = json.loads(line)
            if "error" in message:
                raise _raised(message["error"])
            if "done" in message:
                return Outcome(PlanRecord.model_validate(message["done"]), message["why"])
            if "waiting" in message:
                progress("another build is at work; waiting for it", None)
            else:
                progress(str(message["phase"]), float(message["share"]))
    return None


def _raised(facts: Mapping[str, Any]) -> DermedgeError:
    kind = getattr(errors, str(facts["kind"]), BackendError)
    error: DermedgeError = kind(
        facts["what"], got=facts["got"], expected=facts["expected"], remedy=facts["remedy"]
    )
    return error


def _died(job: Job, status: int, words: IO[str]) -> BackendError:
    """It ended without a word of its own: killed by the system, or by its own library."""
    words.seek(0)
    last = [line.strip() for line in words.read().splitlines() if line.strip()][-TAIL:]
    killed = status == -signal.SIGKILL
    how = f"signal {-status}" if status < 0 else f"status {status}"
    return BackendError(
        f"The builder of '{job.model}' ended before it was done.",
        got=f"{how}" + (f": {' / '.join(last)}" if last else ""),
        expected="an engine, or a reason why not",
        remedy="--workspace 512: it was probably the system, being out of memory"
        if killed
        else "--workspace 512 where memory may be short; dermedge doctor checks the installation",
    )
