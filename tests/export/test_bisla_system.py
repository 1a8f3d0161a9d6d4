"""Bisla's system from phantoms to results: seven channels, made pictures, a heat map."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from runtime.chain import open_chain
from runtime.preprocess import to_tensor
from tests.bundle_factory import picture
from tests.export.whole_system import System, make_system
from tests.train.test_bisla import bisla

pytestmark = pytest.mark.slow

CHANNELS = 7


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> System:
    return make_system(tmp_path_factory.mktemp("bisla"), bisla())


def test_the_generators_stay_behind(system: System) -> None:
    """What they made is in the run, to be looked at; a bundle has no use for it."""
    made = system.place / "run" / "synthetic"
    for part in ("0", "1", "final"):
        assert np.load(made / part / "pictures" / "pictures.npy").shape == (5, 32, 32, 3)
        assert list((made / part / "gan-melanoma" / "samples").glob("*.png"))
        with (made / part / "pictures" / "nearest.csv").open(encoding="utf-8") as text:
            assert all(float(row["mse"]) > 0 for row in csv.DictReader(text))
    assert set(system.bundle.spec.models) == {"segmenter", "resnet", "resnet_heatmap"}
    assert "beside the data: 3 of melanoma, 2 of seborrheic_keratosis" in system.card


def test_the_segmenter_takes_seven_channels(system: System) -> None:
    (image,) = system.bundle.spec.models["segmenter"].inputs
    assert image.preprocess.colour == "rgb_hsv_l"
    assert to_tensor(picture(), image.preprocess).shape == (1, CHANNELS, 228, 228)
    assert "U-Net, dilated, width 2" in system.card
    assert "228×228×7" in system.card


def test_a_network_without_se_is_seen_through(system: System) -> None:
    with open_chain(system.bundle, "onnxruntime") as chain:
        analysis = chain.analyse(picture(), {})
        assert sum(analysis.combined.values()) == pytest.approx(1, abs=1e-5)
        heat = chain.explain(picture(), analysis.lesion)
    assert heat.shape == picture().shape[:2]
    assert float(heat.max()) == pytest.approx(1)
    assert float(np.std(heat)) > 0.01, "some places more than others"


def test_in_eight_bits_and_built(system: System, tmp_path: Path) -> None:
    records = system.in_eight_bits(tmp_path, "--explain")
    assert {record["status"] for record in records} <= {"ok", "abstained", "rejected"}
    assert len(list((tmp_path / "out" / "heatmaps").iterdir())) == len(records)
