"""A tiny real bundle for the tests of the runtime: made once, copied for each test that asks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.bundle_files import LoadedBundle, load_bundle
from runtime.chain import Chain, open_chain
from tests.bundle_factory import make_bundle


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> LoadedBundle:
    """Read it, and leave it as it is: other tests read it too."""
    return make_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def bundle_folder(sealed: LoadedBundle, tmp_path: Path) -> Path:
    """A copy of the tiny bundle to break."""
    return Path(shutil.copytree(sealed.path, tmp_path / "tiny"))


@pytest.fixture(scope="session")
def chain(sealed: LoadedBundle) -> Iterator[Chain]:
    with open_chain(load_bundle(sealed.path), "onnxruntime", threads=1) as chain:
        yield chain
