"""From the bytes of an image to a score, against numbers written down here, on every engine.

The numbers were computed once and are not recomputed: whatever changes them (decoding, resampling,
masks, crops, an engine) has to be looked at. The negative control makes sure that they can differ.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.chain import Analysis, open_chain
from tests.bundle_factory import WEIGHTS, make_bundle

IMAGE = Path(__file__).parent / "lesion.png"
ENGINES = ["openvino", "onnxruntime"]
EXPECTED = {"member_a": 0.019336, "member_b": 0.324819, "score": 0.172078}  # P(melanoma)
BOX = (67, 56, 83, 68)


def analysed(folder: Path, engine: str, weights: dict[str, object] | None = None) -> Analysis:
    frame = cv2.imdecode(np.frombuffer(IMAGE.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    with open_chain(make_bundle(folder / "bundle", weights=weights), engine) as chain:
        return chain.analyse(frame)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_image_has_the_scores_it_always_had(tmp_path: Path, engine: str) -> None:
    result = analysed(tmp_path, engine).result
    assert result.lesion is not None
    assert result.lesion.box == BOX
    scores = {name: said["melanoma"] for name, said in result.members.items()}
    assert scores | {"score": result.score} == pytest.approx(EXPECTED, abs=2e-4)


@pytest.mark.parametrize("engine", ENGINES)
def test_another_weight_gives_another_score(tmp_path: Path, engine: str) -> None:
    changed = np.asarray(WEIGHTS["member_a"])
    changed[2, 1] += 0.3
    result = analysed(tmp_path, engine, {"member_a": changed}).result
    assert abs(result.members["member_a"]["melanoma"] - EXPECTED["member_a"]) > 1e-3
    assert result.members["member_b"]["melanoma"] == pytest.approx(EXPECTED["member_b"], abs=2e-4)
    assert result.score != pytest.approx(EXPECTED["score"], abs=2e-4)
