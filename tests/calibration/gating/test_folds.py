"""Fold bundles as evidence, each on what it held out; the candidate must agree with itself."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from calibration.gate import command
from calibration.gating.evidence import open_data
from calibration.gating.trial import among_folds
from runtime.bundle_files import LoadedBundle, load_bundle
from runtime.gate_state import gate_state, gate_words
from tests.calibration.gating.clinic import (
    NEGATIVES,
    POSITIVES,
    changed,
    quantised,
    trained_on,
    with_record,
    write_clinic,
    write_reference,
)

IDS = [f"c{n:03d}" for n in range(POSITIVES + NEGATIVES)]


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clinic(tmp_path_factory.mktemp("clinic") / "pictures")


@pytest.fixture(scope="module")
def made(clinic: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two quantised fold bundles, Q0 and Q1, and the float bundle that ships, B."""
    folder = tmp_path_factory.mktemp("made")
    data = {"revision": "?", **trained_on(clinic)}
    for fold in (0, 1):
        own = {**data, "fold": fold, "held_out": IDS[fold::2]}
        quantised(write_reference(folder / f"F{fold}", provenance=own), folder / f"Q{fold}")
    write_reference(folder / "B", provenance=data)
    return folder


@pytest.fixture
def candidate(made: Path, tmp_path: Path) -> LoadedBundle:
    return quantised(load_bundle(made / "B"), tmp_path / "B8")


def gate(
    candidate: LoadedBundle, data: Path, *folds: Path, originals: Sequence[Path] = ()
) -> Result:
    words = ["--candidate", candidate.path, "--data", data, "--folds", *folds]
    for original in originals:
        words += ["--originals", original]
    return CliRunner().invoke(command, [*map(str, words), "--backend", "openvino"])


def test_pooled_folds_pass_where_one_is_too_few(
    made: Path, candidate: LoadedBundle, clinic: Path
) -> None:
    alone = gate(candidate, clinic, made / "Q0")
    assert alone.exit_code == 5
    assert f"there are {POSITIVES // 2}" in alone.stderr
    result = gate(load_bundle(candidate.path), clinic, made / "Q0", made / "Q1")
    assert result.exit_code == 0, result.stderr
    after = load_bundle(candidate.path).spec
    assert gate_state(after) == "passed"
    assert "against 2 fold twins" in gate_words(after)
    assert after.gate.result is not None
    assert after.gate.result.report["images"] == POSITIVES + NEGATIVES
    assert "its fold twins" in (candidate.path / "card.md").read_text()


def test_a_spoilt_fold_refuses_the_candidate(
    made: Path, candidate: LoadedBundle, clinic: Path, tmp_path: Path
) -> None:
    bad = quantised(load_bundle(made / "F1"), tmp_path / "Q1", 4.0)
    result = gate(candidate, clinic, made / "Q0", bad.path)
    assert result.exit_code == 5
    assert "change of probability" in result.stderr


def test_a_candidate_spoilt_alone_does_not_hide_behind_its_twins(
    made: Path, clinic: Path, tmp_path: Path
) -> None:
    bad = quantised(load_bundle(made / "B"), tmp_path / "B8", 4.0)
    result = gate(bad, clinic, made / "Q0", made / "Q1")
    assert result.exit_code == 5
    assert "candidate itself" in result.stderr
    assert gate_state(load_bundle(bad.path).spec) == "refused"


def test_what_is_no_twin(made: Path, candidate: LoadedBundle, clinic: Path, tmp_path: Path) -> None:
    float_only = gate(candidate, clinic, made / "F0")
    assert (
        float_only.exit_code,
        "precision of member_a with openvino: int8 and fp32" in float_only.stderr,
    ) == (5, True)
    final = gate(candidate, clinic, made / "B")
    assert (final.exit_code, "not the bundle of a fold" in final.stderr) == (2, True)
    other = changed(quantised(load_bundle(made / "F0"), tmp_path / "R"), recipe="another")
    result = gate(candidate, clinic, other.path)
    assert (result.exit_code, "recipe" in result.stderr) == (5, True)
    twice = gate(candidate, clinic, made / "Q0", made / "Q0")
    assert (twice.exit_code, "named twice" in twice.stderr) == (2, True)
    overlap = changed(
        quantised(load_bundle(made / "F1"), tmp_path / "O"), provenance={"held_out": IDS[:50]}
    )
    result = gate(candidate, clinic, made / "Q0", overlap.path)
    assert (result.exit_code, "the same images out" in result.stderr) == (2, True)


