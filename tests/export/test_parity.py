"""The check of graphs against networks: what it lets pass, and what it does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from export import parity
from runtime.bundle_files import LoadedBundle, seal
from tests.bundle_factory import WEIGHTS, bundle_fields, make_bundle, member, picture

BACKENDS = ["openvino", "onnxruntime"]


@pytest.fixture
def bundle(tmp_path: Path) -> LoadedBundle:
    return make_bundle(tmp_path / "bundle")


def perturbed(bundle: LoadedBundle, by: float) -> LoadedBundle:
    """One weight of member_a is another."""
    weights = np.asarray(WEIGHTS["member_a"], dtype=np.float32)
    weights[0, 0] += by
    onnx.save(member(weights), str(bundle.path / "models" / "member_a.onnx"))
    return seal(bundle.path, bundle_fields())


def compared(bundle: LoadedBundle, by: float) -> list[parity.Finding]:
    cases = parity.make_feeds(bundle, "member_a", [picture()])
    expected = parity.run_in(bundle, "member_a", cases, "onnxruntime")
    # OpenVINO refuses weights that are no numbers before anything can be compared.
    backends = BACKENDS if np.isfinite(by) else ["onnxruntime"]
    return parity.compare(perturbed(bundle, by), "member_a", cases, expected, backends)


def test_the_same_weights_pass_in_every_engine(bundle: LoadedBundle) -> None:
    findings = compared(bundle, by=0.0)
    assert [(f.backend, f.role) for f in findings] == [
        (backend, role) for backend in BACKENDS for role in ("probabilities", "logits")
    ]
    parity.require_passed(findings)


def test_a_changed_weight_is_named_with_figure_and_limit(bundle: LoadedBundle) -> None:
    with pytest.raises(parity.ParityError) as caught:
        parity.require_passed(compared(bundle, by=0.1))
    assert caught.value.exit_code == 1
    assert "'member_a' in fp32" in str(caught.value)
    assert "expected: at most 0.0001" in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_never_passes(bundle: LoadedBundle, value: float) -> None:
    with pytest.raises(parity.ParityError, match="does not say"):
        parity.require_passed(compared(bundle, by=value))


def test_the_table_and_the_card_show_the_output_nearest_to_its_limit() -> None:
    findings = [
        parity.Finding("net", "fp32", "openvino", role, difference, limit)
        for role, difference, limit in (
            ("probabilities", 5e-5, 1e-4), ("logits", 1e-4, 1e-3), ("features", 2e-4, 1e-3)
        )
    ]  # fmt: skip
    assert [f.role for f in parity.nearest_to_limit(findings)] == ["probabilities"]
    assert parity.metrics(findings)["parity.fp32.openvino.net.logits"] == 1e-4
    assert parity.as_table(findings, "PyTorch").row_count == 1


def test_inputs_are_what_the_graphs_take(bundle: LoadedBundle) -> None:
    members = parity.make_feeds(bundle, "ensemble", [picture()])
    assert len(members) == parity.NOISE + 1
    for feeds in members:
        assert feeds["members"].shape == (1, 2, 2)
        np.testing.assert_allclose(feeds["members"].sum(axis=2), 1, rtol=1e-5)
    noise, *_, real = parity.make_feeds(bundle, "segmenter", [picture()])
    assert noise["image"].min() < 0 <= real["image"].min()


def test_the_fake_engine_is_no_witness() -> None:
    assert "fake" not in parity.usable_backends()
