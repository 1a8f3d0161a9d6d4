"""What all tests share: the order they run in, and how hypothesis searches."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# A deadline is a wall-clock assertion, which fails on a busy machine and says nothing by it.
settings.register_profile("house", deadline=None, print_blob=True)
# In CI the examples are the same each time: what fails there is the change, not the draw.
settings.register_profile("repeated", settings.get_profile("house"), derandomize=True)
settings.load_profile("repeated" if os.environ.get("CI") else "house")


# Where tests run in the background Ctrl-C is ignored, by every process they start as well; those
# that are to be stopped by it have to hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests first, so that most mistakes show in the first minute."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images, which no repository holds; tests without it are skipped."""
    folder = os.environ.get("DERMEDGE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real images: set DERMEDGE_DATA to the folder that holds them")
    return Path(folder)


@pytest.fixture(scope="session")
def fault_rounds() -> int:
    """How often tests/faults breaks what it breaks: a few times, or many in `make faults`."""
    return int(os.environ.get("DERMEDGE_FAULT_ROUNDS", "10"))