def test_held_out_ids_of_other_data_name_nothing(
    made: Path, candidate: LoadedBundle, tmp_path: Path
) -> None:
    data = write_clinic(tmp_path / "other", label="nevus")  # the same names, other labels
    result = gate(candidate, data, made / "Q0", made / "Q1")
    assert result.exit_code == 2
    assert "its held-out ids name nothing" in result.stderr


def test_bundles_of_one_precision_hold_one_side(made: Path, clinic: Path) -> None:
    result = gate(load_bundle(made / "B"), clinic, made / "F0", made / "F1")
    assert (result.exit_code, "run the same files" in result.stderr) == (2, True)


def test_originals_take_the_place_of_the_float_files(
    made: Path, candidate: LoadedBundle, clinic: Path, tmp_path: Path
) -> None:
    twins, originals = (made / "Q0", made / "Q1"), [made / "F1", made / "B", made / "F0"]
    result = gate(candidate, clinic, *twins, originals=originals)
    assert result.exit_code == 0, result.stderr
    assert "its fold twins in fp32" in (candidate.path / "card.md").read_text()
    after = load_bundle(candidate.path).spec.gate.result
    assert after is not None
    assert after.reference != candidate.digest
    few = gate(candidate, clinic, *twins, originals=originals[:2])
    assert (few.exit_code, "one each: fold 0, fold 1, the whole run" in few.stderr) == (2, True)
    other = changed(
        load_bundle(shutil.copytree(made / "F0", tmp_path / "F0")), decision={"temperature": 1.5}
    )
    result = gate(candidate, clinic, *twins, originals=[other.path, *originals[:2]])
    assert (result.exit_code, "decision.temperature" in result.stderr) == (5, True)
    alone = CliRunner().invoke(
        command,
        [*map(str, ("--candidate", candidate.path, "--data", clinic)),
         *map(str, ("--reference", made / "B", "--originals", made / "F0"))],
    )  # fmt: skip
    assert (alone.exit_code, "name its original with --reference" in alone.stderr) == (2, True)


def test_originals_show_what_16_bits_hid(
    made: Path, candidate: LoadedBundle, clinic: Path, tmp_path: Path
) -> None:
    spoilt = quantised(load_bundle(made / "F1"), tmp_path / "F1", 4.0)
    originals = [made / "F0", spoilt.path, made / "B"]
    result = gate(candidate, clinic, made / "Q0", made / "Q1", originals=originals)
    assert result.exit_code == 5


def test_a_fold_that_was_quantised_on_its_own_images_is_no_evidence(
    made: Path, candidate: LoadedBundle, clinic: Path, tmp_path: Path
) -> None:
    with_record(candidate, [])
    pictures = [clinic.parent / f"{IDS[1]}.png"]
    good = with_record(quantised(load_bundle(made / "F0"), tmp_path / "good"), [])
    bad = with_record(quantised(load_bundle(made / "F1"), tmp_path / "bad"), pictures)
    result = gate(candidate, clinic, good.path, bad.path)
    assert result.exit_code == 5
    assert "bad was quantised on images that it is to be judged on" in result.stderr
    assert "1 of" in result.stderr


def test_a_twin_is_quantised_by_the_same_orders(
    made: Path, candidate: LoadedBundle, clinic: Path, tmp_path: Path
) -> None:
    with_record(candidate, [])
    other = with_record(quantised(load_bundle(made / "F0"), tmp_path / "Q"), [], "minmax")
    result = gate(candidate, clinic, other.path, made / "Q1")
    assert result.exit_code == 5
    assert "method: auto and minmax" in result.stderr
    bare = gate(candidate, clinic, made / "Q0", made / "Q1")
    assert (bare.exit_code, "calibration.json: there and none" in bare.stderr) == (5, True)


def test_the_candidate_itself_is_held_against_images_it_did_not_learn_from(
    made: Path, candidate: LoadedBundle, clinic: Path, tmp_path: Path
) -> None:
    data = open_data([clinic], load_bundle(made / "B").spec.classes, {}, None)
    learned = [clinic.parent / f"{name}.png" for name in IDS[:60]]
    twins = [quantised(load_bundle(made / f"F{n}"), tmp_path / f"Q{n}") for n in (0, 1)]
    folds = [with_record(twin, [], tuned_on=[]) for twin in twins]
    some = with_record(candidate, [], tuned_on=learned)
    trial = among_folds(folds, some, data, "openvino")
    assert set(trial.own.table.ids) == set(IDS[60:])
    assert not any("was fine-tuned on" in note for note in trial.notes)
    every = with_record(some, [], tuned_on=sorted(clinic.parent.glob("*.png")))
    trial = among_folds(folds, every, data, "openvino")
    assert set(trial.own.table.ids) == set(IDS)
    assert any("was fine-tuned on" in note for note in trial.notes)
