"""Edge's shape from phantoms to results: its members are asked of mirror images too, what joins
them is told of the patient, and one of them says how unlike its training images a picture is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runtime.bundle_files import load_bundle
from runtime.chain import open_chain
from runtime.decode import read_image
from tests.bundle_factory import picture
from tests.export.whole_system import System, make_system
from tests.train.tiny import tiny_recipe
from train.models.unlikeness import FAR
from train.phantom.strange import page
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
    trunk = {"backbone": "mobilenetv2_050", "cut": 3, "options": {"pad_type": "same"}}
    fields["members"]["first"] |= trunk
    fields["unlikeness"], fields["clean_statistics"] = ["first"], True
    fields["mirror_images"] = 2
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


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_who_looks_at_the_frame_says_the_same_of_its_mirror_image(
    system: System, backend: str
) -> None:
    ways = picture(), picture()[:, ::-1].copy(), picture()[::-1].copy()
    with open_chain(system.bundle, backend) as chain:
        one, mirrored, upside_down = (chain.process(frame) for frame in ways)
    assert one.members["first"] == pytest.approx(mirrored.members["first"], abs=1e-4)
    assert one.ood == pytest.approx(mirrored.ood, rel=1e-3)
    assert one.ood != pytest.approx(upside_down.ood, rel=1e-2), "of which nobody is asked"


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_page_of_print_is_less_like_them_than_they_are(system: System, backend: str) -> None:
    lesions = [read_image(file).frame for file in sorted(system.images.glob("*.jpg"))[:6]]
    pages = [page(np.random.default_rng(seed), 64) for seed in range(3)]
    with open_chain(system.bundle, backend) as chain:
        known, strange = (
            [chain.process(frame).ood for frame in frames] for frames in (lesions, pages)
        )
    assert None not in (*known, *strange)
    assert max(known) < min(strange)


def test_in_eight_bits_and_built(system: System, tmp_path: Path) -> None:
    patients = tmp_path / "patients.csv"
    rows = [f"{image.name},60,female" for image in system.images.glob("*.jpg")]
    patients.write_text("\n".join(["source,age,sex", *rows]) + "\n", encoding="utf-8")
    records = system.in_eight_bits(tmp_path, "--metadata", patients)
    assert all(record["metadata"]["age"] == 60 for record in records)
    assert all(0 < record["ood"] < FAR for record in records)
    with open_chain(load_bundle(tmp_path / "bundle8"), "openvino") as chain:
        said = [chain.process(picture(), row) for row in AGES]
    assert len({result.score for result in said}) == 3
