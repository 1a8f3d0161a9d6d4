"""ZooME from phantoms to results: trained, exported, in 8 bits, built, run, told of the patient."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from runtime.chain import open_chain
from tests.bundle_factory import picture
from tests.export.whole_system import System, make_system
from tests.train.test_recipe import zoome

pytestmark = pytest.mark.slow

SEX = {"kind": "category", "name": "sex", "categories": ["female", "male"]}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> System:
    fields = zoome()
    fields["metadata"]["fields"].append(SEX)
    fields["training"] |= {"focal": {}, "augmentation": {"crop": 0.2, "rotate": 30, "mirror": True}}
    return make_system(tmp_path_factory.mktemp("zoome"), fields)


def test_it_is_one_network_and_no_more(system: System) -> None:
    spec = system.bundle.spec
    assert list(spec.models) == ["zoome"]
    assert (spec.chain.segment, spec.chain.combine, spec.chain.explain) == (None, None, None)
    assert [item.kind for item in spec.models["zoome"].inputs] == ["image", "metadata"]
    assert [field.name for field in spec.chain.metadata.fields] == ["age", "sex"]
    assert "Zoom-SE, metadata" in system.card
    with (system.place / "run" / "oof.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["label"] for row in rows} == {"melanoma", "benign"}
    assert all(row["p.melanoma"] == row["members.zoome.melanoma"] for row in rows)


def test_what_is_known_of_the_patient_counts(system: System) -> None:
    """Unknown is a value of its own, and no value that the bundle was not told of is taken."""
    with open_chain(system.bundle, "onnxruntime") as chain:
        scores = {
            name: chain.process(picture(), row).score
            for name, row in {
                "young": {"age": 20, "sex": "female"},
                "old": {"age": 80, "sex": "female"},
                "unknown": {},
            }.items()
        }
        assert len(set(scores.values())) == 3
        refused = chain.process(picture(), {"sex": "other"})
    assert refused.status == "error"
    assert "female, male" in (refused.reason or "")


def test_in_eight_bits_and_built(system: System, tmp_path: Path) -> None:
    patients = tmp_path / "patients.csv"
    with patients.open("w", encoding="utf-8") as file:
        file.write("source,age,sex\n")
        file.writelines(f"{image.name},{60},female\n" for image in system.images.glob("*.jpg"))
    records = system.in_eight_bits(tmp_path, "--metadata", patients)
    assert all(record["metadata"]["age"] == 60 for record in records)
    assert np.isfinite([record["score"] for record in records]).all()
