"""Systems that purify, from phantoms to results: trained, exported, in 8 bits, built, run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.quantising.record import CalibrationRecord
from export.system import system_fields
from runtime.chain import open_chain
from tests.bundle_factory import picture
from tests.export.whole_system import System, make_system
from tests.train.tiny import SIDE, tiny_recipe
from train.recipe import Recipe

pytestmark = pytest.mark.slow

METHODS = ("model", "classical")
MODEL = {
    "method": "model", "width": 2, "size": [SIDE, 2 * SIDE],
    "training": {"epochs": 1, "late_epochs": 1, "batch": 4},
}  # fmt: skip
STAGES = ["decode", "segment", "purify", "crop", "classify", "combine", "total"]


@pytest.fixture(scope="module", params=METHODS)
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> System:
    """In 16 bits."""
    fields = tiny_recipe()
    fields["views"]["lesion"]["source"] = "purified"
    fields["members"] = {"second": fields["members"]["second"]}
    fields["members"]["second"].pop("training")
    fields["ensemble"] = None
    fields["purifier"] = MODEL if request.param == "model" else {"method": "classical"}
    fields["purify_at"] = "always"
    return make_system(tmp_path_factory.mktemp(request.param), fields, precision="fp16")


def has_network(system: System) -> bool:
    purify = system.bundle.spec.chain.purify
    assert purify is not None
    return purify.model is not None


def test_what_the_bundle_holds(system: System) -> None:
    spec = system.bundle.spec
    seen = spec.models["second"].image_input()
    assert seen is not None
    assert spec.views[seen.view].source == "purified"
    assert ("purifier" in spec.models) == has_network(system)
    assert "hair and rulers are removed" in system.card
    assert ("U-Net of partial convolutions, width 2" in system.card) == has_network(system)
    assert (system.place / "run" / "purified" / "shown" / "sheet.png").is_file()
    if has_network(system):
        assert [v.precision for v in spec.models["purifier"].variants] == ["fp16"]
        (output,) = spec.models["purifier"].outputs
        assert (output.name, output.role) == ("picture", "image")


def test_the_same_on_every_engine(system: System) -> None:
    said = []
    for backend in ("openvino", "onnxruntime"):
        with open_chain(system.bundle, backend) as chain:
            analysis = chain.analyse(picture(200, 300))
            # Whether the frame is fit to be judged is left to a segmenter of one epoch.
            assert analysis.combined is not None, analysis.result.reason
            said.append(analysis.combined)
    assert said[0] == pytest.approx(said[1], abs=1e-2)


def test_in_eight_bits_and_built_and_run(system: System, tmp_path: Path) -> None:
    records = system.in_eight_bits(tmp_path)
    text = (tmp_path / "bundle8" / "calibration.json").read_text(encoding="utf-8")
    record = CalibrationRecord.model_validate_json(text)
    if has_network(system):
        assert not record.models["purifier"].quantised
    assert np.isfinite([record["score"] for record in records]).all()
    assert list(records[0]["timing_ms"]) == STAGES


def test_a_purifier_of_training_alone_stays_behind() -> None:
    fields = tiny_recipe() | {"purifier": MODEL, "purify_at": "training"}
    bundle = system_fields(Recipe.model_validate(fields))
    assert bundle["chain"]["purify"] is None
    assert "purifier" not in bundle["models"]
