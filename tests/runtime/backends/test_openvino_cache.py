"""Compiled graphs on disk: found by who they are of, and by nobody else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from runtime.backends import openvino_cache, openvino_engine
from runtime.backends.openvino_engine import OpenVinoEngine, compile_to
from runtime.backends.registry import read_graph
from runtime.build import command
from runtime.bundle_files import LoadedBundle
from runtime.errors import BackendError
from runtime.machine import engine_folder
from tests.bundle_factory import make_bundle

MODEL = "member_a"
Frame = dict[str, np.ndarray]


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadedBundle:
    monkeypatch.setenv("DERMEDGE_CACHE", str(tmp_path / "cache"))
    return make_bundle(tmp_path / "B")


@pytest.fixture
def engine_of(bundle: LoadedBundle, monkeypatch: pytest.MonkeyPatch) -> object:
    """What an engine says, and whether it was compiled for that."""
    graph = read_graph("openvino", bundle.path, MODEL, bundle.spec.models[MODEL])
    compile_it, compiled = openvino_engine._compiled, []
    monkeypatch.setattr(
        openvino_engine, "_compiled", lambda *words: compiled.append(1) or compile_it(*words)
    )

    def opened(threads: int | None = None) -> tuple[dict[str, np.ndarray], bool]:
        compiled.clear()
        with OpenVinoEngine(graph, threads) as engine:
            rng = np.random.default_rng(1)
            feeds = {n: rng.random(s, dtype=np.float32) for n, s in engine.inputs.items()}
            return engine.run(feeds), bool(compiled)

    opened.keep = lambda: compile_to(graph, engine_folder())  # type: ignore[attr-defined]
    return opened


def kept() -> Path:
    (file,) = engine_folder().glob("*.openvino")
    return file


def test_it_is_compiled_once_and_says_the_same(engine_of: object) -> None:
    before, compiled = engine_of()
    assert compiled, "nothing is kept unasked"
    assert not engine_folder().exists()
    assert engine_of.keep() == kept().stat().st_size - openvino_cache.HASH
    after, compiled = engine_of()
    assert not compiled
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_with_other_settings_it_is_another(engine_of: object) -> None:
    engine_of.keep()
    assert engine_of(threads=1)[1]


def test_of_another_openvino_it_is_another(
    engine_of: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine_of.keep()
    monkeypatch.setattr("openvino.__version__", "2031.1.0")
    assert engine_of()[1]
    engine_of.keep()
    assert kept(), "and takes its place"


def test_of_another_processor_it_is_another(
    engine_of: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine_of.keep()
    monkeypatch.setattr(openvino_cache, "_abilities", lambda: "fewer")
    assert engine_of()[1]


@pytest.mark.parametrize("content", [b"", b"0" * 64, None])
def test_torn_it_is_compiled_anew(engine_of: object, content: bytes | None) -> None:
    engine_of.keep()
    whole = kept().read_bytes()
    kept().write_bytes(whole[: len(whole) // 2] if content is None else content)
    assert engine_of()[1]


def test_what_openvino_does_not_take_is_compiled_anew(engine_of: object) -> None:
    engine_of.keep()
    foreign = b"not of OpenVINO"
    kept().write_bytes(openvino_cache._digest(foreign) + foreign)
    assert engine_of()[1]


def test_what_others_may_have_written_is_refused(engine_of: object) -> None:
    engine_of.keep()
    engine_folder().chmod(0o777)
    with pytest.raises(BackendError, match="written by somebody else"):
        engine_of()


def test_by_the_command(bundle: LoadedBundle, engine_of: object) -> None:
    words = ["--bundle", str(bundle.path), "--backend", "openvino"]
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 0, done.output
    assert f"{MODEL}: fp32" in done.output
    assert not engine_of()[1]
    assert f"{MODEL}: fp32, from cache" in CliRunner().invoke(command, words).output
    assert "from cache" not in CliRunner().invoke(command, [*words, "--force"]).output
    refused = CliRunner().invoke(command, [*words, "--dla", "0"])
    assert (refused.exit_code, "--dla is for TensorRT" in refused.stderr) == (2, True)
