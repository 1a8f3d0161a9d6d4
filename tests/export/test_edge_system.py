"""Edge's shape from phantoms to results: what joins its members is told of the patient."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.bundle_files import load_bundle
from runtime.chain import open_chain
from tests.bundle_factory import picture
from tests.export.whole_system import System, make_system
from tests.train.tiny import tiny_recipe
from train.recipe_files import load_recipe

pytestmark = pytest.mark.slow

AGES = ({"age": 20}, {"age": 80}, {})


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> System:
    shipped = load_recipe("edge")
    assert shipped.metadata is not None
    fields = tiny_recipe()
    fields["metadata"] = shipped.metadata.model_dump()
    fields["ensemble"] = {"kind": "logistic"}
    fields["training"] |= {"ema": 0.9, "augmentation": {"flip": True, "occlude": 0.3}}
    return make_system(tmp_path_factory.mktemp("edge"), fields)


def test_the_last_step_alone_is_told(system: System) -> None:
    spec = system.bundle.spec
    kinds = {name: [item.kind for item in model.inputs] for name, model in spec.models.items()}
    assert kinds["ensemble"] == ["members", "metadata"]
    assert kinds["first"] == kinds["second"] == ["image"]
    assert "logistic regression, metadata" in system.card


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_what_is_known_counts_behind_the_members(system: System, backend: str) -> None:
    with open_chain(system.bundle, backend) as chain:
        said = [chain.process(picture(), row) for row in AGES]
    assert len({result.score for result in said}) == 3
    assert said[0].members == said[1].members == said[2].members
    assert all(sum(result.probabilities.values()) == pytest.approx(1, abs=1e-4) for result in said)


def test_in_eight_bits_and_built(system: System, tmp_path: Path) -> None:
    patients = tmp_path / "patients.csv"
    rows = [f"{image.name},60,female" for image in system.images.glob("*.jpg")]
    patients.write_text("\n".join(["source,age,sex", *rows]) + "\n", encoding="utf-8")
    records = system.in_eight_bits(tmp_path, "--metadata", patients)
    assert all(record["metadata"]["age"] == 60 for record in records)
    with open_chain(load_bundle(tmp_path / "bundle8"), "openvino") as chain:
        said = [chain.process(picture(), row) for row in AGES]
    assert len({result.score for result in said}) == 3
