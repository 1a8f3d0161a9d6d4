"""A small data set of phantoms, drawn once and only read."""

from __future__ import annotations

import pytest

from tests.train.tiny import write_data
from train.data.open_dataset import open_dataset
from train.data.table import Table


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return open_dataset(write_data(tmp_path_factory.mktemp("data") / "set"))
