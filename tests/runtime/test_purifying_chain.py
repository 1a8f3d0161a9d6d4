"""Chains that purify: what the members that ask for it then look at, and what stays raw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from onnx import helper

from runtime.bundle_files import LoadedBundle
from runtime.chain import Analysis, open_chain
from runtime.decision import softmax
from runtime.errors import BundleError
from runtime.host_chain import HostChain, models_in_use
from runtime.lesion import cut_view
from runtime.preprocess import resample, to_tensor
from tests.bundle_factory import (
    SIZE,
    WEIGHTS,
    bundle_fields,
    explaining,
    make_bundle,
    make_purifying,
    picture,
    purifying,
    without_segmenter,
)

STAGES = ["segment", "purify", "crop", "classify", "combine", "total"]
METHODS = ["model", "classical"]


def hairy(height: int = 120, width: int = 160) -> np.ndarray:
    frame = picture(height, width)
    for x in range(5, width, 17):
        cv2.line(frame, (x, 0), (x + 8, height), (25, 25, 30), 1, cv2.LINE_AA)
    return frame


def pure_bundle(folder: Path, method: str = "model", **view: Any) -> LoadedBundle:
    fields = purifying(bundle_fields(), method)
    fields["views"]["pure"] = fields["views"]["pure"] | view
    return make_bundle(folder, fields)


def closed(frame: np.ndarray) -> np.ndarray:
    """What the tiny purifier does, in OpenCV."""
    small = resample(frame, SIZE, SIZE)
    filled = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return cv2.resize(filled, (SIZE // 2, SIZE), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
@pytest.mark.parametrize(
    "view",
    [{}, {"area": "frame"}, {"background": "black"}, {"square": False, "margin": 0.4}],
)
def test_a_member_sees_its_part_of_what_the_model_made(
    tmp_path: Path, backend: str, view: dict[str, Any]
) -> None:
    frame = hairy()
    with HostChain(pure_bundle(tmp_path / "b", **view), backend) as chain:
        analysis = chain.analyse(frame)
        spec = chain.bundle.spec
    item = spec.models["member_a"].image_input()
    assert item is not None
    seen = cut_view(closed(frame), spec.views["pure"], analysis.lesion, (120, 160))
    colour = to_tensor(seen, item.preprocess).mean(axis=(2, 3))[0]
    expected = softmax(colour @ np.asarray(WEIGHTS["member_a"]))
    got = list(analysis.result.members["member_a"].values())
    np.testing.assert_allclose(got, expected, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_only_those_who_ask_for_it_see_it(tmp_path: Path, method: str) -> None:
    seen: dict[str, Analysis] = {}
    for name, bundle in (
        ("raw", make_bundle(tmp_path / "raw")),
        ("pure", pure_bundle(tmp_path / "pure", method)),
    ):
        with open_chain(bundle, "onnxruntime") as chain:
            seen[name] = chain.analyse(hairy())
            assert seen[name].result.status == "ok"
    raw, pure = seen["raw"], seen["pure"]
    assert raw.result.members["member_b"] == pure.result.members["member_b"]
    assert raw.result.members["member_a"] != pure.result.members["member_a"]
    assert raw.result.lesion == pure.result.lesion
    assert raw.result.quality == pure.result.quality
    assert list(pure.result.timing_ms) == STAGES
    assert list(raw.result.timing_ms) == [stage for stage in STAGES if stage != "purify"]


@pytest.mark.parametrize("method", METHODS)
def test_hair_makes_less_of_a_difference(tmp_path: Path, method: str) -> None:
    apart = []
    for bundle in (make_bundle(tmp_path / "raw"), pure_bundle(tmp_path / "pure", method)):
        with HostChain(bundle, "onnxruntime") as chain:
            said = [chain.process(frame).members["member_a"] for frame in (hairy(), picture())]
        apart.append(abs(said[0]["melanoma"] - said[1]["melanoma"]))
    assert apart[1] < 0.5 * apart[0]


@pytest.mark.parametrize("method", METHODS)
def test_without_a_segmenter(tmp_path: Path, method: str) -> None:
    fields = without_segmenter(purifying(bundle_fields(), method))
    with HostChain(make_bundle(tmp_path / "b", fields), "onnxruntime") as chain:
        assert "segmenter" not in chain.backend.precision
        assert chain.process(hairy()).status == "ok"


@pytest.mark.parametrize("method", METHODS)
def test_a_heat_map_is_of_what_the_member_saw(tmp_path: Path, method: str) -> None:
    heats = []
    for name, source in (("raw", "frame"), ("pure", "purified")):
        fields = explaining(purifying(bundle_fields(), method))
        fields["views"]["pure"] = {"source": source}
        with open_chain(make_bundle(tmp_path / name, fields), "onnxruntime") as chain:
            lesion = chain.find(hairy())
            _, heat = chain.explain_part("member_a_heatmap", hairy(), lesion)
            heats.append(heat)
    skin = np.s_[:6, :]
    assert heats[1][skin].std() < 0.6 * heats[0][skin].std(), "hair is dark, so it is hot"


def test_a_picture_of_nan_is_this_frames_error(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Div", ["nothing", "nothing"], ["nan"]),
        helper.make_node("Add", ["image", "nan"], ["picture"]),
    ]
    broken = make_purifying(tmp_path / "b", nodes, nothing=np.float32(0))
    with HostChain(broken, "onnxruntime") as chain:
        result = chain.process(hairy())
    assert result.status == "error"
    assert "'purifier' did not give a picture" in (result.reason or "")


def test_a_purifier_that_gives_no_colours_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("ReduceMean", ["image"], ["picture"], axes=[1], keepdims=1)]
    grey = make_purifying(tmp_path / "b", nodes, channels=1)
    with pytest.raises(BundleError, match="'picture' has another shape"):
        HostChain(grey, "onnxruntime")


def test_it_runs_after_the_segmenter_and_before_the_members(tmp_path: Path) -> None:
    spec = pure_bundle(tmp_path / "b").spec
    order = ["segmenter", "purifier", "member_a", "member_b", "ensemble"]
    assert models_in_use(spec) == order
