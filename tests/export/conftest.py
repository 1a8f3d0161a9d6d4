"""One run and its bundles, made once and only read."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from export.make_bundle import command
from runtime.bundle_files import LoadedBundle, load_bundle
from tests.export.runs import write_run


def export(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in arguments])


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def exported(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadedBundle:
    """The final networks in fp32."""
    out = tmp_path_factory.mktemp("fp32") / "bundle"
    done = export("--run", run_folder, "--out", out)
    assert done.exit_code == 0, done.output
    return load_bundle(out)


@pytest.fixture(scope="session")
def exported_half(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadedBundle:
    """The networks of fold 1 in fp16."""
    out = tmp_path_factory.mktemp("fp16") / "bundle"
    done = export("--run", run_folder, "--out", out, "--fold", 1, "--precision", "fp16")
    assert done.exit_code == 0, done.output
    return load_bundle(out)
