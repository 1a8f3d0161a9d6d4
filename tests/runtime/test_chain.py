"""What every chain does alike, tried on the host: statuses, records, refusals at the start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.bundle_files import LoadedBundle, load_bundle
from runtime.chain import Analysis, Chain, open_chain
from runtime.decision import temper
from runtime.errors import BundleError, InputError
from runtime.record import Result
from tests.bundle_factory import CLASSES, WEIGHTS, bundle_fields, make_bundle, picture

STAGES = ["segment", "crop", "classify", "combine", "total"]


def analysed(folder: Path, fields: dict[str, Any], frame: np.ndarray | None = None) -> Analysis:
    with open_chain(make_bundle(folder / "b", fields), "onnxruntime") as chain:
        return chain.analyse(picture() if frame is None else frame)


def test_a_frame_with_a_lesion_gets_a_full_record(chain: Chain, sealed: LoadedBundle) -> None:
    analysis = chain.analyse(picture(), {"age": 40})
    result = analysis.result
    assert (result.status, result.reason) == ("ok", None)
    assert result.probabilities.keys() == set(CLASSES)
    assert sum(result.probabilities.values()) == pytest.approx(1)
    assert result.score == result.probabilities["melanoma"]
    assert result.threshold == 0.5
    assert result.refer is (result.score >= 0.5)
    assert list(result.members) == list(WEIGHTS)
    said = [member["melanoma"] for member in result.members.values()]
    assert result.score == pytest.approx(np.mean(said), abs=1e-6)
    assert result.disagreement == pytest.approx(np.std(said))
    assert result.metadata == {"age": 40}
    assert list(result.timing_ms) == STAGES
    assert result.timing_ms["total"] >= sum(result.timing_ms[stage] for stage in STAGES[:-1])
    assert result.bundle is not None
    assert result.bundle.digest == sealed.digest
    assert result.backend is not None
    assert (result.backend.name, result.backend.mode) == ("onnxruntime", "host")
    assert set(result.backend.precision.values()) == {"fp32"}
    assert (result.time, result.source, result.sha256) == ("", "", "")


def test_the_lesion_is_where_it_was_drawn(chain: Chain) -> None:
    analysis = chain.analyse(picture(240, 320))
    assert analysis.result.lesion is not None
    assert analysis.lesion is not None
    x, y, width, height = analysis.result.lesion.box
    assert x < 144 - 40
    assert x + width > 144 + 40
    assert y < 120 < y + height
    assert width < 160
    assert analysis.lesion.mask.shape == (32, 32)
    assert analysis.result.lesion.area_fraction == pytest.approx(analysis.lesion.mask.mean())


def test_a_record_can_be_written(chain: Chain) -> None:
    line = chain.process(picture()).to_json()
    assert Result.model_validate_json(line).status == "ok"
    assert json.loads(line)["schema"] == 1


def test_without_a_lesion_the_score_is_shown_and_not_acted_on(chain: Chain) -> None:
    analysis = chain.analyse(picture(lesion=False))
    assert analysis.result.status == "abstained"
    assert "no lesion" in (analysis.result.reason or "")
    assert analysis.result.refer is None
    assert analysis.result.lesion is None
    assert analysis.lesion is None
    assert analysis.result.score is not None
    assert analysis.result.quality["focus"] >= 0


def test_outside_a_quality_limit_the_frame_is_rejected_with_the_hint(tmp_path: Path) -> None:
    limits = {"exposure": {"max": 0.1, "hint": "too bright"}}
    result = analysed(tmp_path, bundle_fields() | {"quality": limits}).result
    assert (result.status, result.reason, result.refer) == ("rejected", "too bright", None)
    assert result.score is not None


def test_temperature_is_in_the_score_and_not_in_members(tmp_path: Path) -> None:
    fields = bundle_fields()
    fields["decision"]["temperature"] = 2.5
    analysis = analysed(tmp_path, fields)
    assert analysis.combined is not None
    combined = list(analysis.combined.values())
    np.testing.assert_allclose(
        list(analysis.result.probabilities.values()), temper(combined, 2.5), atol=1e-9
    )
    members = [list(said.values()) for said in analysis.result.members.values()]
    np.testing.assert_allclose(np.mean(members, axis=0), combined, atol=1e-6)


def test_without_a_threshold_nothing_is_referred_and_the_status_is_ok(tmp_path: Path) -> None:
    fields = bundle_fields()
    fields["decision"] |= {"threshold": None, "operating_point": None}
    result = analysed(tmp_path, fields).result
    assert (result.status, result.refer, result.threshold) == ("ok", None, None)


def test_nan_weights_are_refused_where_the_engine_would_swallow_them(tmp_path: Path) -> None:
    broken = {"member_b": np.array([[1, 2], [3, np.nan], [5, 6]])}
    with pytest.raises(BundleError, match="weights that are no numbers") as caught:
        open_chain(make_bundle(tmp_path / "b", weights=broken), "openvino")
    assert "member_b" in caught.value.what


def test_a_member_that_says_nan_is_an_error_and_is_named(tmp_path: Path) -> None:
    broken = {"member_b": np.full((3, 2), np.nan)}
    with open_chain(make_bundle(tmp_path / "b", weights=broken), "onnxruntime") as chain:
        analysis = chain.analyse(picture())
    result = analysis.result
    assert result.status == "error"
    assert "'member_b'" in (result.reason or "")
    assert result.probabilities == result.members == {}
    assert result.score is result.refer is analysis.combined is None
    assert result.lesion is not None  # what was found before is kept
    assert list(result.timing_ms) == STAGES
    result.to_json()


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((8, 8), "uint8"), ((8, 8, 4), "uint8"), ((8, 8, 3), "float32"), ((0, 8, 3), "uint8")],
)
def test_what_is_no_colour_picture_is_refused(chain: Chain, shape: tuple, kind: str) -> None:
    with pytest.raises(InputError, match="not a colour picture"):
        chain.analyse(np.zeros(shape, dtype=kind))


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (2, 3), (31, 33), (700, 40)])
def test_any_size_of_frame_has_a_result(chain: Chain, shape: tuple[int, int]) -> None:
    for level in (0, 90, 255):
        result = chain.process(np.full((*shape, 3), level, dtype=np.uint8))
        assert result.status in ("ok", "abstained")
        result.to_json()


def test_a_limit_on_an_unknown_measure_is_refused(tmp_path: Path) -> None:
    limits = {"sharpness": {"min": 0.1, "hint": "hold still"}}
    with pytest.raises(BundleError, match="does not take") as caught:
        analysed(tmp_path, bundle_fields() | {"quality": limits})
    assert "focus" in str(caught.value)


def test_the_fake_backend_runs_the_same_bundle(sealed: LoadedBundle) -> None:
    with open_chain(load_bundle(sealed.path), "fake") as chain:
        first, other = chain.process(picture()), chain.process(picture(colour=(90, 90, 90)))
        assert first.status == "ok"
        assert first.backend is not None
        assert first.backend.name == "fake"
        assert first.probabilities == chain.process(picture()).probabilities
        assert first.probabilities != other.probabilities
