"""Goel's system from phantoms to results: cut out on black, judged, and shown where it looked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file

from calibration.tones import command as tones
from runtime.chain import open_chain
from runtime.decode import read_image
from runtime.infer import command as infer
from tests.export.whole_system import System, make_run, make_system, run
from tests.train.tiny import SIDE, tiny_recipe, write_data

pytestmark = pytest.mark.slow

DENSE = {"growth_rate": 16, "block_config": [1, 1, 1, 1]}


def goel(**changes: Any) -> dict[str, Any]:
    """The shipped recipe in a size that trains in seconds; `changes` are of the classifier."""
    fields = tiny_recipe()
    training = {"epochs": 2, "batch": 4, "rate": 1e-3, "stop_fraction": 0.25}
    network = {
        "kind": "encoder_unet",
        "backbone": "densenet121",
        "decoder": [32, 32, 32, 32, 16],
        "options": DENSE,
    }
    classifier = {
        "backbone": "densenet121",
        "options": DENSE,
        "view": "shown",
        "size": [SIDE, SIDE],
        "se_width": None,
        "features": None,
        "heatmap": "activations",
    }
    return fields | {
        "classes": ["melanoma", "benign"],
        "segmenter": {
            "network": network,
            "size": [SIDE, 2 * SIDE],
            "loss": "dice",
            "training": training | {"choose": "loss"},
        },
        "views": {"shown": {"area": "lesion", "background": "black"}},
        "training": training
        | {
            "sampling": "balanced",
            "choose": "balanced_accuracy",
            "class_weights": {"melanoma": 2},
            "weight_decay": 1e-3,
            "augmentation": {"rotate": 90, "shear": 20, "zoom": 0.2, "flip": True},
        },
        "members": {"classifier": classifier | changes},
        "ensemble": None,
    }


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> System:
    return make_system(tmp_path_factory.mktemp("goel"), goel())


def test_it_is_a_segmenter_and_one_classifier(system: System) -> None:
    spec = system.bundle.spec
    assert list(spec.models) == ["segmenter", "classifier", "classifier_heatmap"]
    assert spec.chain.combine is None
    assert spec.views["shown"].background == "black"
    assert spec.models["segmenter"].inputs[0].preprocess.size == (SIDE, 2 * SIDE)
    assert "the last layer's activations" in system.card
    assert "black around" in system.card
    graph = onnx.load(system.bundle.path / "models" / "segmenter.onnx").graph
    (said,) = graph.output
    sides = [each.dim_value for each in said.type.tensor_type.shape.dim[2:]]
    assert sides == [SIDE, 2 * SIDE], "a mask as large as the picture"


def test_where_it_looked(system: System, tmp_path: Path) -> None:
    words = ["--folder", system.images, "--backend", "onnxruntime", "--out", tmp_path / "out"]
    run(infer, "--bundle", system.bundle.path, *words, "--explain")
    images = sorted(system.images.glob("*.jpg"))
    maps = sorted((tmp_path / "out" / "heatmaps").iterdir())
    assert len(maps) == len(images)
    assert len({file.read_bytes() for file in maps}) == len(maps)
    frame = read_image(images[0]).frame
    with open_chain(system.bundle, "onnxruntime") as chain:
        heat = chain.explain(frame, chain.find(frame))
    assert heat.max() == pytest.approx(1, abs=1e-3)
    assert heat.min() >= 0


def test_in_eight_bits_and_built(system: System, tmp_path: Path) -> None:
    records = system.in_eight_bits(tmp_path)
    scores = [record["score"] for record in records]
    assert np.isfinite(scores).all()
    assert len(set(scores)) > len(scores) // 2
    assert all(set(record["probabilities"]) == {"melanoma", "benign"} for record in records)


def test_original_pictures_and_a_frozen_backbone(tmp_path: Path) -> None:
    """Row 6 on the original images of row 1: all but the last block is as the file has it."""
    import timm

    torch.manual_seed(0)
    whole = timm.create_model("densenet121", **DENSE)
    for name, tensor in whole.named_buffers():  # or they would be taken for lost, and measured anew
        if name.endswith("running_mean"):
            tensor.normal_(0, 0.1)
    save_file({k: v.contiguous() for k, v in whole.state_dict().items()}, tmp_path / "w")
    fields = goel(frozen="all_but_last_block", features=12) | {
        "segmenter": None,
        "views": {"shown": {"area": "middle"}},
    }
    bundle = make_system(tmp_path, fields, "--weights", tmp_path / "w").bundle
    file, trained = (load_file(f) for f in (
        tmp_path / "w", tmp_path / "run" / "members" / "classifier" / "0" / "weights.safetensors",
    ))  # fmt: skip
    changed = {
        name.split(".")[2]
        for name, tensor in trained.items()
        if name.startswith("trunk.") and not torch.equal(tensor, file[name.removeprefix("trunk.")])
    }
    assert changed == {"denseblock4", "norm5"}
    assert trained["neck.weight"].shape[0] == 12
    assert bundle.spec.chain.segment is None
    assert bundle.spec.views["shown"].area == "middle"
    frame = np.zeros((60, 160, 3), np.uint8)
    frame[:, 20:140] = np.random.default_rng(0).integers(0, 256, (60, 120, 3), dtype=np.uint8)
    with open_chain(bundle, "onnxruntime") as chain:
        one = chain.process(frame).score
        frame[:, :20] = 255
        assert chain.process(frame).score == one, "the sides are cut away"
        frame[:, 20:40] = 255
        assert chain.process(frame).score != one


def test_a_toned_set_is_trained_on(tmp_path: Path) -> None:
    """Section 7: lesions on eighteen tones are a data set like any other."""
    run(tones, "--data", write_data(tmp_path / "bare"), "--out", tmp_path / "data")
    fields = goel() | {"segmenter": None, "views": {"shown": {"area": "frame"}}}
    assert "Next: dermedge export" in make_run(tmp_path, fields)
