"""`operate` writes a temperature and a threshold into a bundle, and the bundle then decides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from calibration.operating_point import command
from runtime.bundle_files import LoadedBundle, load_bundle
from runtime.chain import open_chain
from tests.bundle_factory import add_golden, bundle_fields, make_bundle, picture
from tests.calibration.oof import rows, write

DARK, PALE = (35, 45, 70), (150, 60, 60)


def undecided() -> dict[str, Any]:
    fields = bundle_fields()
    fields["decision"] = {"score": "melanoma"}
    return fields


@pytest.fixture
def bundle(tmp_path: Path) -> LoadedBundle:
    return add_golden(make_bundle(tmp_path / "B", undecided()))


@pytest.fixture
def oof(tmp_path: Path) -> Path:
    return write(tmp_path / "oof.csv", rows())


def operate(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def decisions(bundle: LoadedBundle) -> list[tuple[float | None, bool | None]]:
    with open_chain(bundle, "openvino") as chain:
        results = [chain.process(picture(colour=colour), {}) for colour in (DARK, PALE)]
    return [(result.score, result.refer) for result in results]


def test_a_bundle_decides_once_it_has_a_threshold(bundle: LoadedBundle, oof: Path) -> None:
    assert [refer for _, refer in decisions(bundle)] == [None, None]
    result = operate("--bundle", bundle.path, "--predictions", oof, "--sensitivity", 0.9)
    assert result.exit_code == 0, result.output
    after = load_bundle(bundle.path)
    decision, point = after.spec.decision, after.spec.decision.operating_point
    assert after.digest != bundle.digest
    assert decision.threshold is not None
    assert decision.threshold_interval is not None
    assert decision.threshold_interval.low <= decision.threshold <= decision.threshold_interval.high
    assert point is not None
    assert (point.positives, point.negatives, point.target_sensitivity) == (40, 80, 0.9)
    assert point.predictions == "out of fold, 2 folds, 120 images"
    for score, refer in decisions(after):  # the golden images, run first, still hold
        assert score is not None
        assert refer is (score >= decision.threshold)
    for text in ("temperature", f"{decision.threshold:.4f}", f"{point.sensitivity:.3f}"):
        assert text in result.output
    unchanged = bundle.spec.model_dump(exclude={"decision"})
    assert after.spec.model_dump(exclude={"decision"}) == unchanged


def test_both_decisions_occur(bundle: LoadedBundle, oof: Path) -> None:
    assert operate("--bundle", bundle.path, "--predictions", oof).exit_code == 0
    assert {refer for _, refer in decisions(load_bundle(bundle.path))} == {True, False}


def test_overconfident_predictions_are_tempered(bundle: LoadedBundle, tmp_path: Path) -> None:
    sharp = write(tmp_path / "sharp.csv", rows(count=1200, sharpen=6.0))  # 2 would be right
    assert operate("--bundle", bundle.path, "--predictions", sharp).exit_code == 0
    assert load_bundle(bundle.path).spec.decision.temperature == pytest.approx(3, rel=0.15)


def test_a_dry_run_leaves_every_byte(bundle: LoadedBundle, oof: Path) -> None:
    before = {p: p.read_bytes() for p in bundle.path.rglob("*") if p.is_file()}
    result = operate("--bundle", bundle.path, "--predictions", oof, "--dry-run")
    assert result.exit_code == 0
    assert "Nothing was changed." in result.output
    assert {p: p.read_bytes() for p in bundle.path.rglob("*") if p.is_file()} == before
    written = operate("--bundle", bundle.path, "--predictions", oof)
    assert written.output.splitlines()[:-1] == result.output.splitlines()[:-1]


def test_held_out_images_have_no_say(tmp_path: Path) -> None:
    content = rows(240)
    lies = [row["id"] for row in content if row["fold"] == "0"]
    honest = [row for row in content if row["id"] not in lies]
    for row in content:
        if row["id"] in lies:  # everything held out is turned upside down
            row["p.melanoma"], row["p.nevus"] = row["p.nevus"], row["p.melanoma"]
    fields = undecided()
    fields["provenance"] = {"revision": "unknown", "fold": 0, "held_out": lies}
    fold, whole = (
        make_bundle(tmp_path / name, f) for name, f in (("fold", fields), ("whole", undecided()))
    )
    all_rows, without = (
        write(tmp_path / f"{name}.csv", r) for name, r in (("all", content), ("without", honest))
    )
    chosen = []
    for loaded, file in ((fold, all_rows), (whole, without), (whole, all_rows)):
        assert operate("--bundle", loaded.path, "--predictions", file).exit_code == 0
        chosen.append(load_bundle(loaded.path).spec.decision)
    assert chosen[0] == chosen[1]
    assert chosen[0].threshold != chosen[2].threshold, "the lies would have made a difference"


def test_nothing_left_to_fit_on(tmp_path: Path, oof: Path) -> None:
    fields = undecided()
    fields["provenance"] = {"revision": "unknown", "held_out": [row["id"] for row in rows()]}
    result = operate("--bundle", make_bundle(tmp_path / "B", fields).path, "--predictions", oof)
    assert result.exit_code == 2
    assert "No prediction is left" in result.stderr


def test_refusals(bundle: LoadedBundle, tmp_path: Path, oof: Path) -> None:
    before = (bundle.path / "bundle.json").read_bytes()
    few = write(tmp_path / "few.csv", rows(30))
    result = operate("--bundle", bundle.path, "--predictions", few)
    assert result.exit_code == 2
    assert "at least 20 positives" in result.stderr
    assert operate("--bundle", bundle.path, "--predictions", tmp_path / "none.csv").exit_code == 2
    assert operate("--bundle", tmp_path / "none", "--predictions", oof).exit_code == 3
    wrong = operate("--bundle", bundle.path, "--predictions", oof, "--sensitivity", 1.0)
    assert wrong.exit_code == 2
    wrong = operate("--bundle", bundle.path, "--predictions", oof, "--sensitivity", "nan")
    assert (wrong.exit_code, "finite" in wrong.stderr) == (2, True)
    assert (bundle.path / "bundle.json").read_bytes() == before
    fields = json.loads(before)
    fields["name"] = "tampered"
    (bundle.path / "models" / "member_a.onnx").write_bytes(b"other")
    assert operate("--bundle", bundle.path, "--predictions", oof).exit_code == 3
