"""Bhardwaj's system from phantoms to results: the average of features, and a machine on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.export.whole_system import System, make_system
from tests.train.test_recipe import bhardwaj

pytestmark = pytest.mark.slow

# The deepest is in one of the two systems: what a kernel is given are averages either way.
MEMBERS = {"rbf": ("inception", "mobilenet", "deep_cnn"), "linear": ("inception", "deep_cnn")}


@pytest.fixture(scope="module", params=MEMBERS)
def kernel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def system(kernel: str, tmp_path_factory: pytest.TempPathFactory) -> System:
    fields = bhardwaj()
    fields["ensemble"]["kernel"] = kernel
    fields["members"] = {name: fields["members"][name] for name in MEMBERS[kernel]}
    return make_system(tmp_path_factory.mktemp("bhardwaj"), fields)


def test_a_machine_decides_by_features(system: System, kernel: str) -> None:
    spec = system.bundle.spec
    assert spec.chain.segment is None
    assert spec.chain.classify == MEMBERS[kernel]
    assert spec.chain.combine is not None
    assert spec.chain.combine.takes == "features"
    assert "support vector machine" in system.card


def test_its_graph_is_arithmetic_that_every_engine_knows(system: System) -> None:
    for file in (system.bundle.path / "models").glob("*.onnx"):
        model = onnx.load(file)
        assert {entry.domain for entry in model.opset_import} <= {"", "ai.onnx"}
        assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}


def test_in_eight_bits_and_built(system: System, tmp_path: Path) -> None:
    records = system.in_eight_bits(tmp_path)
    said = [record["probabilities"] for record in records]
    assert all(set(each) == {"melanoma", "not_melanoma"} for each in said)
    np.testing.assert_allclose([sum(each.values()) for each in said], 1, atol=1e-4)
    assert len({each["melanoma"] for each in said}) > len(said) // 2
    members = [record["members"]["deep_cnn"]["melanoma"] for record in records]
    assert members != [each["melanoma"] for each in said]
