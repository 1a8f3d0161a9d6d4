"""What the processes that we start have in common: builders of engines, readers of cameras."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

ROOT = Path(__file__).parents[1]
PR_SET_PDEATHSIG = 1


def same_source() -> dict[str, str]:
    """An environment in which the child runs our source, wherever this process was started."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}


def end_with_parent() -> None:
    """Called in the child: it never outlives who started it, nor keeps a device that it holds."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
