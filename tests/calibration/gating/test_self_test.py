"""Bundles that fail their own golden images: a candidate is refused, a reference judges nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from calibration.gate import command
from runtime.bundle_files import LoadedBundle, fields_of, load_bundle, seal
from runtime.gate_state import gate_state
from tests.calibration.gating.clinic import quantised, trained_on, write_clinic, write_reference


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clinic(tmp_path_factory.mktemp("clinic") / "pictures")


def gate(candidate: LoadedBundle, data: Path, *sides: object) -> Result:
    words = [*sides, "--candidate", candidate.path, "--data", data, "--backend", "openvino"]
    return CliRunner().invoke(command, [str(word) for word in words])


def strict(bundle: LoadedBundle, precision: str = "int8") -> LoadedBundle:
    """The same bundle with golden images that its networks of this precision do not meet."""
    fields = fields_of(bundle)
    for golden in fields["golden"]:
        golden["tolerance"][precision] = 1e-4
    return seal(bundle.path, fields)


def test_a_candidate_is_refused(clinic: Path, tmp_path: Path) -> None:
    reference = write_reference(tmp_path / "B")
    bad = strict(quantised(reference, tmp_path / "bad", 1.02))
    result = gate(bad, clinic, "--reference", reference.path, "--out", tmp_path / "report")
    assert result.exit_code == 5, result.output
    assert "it fails its own self-test" in result.stderr
    spec = load_bundle(bad.path).spec
    assert gate_state(spec) == "refused"
    assert spec.gate.result is not None
    why = str(spec.gate.result.report["why"])
    assert "self-test failed on golden/dark.png with openvino in int8" in why
    assert "± 0.0001" in why
    assert "golden/dark.png" in (bad.path / "card.md").read_text()
    assert "golden/dark.png" in (tmp_path / "report" / "gate.html").read_text()


def test_a_reference_judges_nobody(clinic: Path, tmp_path: Path) -> None:
    reference = write_reference(tmp_path / "B")
    candidate = quantised(reference, tmp_path / "B8")
    torn = strict(quantised(reference, tmp_path / "torn", 1.02))
    result = gate(candidate, clinic, "--reference", torn.path)
    assert (result.exit_code, "The self-test failed on" in result.stderr) == (3, True)
    assert load_bundle(candidate.path).digest == candidate.digest


def test_of_folds_each_twin_is_tested(clinic: Path, tmp_path: Path) -> None:
    """Their float files are the reference, so it is only their 8 bits that may fail."""
    data = {"revision": "?", **trained_on(clinic)}
    candidate = quantised(write_reference(tmp_path / "B", provenance=data), tmp_path / "B8")
    folds = []
    for fold in (0, 1):
        held_out = [f"c{number:03d}" for number in range(fold, 90, 2)]
        own = {**data, "fold": fold, "held_out": held_out}
        whole = write_reference(tmp_path / f"F{fold}", provenance=own)
        folds.append(quantised(whole, tmp_path / f"Q{fold}"))
    bad = strict(folds[0])
    result = gate(candidate, clinic, "--folds", bad.path, folds[1].path)
    assert result.exit_code == 5
    assert f"{bad.digest[:12]}: The self-test failed on golden/dark.png" in result.stderr
    assert folds[1].digest[:12] not in result.stderr
    assert gate_state(load_bundle(candidate.path).spec) == "refused"


def test_golden_images_cannot_be_left_out(clinic: Path, tmp_path: Path) -> None:
    reference = write_reference(tmp_path / "B")
    bare = quantised(reference, tmp_path / "B8")
    bare = seal(bare.path, fields_of(bare) | {"golden": []})
    result = gate(bare, clinic, "--reference", reference.path)
    assert result.exit_code == 5
    assert "it has no golden images" in result.stderr
