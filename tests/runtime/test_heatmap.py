"""Heat maps: where each member's lies in the frame, and what a chain makes of them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.chain import open_chain
from runtime.errors import UsageError
from runtime.heatmap import SIDE, as_layer, blended, draw_heatmap, over_frame
from runtime.lesion import Box
from tests.bundle_factory import bundle_fields, explaining, make_bundle, picture


def test_each_map_lies_where_its_view_is() -> None:
    warm, hot = np.full((8, 8), 0.5, np.float32), np.ones((8, 8), np.float32)
    heat = over_frame([(Box(0, 0, 200, 100), warm), (Box(100, 50, 100, 50), hot)], 100, 200)
    assert heat.shape == (100, 200)
    np.testing.assert_allclose(heat[:49, :99], 1 / 3)
    np.testing.assert_allclose(heat[51:, 101:], 1)


def test_a_large_frame_has_a_small_map() -> None:
    heat = over_frame([(Box(0, 0, 6000, 4000), np.eye(16, dtype=np.float32))], 4000, 6000)
    assert heat.shape == (round(SIDE * 2 / 3), SIDE)
    assert heat.max() == 1


@given(
    frame=st.tuples(st.integers(1, 700), st.integers(1, 700)),
    corner=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    extent=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_any_view_of_any_frame(
    frame: tuple[int, int], corner: tuple[float, float], extent: tuple[float, float]
) -> None:
    height, width = frame
    x, y = int(corner[0] * (width - 1)), int(corner[1] * (height - 1))
    box = Box(x, y, 1 + int(extent[0] * (width - x - 1)), 1 + int(extent[1] * (height - y - 1)))
    heat = over_frame([(box, np.random.default_rng(0).random((5, 7), np.float32))], height, width)
    assert np.isfinite(heat).all()
    assert 0 <= heat.min() <= heat.max() <= 1
    assert draw_heatmap(np.zeros((height, width, 3), np.uint8), heat).ndim == 3


def test_cold_is_clear_and_a_few_hot_pixels_leave_the_rest_warm() -> None:
    image = np.full((50, 80, 3), 90, np.uint8)
    assert (blended(image, np.zeros((5, 8), np.float32)) == 90).all()
    assert not as_layer(np.zeros((5, 8), np.float32))[..., 3].any()
    heat = np.full((50, 80), 0.1, np.float32)
    heat[0, :4] = 1
    assert over_frame([(Box(0, 0, 80, 50), heat)], 50, 80)[25, 40] == 1


def test_a_chain_lays_them_over_the_frame(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "b", explaining(bundle_fields()))
    for backend in ("openvino", "onnxruntime"):
        with open_chain(bundle, backend) as chain:
            frame = picture(480, 640)
            analysis = chain.analyse(frame, explain=True)
            assert analysis.heat is not None
            assert analysis.lesion is not None
            box = analysis.lesion.box
            half = cv2.resize(analysis.heat, (640, 480))
            inside = half[box.y : box.y + box.height, box.x : box.x + box.width].mean()
            assert inside > 0.6, "the lesion is dark, so it is hot"
            assert half[:40, :40].max() == 0, "no view reaches there"
            assert chain.analyse(frame).heat is None
            assert not [name for name in chain.backend.precision if "heatmap" in name]


def test_a_bundle_without_says_so(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "b")
    with (
        open_chain(bundle, "openvino") as chain,
        pytest.raises(UsageError, match="makes no heat maps"),
    ):
        chain.explain(picture(), None)
