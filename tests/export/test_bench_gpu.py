"""The comparison with PyTorch on a GPU: on a simulated one, with PyTorch on the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from export.bench_gpu import bundles_of, command
from export.benched import frame_of, networks_of
from export.beside_torch import COMPILED, EAGER, OURS, compare
from tests.runtime.device.simulated_gpu import SimulatedGpu
from tests.runtime.device.simulated_trt import write_plans


def test_three_chains_say_the_same(
    gpu: SimulatedGpu,
    run_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "compile", lambda graph: graph)  # minutes of C++ are not the point
    recipe, parts = networks_of(None, run_folder)
    frame = frame_of(None)
    whole, half = bundles_of(tmp_path, recipe, parts, frame, lambda step: None)
    write_plans(half, precision="fp16")
    found = compare(whole, half, parts, "tensorrt", frame, 2, lambda step: None, device="cpu")
    assert found["mode"] == "graph"
    assert found["why"] == []
    assert list(found["median_ms"]) == [EAGER, COMPILED, OURS]
    for name in (EAGER, COMPILED):
        assert found["largest_difference"][name] < 0.02
        ratio = found["median_ms"][name] / found["median_ms"][OURS]
        assert found["times_as_fast"][name] == pytest.approx(ratio, rel=0.5)


@pytest.mark.parametrize("words", [[], ["--recipe", "demo", "--run", "run"]])
def test_it_asks_for_one_thing_to_measure(words: list[str]) -> None:
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 2
    assert "Name what to measure" in done.output
