"""`operate --folds`: decided by what the fold bundles that were made alike say of their images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from calibration.coverage import Doubts
from calibration.held_out import Evidence
from calibration.operating import decide
from calibration.operating_point import command
from calibration.predictions import Predictions
from runtime.bundle_files import load_bundle
from runtime.bundles import command as bundle_command
from runtime.errors import UsageError
from tests.calibration.gating.clinic import (
    NEGATIVES,
    POSITIVES,
    changed,
    quantised,
    trained_on,
    write_clinic,
    write_reference,
)

COUNT = POSITIVES + NEGATIVES
IDS = [f"c{n:03d}" for n in range(COUNT)]


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clinic(tmp_path_factory.mktemp("clinic") / "pictures")


@pytest.fixture
def made(clinic: Path, tmp_path: Path) -> Path:
    """Three quantised fold bundles, and the one that ships in float and in 8 bits."""
    data = {"revision": "?", **trained_on(clinic)}
    for fold in range(3):
        own = {**data, "fold": fold, "held_out": IDS[fold::3]}
        quantised(write_reference(tmp_path / f"F{fold}", provenance=own), tmp_path / f"Q{fold}")
    quantised(write_reference(tmp_path / "B", provenance=data), tmp_path / "B8")
    return tmp_path


def operate(made: Path, clinic: Path, *words: object, bundle: str = "B8") -> Result:
    folds = [made / f"Q{fold}" for fold in range(3)]
    asked = ["--bundle", made / bundle, "--folds", *folds, "--data", clinic]
    asked += [*words, "--backend", "openvino"]
    return CliRunner().invoke(command, [str(word) for word in asked])


def test_threshold_and_limits_are_of_the_precision_that_ships(made: Path, clinic: Path) -> None:
    result = operate(made, clinic, "--coverage", 0.9, "--sensitivity", 0.9)
    assert result.exit_code == 0, result.output + result.stderr
    decision = load_bundle(made / "B8").spec.decision
    assert decision.operating_point is not None
    assert decision.operating_point.predictions == f"out of fold, 3 folds, {COUNT} images"
    assert (decision.operating_point.positives, decision.operating_point.negatives) == (
        POSITIVES,
        NEGATIVES,
    )
    assert decision.operating_point.sensitivity > 0.8, "these are told apart by their colour"
    assert decision.abstain.disagreement is not None
    assert decision.abstain.area_fraction_max is not None
    assert decision.abstain.ood is None, "no network of these measures it"
    assert decision.coverage is not None
    assert (decision.coverage.wanted, decision.coverage.images) == (0.9, COUNT)
    assert decision.coverage.decided_interval.low <= 0.9 <= decision.coverage.decided_interval.high
    for text in ("decided, folds crossed", "abstains: disagreement", "PPV", "NPV"):
        assert text in result.output
    shown = CliRunner().invoke(bundle_command, ["show", str(made / "B8")])
    assert f"decides {decision.coverage.decided:.1%} of real lesions" in shown.output
    card = (made / "B8" / "card.md").read_text(encoding="utf-8")
    assert f"| threshold | {decision.threshold:.4f} (" in card
    assert f"| abstains: disagreement | {decision.abstain.disagreement:.4g} |" in card
    assert operate(made, clinic, "--sensitivity", 0.8).exit_code == 0
    card = (made / "B8" / "card.md").read_text(encoding="utf-8")
    assert card.count("## Operating point") == 1, "written anew, not once more"
    assert f"disagreement, as fitted before | {decision.abstain.disagreement:.4g} |" in card


def test_a_share_of_no_image_is_no_share(made: Path) -> None:
    """Every positive may be among those that are not decided."""
    positive = np.array([True, True, False, False])
    nothing = np.full(4, np.nan)
    evidence = Evidence(
        Predictions(
            ("a", "b", "c", "d"), np.arange(4) % 2, np.array([0, 0, 1, 1]),
            np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9]]), ("melanoma", "nevus"),
        ),
        Doubts(np.zeros(4), nothing, nothing, ~positive),
    )  # fmt: skip
    with pytest.raises(UsageError, match="too few"):
        decide(load_bundle(made / "B8").spec, evidence, 0.9, 0.5)
    reached = decide(load_bundle(made / "B8").spec, evidence, 0.5, 0.5).coverage
    assert reached is not None
    assert (reached.sensitivity, reached.specificity) == (None, 1.0)


def test_a_folds_own_images_have_no_say_in_it(made: Path, clinic: Path) -> None:
    result = operate(made, clinic, bundle="Q1")
    assert result.exit_code == 0, result.stderr
    point = load_bundle(made / "Q1").spec.decision.operating_point
    assert point is not None
    assert point.predictions == f"out of fold, 2 folds, {COUNT - len(IDS[1::3])} images"


def test_several_bundles_decide_alike(made: Path, clinic: Path) -> None:
    result = operate(made, clinic, "--bundle", made / "B", "--coverage", 0.95)
    assert result.exit_code == 0, result.stderr
    both = [load_bundle(made / name).spec.decision for name in ("B", "B8")]
    assert both[0] == both[1]


def test_bundles_of_other_folds_or_systems_do_not_decide_alike(made: Path, clinic: Path) -> None:
    before = (made / "Q1" / "bundle.json").read_bytes()
    result = operate(made, clinic, "--bundle", made / "Q1", bundle="Q0")
    assert (result.exit_code, "other fold" in result.stderr) == (2, True)
    changed(load_bundle(made / "B"), positive=["nevus"])
    result = operate(made, clinic, "--bundle", made / "B")
    assert (result.exit_code, "other positive" in result.stderr) == (2, True)
    assert (made / "Q1" / "bundle.json").read_bytes() == before


def test_what_one_fold_says_is_not_called_crossed(made: Path, clinic: Path) -> None:
    words = ["--bundle", made / "B8", "--folds", made / "Q0", "--data", clinic]
    result = CliRunner().invoke(command, [*map(str, words), "--sensitivity", "0.8"])
    assert result.exit_code == 0, result.stderr
    point = load_bundle(made / "B8").spec.decision.operating_point
    assert point is not None
    assert "1 fold, judged on the images it was fitted on" in point.predictions
    assert "folds crossed" not in result.output


def test_a_later_threshold_leaves_no_old_coverage_beside_it(made: Path, clinic: Path) -> None:
    assert operate(made, clinic, "--coverage", 0.9, "--sensitivity", 0.9).exit_code == 0
    limits = load_bundle(made / "B8").spec.decision.abstain
    result = operate(made, clinic, "--sensitivity", 0.6)
    after = load_bundle(made / "B8").spec.decision
    assert after.coverage is None
    assert after.abstain == limits
    assert "goes on abstaining" in result.output


def test_a_dry_run_leaves_the_bundle(made: Path, clinic: Path) -> None:
    before = (made / "B8" / "bundle.json").read_bytes()
    assert operate(made, clinic, "--dry-run").exit_code == 0
    assert (made / "B8" / "bundle.json").read_bytes() == before


def test_folds_of_another_precision_are_refused(made: Path, clinic: Path) -> None:
    words = ["--bundle", made / "B8", "--folds", made / "F0", "--data", clinic]
    result = CliRunner().invoke(command, [*map(str, words), "--backend", "openvino"])
    assert (result.exit_code, "int8 and fp32" in result.stderr) == (5, True)


def test_what_does_not_go_together(made: Path, clinic: Path) -> None:
    def refused(*words: object) -> str:
        result = CliRunner().invoke(command, ["--bundle", str(made / "B8"), *map(str, words)])
        assert result.exit_code == 2
        return result.stderr

    assert "neither" in refused()
    assert "Predictions need no images" in refused("--predictions", "oof.csv", "--data", clinic)
    assert "both" in refused("--predictions", made / "oof.csv", made / "Q0")
    assert "both" in refused("--folds", made / "Q0", "--predictions", made / "oof.csv")
    assert "--data DIR" in refused("--folds", made / "Q0")
    assert "probabilities alone" in refused("--predictions", "oof.csv", "--coverage", 0.9)


def test_coverage_out_of_reach(made: Path, clinic: Path) -> None:
    for name in ("B8", "Q0", "Q1", "Q2"):
        changed(load_bundle(made / name), quality={"focus": {"min": 1e9, "hint": "hold still"}})
    result = operate(made, clinic, "--coverage", 0.9)
    assert (result.exit_code, "out of reach" in result.stderr) == (2, True), result.stderr
