"""Which code made a bundle: git's description of it where there is one, else the version."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def code_revision(root: Path = ROOT) -> str:
    number = version("dermedge")
    described = _git(root, "describe", "--always", "--tags", "--dirty")
    # Installed into somebody else's repository, git would describe that one.
    is_ours = _git(root, "rev-parse", "--show-toplevel") == str(root)
    return f"{number} ({described})" if described and is_ours else number


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
