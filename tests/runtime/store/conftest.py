"""What the tests of the store share."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_bytes(base64.b64encode(os.urandom(32)) + b"\n")
    return file
