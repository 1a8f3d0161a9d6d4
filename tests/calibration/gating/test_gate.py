"""`dermedge gate` as a user meets it: it passes what is good, and cannot be made to pass more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result

from calibration.gate import command
from runtime.bundle_files import LoadedBundle, fields_of, load_bundle, seal
from runtime.bundles import command as bundle_command
from runtime.chain import open_chain
from runtime.gate_state import gate_state
from tests.bundle_factory import WEIGHTS, member
from tests.calibration.gating.clinic import (
    NEGATIVES,
    POSITIVES,
    THRESHOLD,
    changed,
    quantised,
    trained_on,
    with_record,
    write_clinic,
    write_reference,
)

BROKEN = 1.45


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clinic(tmp_path_factory.mktemp("clinic") / "pictures")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> LoadedBundle:
    """Read it, and leave it as it is."""
    return write_reference(tmp_path_factory.mktemp("reference") / "B")


@pytest.fixture
def candidate(reference: LoadedBundle, tmp_path: Path) -> LoadedBundle:
    return quantised(reference, tmp_path / "B8")


def gate(*arguments: object) -> Result:
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(command, [*words, "--backend", "openvino"])


def held(reference: LoadedBundle, candidate: LoadedBundle, data: Path, *more: object) -> Result:
    return gate("--reference", reference.path, "--candidate", candidate.path, "--data", data, *more)


def show(bundle: LoadedBundle) -> str:
    return CliRunner().invoke(bundle_command, ["show", str(bundle.path)]).output


def bytes_of(bundle: LoadedBundle) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in bundle.path.rglob("*") if p.is_file()}


def test_a_good_candidate_passes(
    reference: LoadedBundle, candidate: LoadedBundle, clinic: Path, tmp_path: Path
) -> None:
    before, untouched = candidate.spec.model_dump(), bytes_of(reference)
    result = held(reference, candidate, clinic, "--out", tmp_path / "report")
    assert result.exit_code == 0, result.output + result.stderr
    after = load_bundle(candidate.path)
    found = after.spec.gate.result
    assert found is not None
    assert (found.passed, found.reference) == (True, reference.digest)
    assert (found.report["images"], found.report["positives"]) == (90, POSITIVES)
    assert (found.report["negatives"], found.report["undecided"]) == (NEGATIVES, 0)
    assert found.report["undecided.positives"] == 0
    assert found.report["data"] == clinic.parent.name, "there are many files called labels.csv"
    assert found.report["candidate.precision"] == "fp32+int8"
    assert found.report["limit.sensitivity_loss"] == 0.1
    assert gate_state(after.spec) == "passed"
    assert f"passed, against the bundle {reference.digest[:12]}" in show(after)
    changed_fields = {k for k, v in after.spec.model_dump().items() if v != before[k]}
    assert changed_fields == {"gate", "files"}
    differing = {f for f, sha in after.spec.files.items() if before["files"][f] != sha}
    assert differing == {"card.md"}
    assert bytes_of(reference) == untouched
    open_chain(after, "openvino").close()  # its golden test
    for text in ("loss of sensitivity", "passed", "size ×", "time ×"):
        assert text in result.output


def test_the_card_and_the_report_say_so(
    reference: LoadedBundle, candidate: LoadedBundle, clinic: Path, tmp_path: Path
) -> None:
    assert held(reference, candidate, clinic, "--out", tmp_path / "report").exit_code == 0
    assert held(reference, candidate, clinic, "--out", tmp_path / "report").exit_code == 0
    card = (candidate.path / "card.md").read_text()
    assert card.startswith("# tiny 1\n\nWords.\n\n## Gate\n\n**Passed**")
    assert card.endswith("\n\n## How to check it\n\nMore words.\n")
    assert card.count("## Gate") == 1
    for text in ("sensitivity | 1.0000 | 1.0000", "AUC of melanoma", "size", "time an image"):
        assert text in card
    counted = f"90 images: {POSITIVES} positives and {NEGATIVES} negatives"
    assert counted + ". A loss" in card
    written = json.loads((tmp_path / "report" / "gate.json").read_text())
    assert written["passed"] is True
    assert len(written["images"]) == POSITIVES + NEGATIVES
    page = (tmp_path / "report" / "gate.html").read_text()
    assert "No decision changed." in page
    assert counted in page
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize("factor", [4.0, -1.0, 0.0])
def test_a_bad_calibration_is_refused(
    reference: LoadedBundle, clinic: Path, tmp_path: Path, factor: float
) -> None:
    bad = quantised(reference, tmp_path / "bad", factor)
    result = held(reference, bad, clinic, "--out", tmp_path / "report")
    assert result.exit_code == 5, result.output
    assert "it loses more than its reference allows" in result.stderr
    after = load_bundle(bad.path)
    assert gate_state(after.spec) == "refused"
    assert "refused, against" in show(after)
    assert "**Refused (lost)**" in (bad.path / "card.md").read_text()
    page = (tmp_path / "report" / "gate.html").read_text()
    assert "Gate: refused, it loses too much" in page
    assert ("Decision flips: " in page) is (factor < 1)  # 4 moves scores, over no threshold


def test_a_member_that_broke_does_not_hide_behind_the_ensemble(
    reference: LoadedBundle, clinic: Path, tmp_path: Path
) -> None:
    bad = quantised(reference, tmp_path / "bad")
    weights = np.asarray(WEIGHTS["member_b"]) * BROKEN
    onnx.save(member(weights), str(bad.path / "models" / "member_b.int8.onnx"))
    result = held(reference, seal(bad.path, fields_of(bad)), clinic, "--out", tmp_path / "report")
    assert result.exit_code == 5, result.output
    against = result.stderr.partition("got:")[2].partition("expected:")[0]
    assert against.count("99 of 100") == 1, "the ensemble's own probabilities did not change much"
    assert "the same of each member alone" in against
    assert "(member_b)" in against


def test_nan_is_refused(reference: LoadedBundle, clinic: Path, tmp_path: Path) -> None:
    bad = quantised(reference, tmp_path / "bad")
    weights = [[1e38, -1e38]] * 3  # finite in the file, and infinity less infinity when run
    graph = member(weights)
    node = onnx.helper.make_node("Mul", ["logits_", "logits_"], ["logits"])
    gemm = next(n for n in graph.graph.node if n.op_type == "Gemm")
    cast = next(n for n in graph.graph.node if list(n.output) == ["logits"])
    cast.output[0] = "logits_"
    graph.graph.node.insert(list(graph.graph.node).index(cast) + 1, node)
    assert gemm.output[0] == "narrow"
    onnx.save(graph, str(bad.path / "models" / "member_a.int8.onnx"))
    bad = seal(bad.path, fields_of(bad))
    result = held(reference, bad, clinic)
    assert result.exit_code == 5, result.output
    assert f"scored by both: {POSITIVES + NEGATIVES} of" in result.stderr
    assert "golden/dark.png" in result.stderr


def test_few_positives_are_told_how_many_it_takes(
    reference: LoadedBundle, candidate: LoadedBundle, clinic: Path
) -> None:
    result = held(reference, candidate, clinic, "--split", "train")
    assert result.exit_code == 5
    assert "too little data" in result.stderr
    assert "at least 29 positives" in result.stderr
    assert f"there are {POSITIVES // 2}" in result.stderr
    assert gate_state(load_bundle(candidate.path).spec) == "refused"


def test_being_refused_before_is_remembered(
    reference: LoadedBundle, candidate: LoadedBundle, clinic: Path
) -> None:
    assert held(reference, candidate, clinic, "--split", "train").exit_code == 5
    assert held(reference, load_bundle(candidate.path), clinic).exit_code == 0
    assert "passed, against" in show(candidate)
    assert "after being refused 1 time" in show(candidate)


def test_what_is_changed_later_is_not_what_was_judged(
    reference: LoadedBundle, candidate: LoadedBundle, clinic: Path
) -> None:
    assert held(reference, candidate, clinic).exit_code == 0
    assert gate_state(changed(candidate, name="other").spec) == "passed"
    operated = changed(candidate, decision={"threshold": 0.2})
    assert gate_state(operated.spec) == "stale"
    assert "not judged as it is now" in show(operated)
    again = changed(candidate, decision={"threshold": THRESHOLD})
    assert gate_state(again.spec) == "passed"
    onnx.save(member([[0.0, 0.0]] * 3), str(candidate.path / "models" / "member_b.int8.onnx"))
    assert gate_state(seal(candidate.path, fields_of(again)).spec) == "stale"
    verified = CliRunner().invoke(bundle_command, ["verify", str(candidate.path)])
    assert "not judged as it is now" in verified.output


def test_a_bundle_against_itself(
    reference: LoadedBundle, candidate: LoadedBundle, clinic: Path, tmp_path: Path
) -> None:
    result = held(candidate, candidate, clinic)
    assert (result.exit_code, "the same bundle" in result.stderr) == (2, True)
    renamed = changed(quantised(reference, tmp_path / "copy"), version="2")
    result = held(candidate, renamed, clinic)
    assert (result.exit_code, "run the same files" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("decision", {"threshold": 0.01}),
        ("decision", {"temperature": 2.0}),
        ("decision", {"score": "nevus"}),
        ("decision", {"abstain": {"no_lesion": False}}),
        ("positive", ["nevus"]),
        ("classes", ["nevus", "melanoma"]),
        ("recipe", "another"),
        ("quality", {"short_side": {"min": 9000, "hint": "never"}}),
        ("views", {"crop": {"area": "lesion", "margin": 0.5}}),
    ],
)
def test_another_system_is_no_candidate(
    reference: LoadedBundle, candidate: LoadedBundle, clinic: Path, section: str, values: Any
) -> None:
    other = changed(candidate, **{section: values})
    before = bytes_of(other)
    result = held(reference, other, clinic)
    assert result.exit_code == 5
    assert section in result.stderr
    assert bytes_of(other) == before


def test_a_candidate_does_not_loosen_its_own_limits(
    reference: LoadedBundle, clinic: Path, tmp_path: Path
) -> None:
    bad = quantised(reference, tmp_path / "bad", 4.0)
    wide = dict.fromkeys(("sensitivity_loss", "auc_loss", "flips", "probability_change"), 1.0)
    loose = changed(
        bad, gate={"limits": {**wide, "mask_agreement": 0.0, "mask_agreement_p99": 0.0}}
    )
    assert held(reference, loose, clinic).exit_code == 5


def test_images_that_were_trained_on_are_no_evidence(clinic: Path, tmp_path: Path) -> None:
    trained = write_reference(
        tmp_path / "B", provenance={"revision": "unknown", **trained_on(clinic)}
    )
    candidate = quantised(trained, tmp_path / "B8")
    before = bytes_of(candidate)
    for more in ((), ("--split", "validation")):
        result = held(trained, candidate, clinic, *more)
        assert result.exit_code == 2, result.output
        assert "they are no evidence" in result.stderr
        assert "--folds" in result.stderr
    assert bytes_of(candidate) == before


def test_of_a_fold_only_what_it_held_out_counts(clinic: Path, tmp_path: Path) -> None:
    kept = [f"c{n:03d}" for n in range(5, 60)]
    fold = write_reference(
        tmp_path / "B",
        provenance={"revision": "?", "fold": 0, "held_out": kept, **trained_on(clinic)},
    )
    result = held(fold, quantised(fold, tmp_path / "B8"), clinic)
    assert f"{POSITIVES + NEGATIVES - len(kept)} images are left out" in result.output
    assert "there are 24" in result.stderr  # negatives, of which too few are left


def test_copies_of_a_picture_count_once(
    reference: LoadedBundle, candidate: LoadedBundle, tmp_path: Path
) -> None:
    """Under other names they are no more positives than before."""
    data = write_clinic(tmp_path / "few")
    keep = data.read_text().splitlines()
    few = [row for row in keep[1:] if "melanoma" in row][:20]
    others = [row for row in keep[1:] if "melanoma" not in row]
    copies = []
    for row in few:
        name, rest = row.split(",", 1)
        (data.parent / f"copy-{name}").write_bytes((data.parent / name).read_bytes())
        copies.append(f"copy-{name},{rest}")
    data.write_text("\n".join([keep[0], *few, *copies, *others]) + "\n")
    result = held(reference, candidate, data)
    assert result.exit_code == 5
    assert "there are 20" in result.stderr


def test_images_that_8_bits_were_made_with_are_no_evidence(
    reference: LoadedBundle, candidate: LoadedBundle, clinic: Path, tmp_path: Path
) -> None:
    """What counts is what is in the file, whatever it is called."""
    copy = tmp_path / "another name.png"
    copy.write_bytes((clinic.parent / "c000.png").read_bytes())
    result = held(reference, with_record(candidate, [copy]), clinic)
    assert "1 image is left out" in result.output
    everything = sorted(clinic.parent.glob("*.png"))
    result = held(reference, with_record(load_bundle(candidate.path), everything), clinic)
    assert result.exit_code == 2
    assert "made with every one of these images" in result.output


def test_nor_are_others_of_their_lesions(
    reference: LoadedBundle, candidate: LoadedBundle, tmp_path: Path
) -> None:
    data = write_clinic(tmp_path / "clinic")
    header, *rows = data.read_text().splitlines()
    lesions = [f"{row},{'same' if number < 3 else number}" for number, row in enumerate(rows)]
    data.write_text("\n".join([f"{header},lesion", *lesions]) + "\n")
    learned = with_record(candidate, [data.parent / "c000.png"])
    output = " ".join(held(reference, learned, data).output.split())
    assert "1 image is left out: networks were trained or quantised on them" in output
    assert "2 images are left out: they show a patient, a lesion or a file" in output


def test_8_bits_of_unknown_origin_are_said_to_be(
    reference: LoadedBundle, candidate: LoadedBundle, clinic: Path
) -> None:
    words = "does not say which images its 8 bits were made with"
    assert words in held(reference, candidate, clinic).output
    assert words not in held(reference, with_record(candidate, []), clinic).output


def test_a_training_set_of_the_same_name_is_mentioned(clinic: Path, tmp_path: Path) -> None:
    """It may have changed since, so that its digest says nothing."""
    named = clinic.with_name("clinic.csv")
    named.write_bytes(clinic.read_bytes())
    grown = {"name": "clinic", "sha256": "1" * 64, "images": 200}
    trained = write_reference(tmp_path / "B", provenance={"revision": "?", "data": [grown]})
    words = "trained on a data set of the same name"
    result = held(trained, quantised(trained, tmp_path / "B8"), named)
    assert words in " ".join(result.output.split())
    other = changed(trained, provenance={"data": [{**grown, "name": "another"}]})
    result = held(other, quantised(other, tmp_path / "C8"), named)
    output = " ".join(result.output.split())
    assert words not in output
    assert "another (200 images) is not among the data" in output


def test_labels_of_another_name_are_mapped(
    reference: LoadedBundle, candidate: LoadedBundle, tmp_path: Path
) -> None:
    data = write_clinic(tmp_path / "other", label="MM")
    result = held(reference, candidate, data)
    assert result.exit_code == 2
    result = held(reference, candidate, data, "--map", "Mm=melanoma")
    assert (result.exit_code, "--map MM=CLASS" in result.stderr) == (2, True)
    assert held(reference, candidate, data, "--map", "MM=melanoma").exit_code == 0
    assert held(reference, candidate, data, "--map", "MM").exit_code == 2


def test_files_that_nobody_can_read_are_counted(
    reference: LoadedBundle, candidate: LoadedBundle, tmp_path: Path
) -> None:
    data = write_clinic(tmp_path / "torn")
    for number in range(POSITIVES - 20):
        (data.parent / f"c{number:03d}.png").write_bytes(b"torn")
    result = held(reference, candidate, data, "--out", tmp_path / "report")
    assert result.exit_code == 5
    assert "there are 20" in result.stderr
    assert "16 by the reference" in (tmp_path / "report" / "gate.html").read_text()


def test_usage(
    reference: LoadedBundle, candidate: LoadedBundle, clinic: Path, tmp_path: Path
) -> None:
    before = bytes_of(candidate)
    data = ("--data", clinic)
    assert gate("--candidate", candidate.path, *data).exit_code == 2
    both = ("--reference", reference.path, "--folds", reference.path)
    assert gate(*both, "--candidate", candidate.path, *data).exit_code == 2
    more = held(reference, candidate, clinic, reference.path)
    assert (more.exit_code, "Only --folds" in more.stderr) == (2, True)
    inside = held(reference, candidate, clinic, "--out", candidate.path / "report")
    assert (inside.exit_code, "cannot go into a bundle" in inside.stderr) == (2, True)
    assert held(reference, candidate, tmp_path / "none.csv").exit_code == 2
    assert held(reference, candidate, clinic, "--split", "test").exit_code == 2
    assert gate("--reference", tmp_path, "--candidate", candidate.path, *data).exit_code == 3
    assert bytes_of(candidate) == before
    undecided = changed(candidate, decision={"threshold": None, "operating_point": None})
    result = held(undecided, candidate, clinic)
    assert result.exit_code == 2
