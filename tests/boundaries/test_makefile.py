"""What `make` would run: a rule that is wrong shows only on a machine without its environment."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.boundaries.source_tree import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A checkout as a newcomer has it: nothing is made yet."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("target", "environment", "extras"),
    [("demo", ".venv", "cpu,web"), ("serve", ".venv", "cpu,web"), ("check", ".venv-dev", "dev")],
)
def test_a_newcomer_gets_the_environment(
    bare: Path, target: str, environment: str, extras: str
) -> None:
    done = subprocess.run(
        ["make", "-n", target], cwd=bare, capture_output=True, text=True, check=True
    )
    (install,) = re.findall(r"(\S+)/bin/python -m pip install .* -e '(.*)'", done.stdout)
    assert install == (environment, f".[{extras}]")
