"""The demo bundle's own 8-bit files through the gate: as they are, and spoilt on purpose."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import numpy_helper

from calibration.gate import command
from runtime import demo
from runtime.bundle_files import LoadedBundle, fields_of, load_bundle, seal
from runtime.chain import open_chain
from runtime.errors import UsageError
from runtime.gate_state import gate_state
from tests.calibration.gating.spoilt import multiply, spoil
from tests.float_demo import make_float_demo
from train.phantoms import write_phantoms

MODEL = "lesion"
LIMITS = {"sensitivity_loss": 0.2, "auc_loss": 0.05, "flips": 0.1}
"""Wide enough to be believed on so few images. What a probability may change is as it ships."""


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder, count=90, size=256, seed=0)
    return folder


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> LoadedBundle:
    floats = make_float_demo(tmp_path_factory.mktemp("reference") / "B16")
    fields = fields_of(floats)
    fields["gate"]["limits"] |= LIMITS
    return seal(floats.path, fields)


def gate(reference: LoadedBundle, candidate: Path, data: Path) -> Result:
    words = ["--reference", reference.path, "--candidate", candidate, "--data", data]
    return CliRunner().invoke(command, [*map(str, words), "--backend", "openvino"])


@pytest.mark.slow
def test_the_demos_8_bits_pass_and_one_spoilt_backbone_does_not(
    reference: LoadedBundle, phantoms: Path, tmp_path: Path
) -> None:
    whole = Path(shutil.copytree(demo.BUNDLE, tmp_path / "B8"))
    passed = gate(reference, whole, phantoms)
    assert passed.exit_code == 0, passed.output
    bad = spoil(load_bundle(demo.BUNDLE), MODEL, 4.0, tmp_path / "S", activations=False)
    open_chain(load_bundle(bad), "openvino").close()  # its golden images tell nothing any more
    refused = gate(reference, bad, phantoms)
    assert refused.exit_code == 5, refused.output
    card = (bad / "card.md").read_text(encoding="utf-8")
    rows = [line for line in card.splitlines() if f"({MODEL})" in line]
    assert any(row.endswith("| lost |") for row in rows), "whatever its golden images say"
    assert gate_state(load_bundle(bad).spec) == "refused"


def scales(graph: onnx.ModelProto) -> dict[str, float]:
    ends = ("QuantizeLinear", "DequantizeLinear")
    names = {node.input[1] for node in graph.graph.node if node.op_type in ends}
    tensors = [item for item in graph.graph.initializer if item.name in names]
    return {item.name: float(numpy_helper.to_array(item).max()) for item in tensors}


@pytest.mark.parametrize("activations", [True, False])
def test_scales_are_multiplied_and_nothing_else(activations: bool) -> None:
    graph = onnx.load(str(demo.BUNDLE / "models" / f"{MODEL}.int8.onnx"))
    before, nodes = scales(graph), list(graph.graph.node)
    changed = multiply(graph, 4.0, activations)
    after = scales(graph)
    assert after.keys() == before.keys()
    times = {name: after[name] / before[name] for name in before}
    assert set(times.values()) == ({1.0, 4.0} if activations else {4.0})
    assert list(times.values()).count(4.0) == changed
    assert list(graph.graph.node) == nodes


def test_what_cannot_be_spoilt(reference: LoadedBundle, tmp_path: Path) -> None:
    shipped = load_bundle(demo.BUNDLE)
    for bundle, model, out in (
        (shipped, "nobody", tmp_path / "S"),
        (reference, MODEL, tmp_path / "S"),
        (shipped, MODEL, tmp_path),
    ):
        with pytest.raises(UsageError):
            spoil(bundle, model, 4.0, out, activations=False)
