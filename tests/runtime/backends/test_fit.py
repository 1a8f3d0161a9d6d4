"""A bundle that describes another graph than it holds is refused before its first frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from runtime.bundle_files import seal
from runtime.chain import open_chain
from runtime.errors import BundleError
from tests.bundle_factory import (
    bundle_fields,
    make_bundle,
    mean_of_members,
    member,
    segmenter,
    write_models,
)

Fields = dict[str, Any]


def first_input(model: str, key: str, value: Any) -> Callable[[Fields], None]:
    def change(fields: Fields) -> None:
        fields["models"][model]["inputs"][0][key] = value

    return change


def three_classes(fields: Fields) -> None:
    fields["classes"] = ["melanoma", "nevus", "keratosis"]


def larger(fields: Fields) -> None:
    fields["models"]["member_a"]["inputs"][0]["preprocess"]["size"] = [33, 32]


def seven_channels(fields: Fields) -> None:
    fields["models"]["member_a"]["inputs"][0]["preprocess"] = {
        "size": [32, 32], "colour": "rgb_hsv_l", "mean": [0.0] * 7, "std": [1.0] * 7,
    }  # fmt: skip


def another_output(fields: Fields) -> None:
    fields["models"]["member_a"]["outputs"].append({"name": "doubt", "role": "ood"})


def one_member(fields: Fields) -> None:
    fields["chain"]["classify"] = ["member_a"]


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (first_input("member_a", "name", "picture"), "other inputs"),
        (larger, "1×3×33×32"),
        (seven_channels, "1×7×32×32"),
        (another_output, "doubt"),
        (three_classes, "1×3"),
        (one_member, "1×1×2"),
    ],
)
def test_refused(
    tmp_path: Path, backend: str, change: Callable[[Fields], None], words: str
) -> None:
    fields = bundle_fields()
    change(fields)
    bundle = make_bundle(tmp_path / "b", fields)
    with pytest.raises(BundleError) as caught:
        open_chain(bundle, backend, self_test=False)
    assert words in str(caught.value)
    assert "models." in str(caught.value)


def test_a_segmenter_that_gives_no_mask_is_refused(tmp_path: Path) -> None:
    fields = bundle_fields()
    fields["models"]["segmenter"]["outputs"] = [{"name": "probabilities", "role": "mask"}]
    write_models(tmp_path / "b")
    graph = member(((1.0, 2.0), (3.0, 4.0), (5.0, 6.0)))
    onnx.save(graph, str(tmp_path / "b" / "models" / "segmenter.onnx"))
    with pytest.raises(BundleError, match="another shape"):
        open_chain(seal(tmp_path / "b", fields), "onnxruntime", self_test=False)


def test_the_factory_makes_what_fits(tmp_path: Path) -> None:
    assert segmenter().graph.output[0].name == "mask"
    assert mean_of_members(2, 2).graph.input[0].name == "members"
    open_chain(make_bundle(tmp_path / "b"), "onnxruntime", self_test=False).close()
