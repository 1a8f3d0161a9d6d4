"""`dermedge bundle release`: only what the gate has passed, and only as it was then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from calibration.quantising.bundle import Making
from runtime.bundle_files import LoadedBundle, fields_of, load_bundle, seal
from runtime.bundles import command
from runtime.gate_state import judged_digest
from runtime.releasing import release_state, release_words
from tests.bundle_factory import make_bundle, operating_point
from tests.runtime.scans import infer, write_pictures


@pytest.fixture
def passed(tmp_path: Path) -> LoadedBundle:
    return gated(make_bundle(tmp_path / "B"), passed=True)


def gated(bundle: LoadedBundle, passed: bool) -> LoadedBundle:
    (bundle.path / "card.md").write_text("# tiny 1\n\nWords.\n\n## How to check it\n\nMore.\n")
    result = {
        "passed": passed,
        "reference": "0" * 64,
        "judged": judged_digest(bundle.spec),
        "report": {"why": None if passed else "loss of AUC"},
    }
    return changed(bundle, gate={"result": result})


def changed(bundle: LoadedBundle, **fields: Any) -> LoadedBundle:
    return seal(bundle.path, fields_of(bundle) | fields)


def bundle(*words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


def released(one: LoadedBundle) -> LoadedBundle:
    done = bundle("release", one.path)
    assert done.exit_code == 0, done.output
    assert "released on 20" in done.output
    return load_bundle(one.path)


def test_a_bundle_that_passed_is_released_and_says_so(passed: LoadedBundle) -> None:
    assert "not released" in bundle("show", passed.path).output
    after = released(passed)
    assert release_state(after.spec) == "released"
    assert judged_digest(after.spec) == judged_digest(passed.spec)
    for verb in (("show",), ("verify", "--files-only")):
        assert "released on 20" in bundle(*verb, after.path).output
    card = (after.path / "card.md").read_text()
    assert card.startswith("# tiny 1\n\nWords.\n\n## Release\n\nReleased on 20")
    again = released(after)
    assert again.digest == after.digest  # it keeps its date


def test_what_the_gate_has_not_passed_is_not_released(tmp_path: Path) -> None:
    never = make_bundle(tmp_path / "never")
    refused = gated(make_bundle(tmp_path / "refused"), passed=False)
    stale = gated(make_bundle(tmp_path / "stale"), passed=True)
    decision = stale.spec.decision.model_dump() | operating_point(0.3)
    stale = changed(stale, decision=decision)
    for one, why in ((never, "never gated"), (refused, "loss of AUC"), (stale, "as it is now")):
        done = bundle("release", one.path)
        assert done.exit_code == 5, done.output
        assert "cannot be released" in done.output
        assert why in done.output
        assert load_bundle(one.path).digest == one.digest


@pytest.mark.parametrize("what", ["threshold", "name", "card", "another verdict", "date"])
def test_what_was_changed_since_is_not_released_any_more(passed: LoadedBundle, what: str) -> None:
    after = released(passed)
    fields = fields_of(after)
    if what == "threshold":
        fields["decision"] |= operating_point(0.3)
    elif what == "name":
        fields["name"] = "other"
    elif what == "card":
        (after.path / "card.md").write_text("Passed by everybody.")
    elif what == "another verdict":
        fields["gate"]["result"]["reference"] = "1" * 64
    else:
        fields["released"] = None
    spec = seal(after.path, fields).spec
    assert release_state(spec) == ("not released" if what == "date" else "changed")
    assert what == "date" or "changed since its release on 20" in release_words(spec)


def test_a_damaged_bundle_is_not_released(passed: LoadedBundle) -> None:
    (passed.path / "models" / "ensemble.onnx").write_bytes(b"x")
    assert bundle("release", passed.path).exit_code == 3


def test_infer_says_whether_it_is_released(
    passed: LoadedBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_pictures(Path("in"), 1)
    words = ("--image", "in/p000.png", "--bundle", passed.path)
    assert "bundle tiny 1: not released" in infer(*words).stderr
    released(passed)
    assert "bundle tiny 1: released on 20" in infer(*words).stderr


def test_what_is_made_from_a_released_bundle_is_not_released(
    passed: LoadedBundle, tmp_path: Path
) -> None:
    making = Making.copy_of(released(passed), tmp_path / "B8")
    made = making.seal()
    assert release_state(made.spec) == "not released"
    assert "Release" not in (made.path / "card.md").read_text()
