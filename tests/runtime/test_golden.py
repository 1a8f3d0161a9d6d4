"""The self-test passes on what it was measured on, and fails for everything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest

from runtime.bundle_files import LoadedBundle, fields_of, load_bundle, seal
from runtime.chain import open_chain
from runtime.errors import BundleError
from runtime.golden import CEILING, FLOOR, measure_golden
from tests.bundle_factory import WEIGHTS, add_golden, bundle_fields, make_bundle, member, picture

BOTH = ("openvino", "onnxruntime")


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> LoadedBundle:
    return add_golden(make_bundle(tmp_path_factory.mktemp("golden") / "b"), BOTH)


def changed(made: LoadedBundle, folder: Path, **fields: Any) -> LoadedBundle:
    """A copy of the bundle with other fields, its golden image included."""
    bundle = make_bundle(folder / "b")
    (bundle.path / "golden").mkdir()
    image = (made.path / "golden" / "dark.png").read_bytes()
    (bundle.path / "golden" / "dark.png").write_bytes(image)
    return seal(bundle.path, fields_of(made) | fields)


@pytest.mark.parametrize("backend", BOTH)
def test_it_passes_where_it_was_measured(golden: LoadedBundle, backend: str) -> None:
    open_chain(load_bundle(golden.path), backend).close()


def test_another_weight_fails_it(golden: LoadedBundle, tmp_path: Path) -> None:
    bundle = changed(golden, tmp_path)
    weights = np.asarray(WEIGHTS["member_a"])
    weights[0, 0] += 0.5
    onnx.save(member(weights), str(bundle.path / "models" / "member_a.onnx"))
    spoilt = seal(bundle.path, fields_of(bundle))
    with pytest.raises(BundleError) as caught:
        open_chain(spoilt, "onnxruntime")
    assert "golden/dark.png" in caught.value.what
    assert "melanoma" in (caught.value.got or "")
    assert "±" in (caught.value.expected or "")
    open_chain(spoilt, "onnxruntime", self_test=False).close()


def expecting(golden: LoadedBundle, **expected: Any) -> list[dict[str, Any]]:
    (case,) = fields_of(golden)["golden"]
    return [case | {"expected": case["expected"] | expected}]


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ({"box": [0, 0, 55, 50]}, "box (45, 37, 55, 50)"),
        ({"box": None}, "box (45, 37, 55, 50)"),
        ({"probabilities": {"wart": 0.5}}, "wart no such class"),
    ],
)
def test_another_box_or_class_fails_it(
    golden: LoadedBundle, tmp_path: Path, expected: dict[str, Any], words: str
) -> None:
    bundle = changed(golden, tmp_path, golden=expecting(golden, **expected))
    with pytest.raises(BundleError) as caught:
        open_chain(bundle, "onnxruntime")
    assert words in (caught.value.got or "")


def test_a_nan_fails_it(golden: LoadedBundle, tmp_path: Path) -> None:
    bundle = changed(golden, tmp_path)
    onnx.save(member(np.full((3, 2), np.nan)), str(bundle.path / "models" / "member_b.onnx"))
    with pytest.raises(BundleError) as caught:
        open_chain(seal(bundle.path, fields_of(bundle)), "onnxruntime")
    assert "member_b" in (caught.value.got or "")


def test_a_precision_without_a_tolerance_is_refused(golden: LoadedBundle, tmp_path: Path) -> None:
    (case,) = fields_of(golden)["golden"]
    bundle = changed(golden, tmp_path, golden=[case | {"tolerance": {"int8": 0.1}}])
    with pytest.raises(BundleError, match="cannot judge"):
        open_chain(bundle, "onnxruntime")


def test_quality_abstention_and_temperature_are_set_aside(
    golden: LoadedBundle, tmp_path: Path
) -> None:
    fields = fields_of(golden)
    decision = fields["decision"] | {"temperature": 3.0, "abstain": {"area_fraction_max": 0.01}}
    limits = {"exposure": {"max": 0.01, "hint": "dark"}}
    bundle = changed(golden, tmp_path, decision=decision, quality=limits)
    with open_chain(bundle, "onnxruntime") as chain:
        assert chain.process(picture()).status == "rejected"


def test_a_golden_image_that_is_no_image_is_refused(golden: LoadedBundle, tmp_path: Path) -> None:
    bundle = changed(golden, tmp_path)
    (bundle.path / "golden" / "dark.png").write_bytes(b"no png")
    with pytest.raises(BundleError, match=r"golden/dark\.png cannot be read"):
        open_chain(seal(bundle.path, fields_of(bundle)), "fake")


def test_tolerances_are_measured_for_every_precision(tmp_path: Path) -> None:
    """The half-precision file is meant for another backend, and is measured here all the same."""
    fields = bundle_fields()
    variants = fields["models"]["member_a"]["variants"]
    half = {"precision": "fp16", "file": "models/half.onnx", "for": ["tensorrt"]}
    variants.insert(0, half)
    (tmp_path / "b" / "models").mkdir(parents=True)
    graph = member(np.asarray(WEIGHTS["member_a"]) * 1.05, half=True)
    onnx.save(graph, str(tmp_path / "b" / "models" / "half.onnx"))
    bundle = add_golden(make_bundle(tmp_path / "b", fields), BOTH)
    (case,) = bundle.spec.golden
    assert case.tolerance["fp32"] == FLOOR["fp32"]
    assert FLOOR["fp16"] <= case.tolerance["fp16"] < CEILING
    assert case.expected.box is not None
    assert case.expected.box_tolerance >= 160 / 32
    assert load_bundle(bundle.path) == bundle


def test_an_image_on_which_precisions_part_is_refused(tmp_path: Path) -> None:
    fields = bundle_fields()
    far = {"precision": "int8", "file": "models/far.onnx", "for": ["tensorrt"]}
    fields["models"]["member_a"]["variants"].append(far)
    (tmp_path / "b" / "models").mkdir(parents=True)
    onnx.save(member(-np.asarray(WEIGHTS["member_a"])), str(tmp_path / "b" / "models" / "far.onnx"))
    with pytest.raises(BundleError, match="differ too much"):
        add_golden(make_bundle(tmp_path / "b", fields), BOTH)


def test_an_image_without_numbers_is_refused(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "b", weights={"member_a": np.full((3, 2), np.nan)})
    path = bundle.path / "golden.png"
    path.write_bytes(cv2.imencode(".png", picture())[1].tobytes())
    with pytest.raises(BundleError, match="not of one kind") as caught:
        measure_golden(bundle, ["golden.png"], ["onnxruntime"])
    assert "member_a" in str(caught.value)
