"""Stages: skipped when nothing changed, resumed when killed, begun afresh when anything did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.specs import Spec
from train.recipe_files import load_recipe, shipped_recipes, variants_of
from train.recipe_parts.segmenters import DilatedUNetSpec, UNetSpec
from train.stage import Stage, fingerprint, write_json

JSON = st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.floats(-9, 9)))


def begun(folder: Path, **inputs: object) -> Stage:
    """A stage that got as far as its first checkpoint."""
    stage = Stage.of(folder / "stage", inputs)
    stage.begin()
    (stage.folder / "last.ckpt").write_text("half")
    return stage


def test_a_finished_stage_is_done_and_a_begun_one_is_not(tmp_path: Path) -> None:
    stage = begun(tmp_path, rate=1)
    assert not stage.done
    stage.finish({"auc": 0.5})
    assert Stage.of(tmp_path / "stage", {"rate": 1}).done
    assert stage.facts()["auc"] == 0.5
    assert not Stage.of(tmp_path / "stage", {"rate": 2}).done


def test_a_killed_stage_keeps_its_checkpoint(tmp_path: Path) -> None:
    begun(tmp_path, rate=1)
    again = Stage.of(tmp_path / "stage", {"rate": 1})
    again.begin()
    assert (again.folder / "last.ckpt").read_text() == "half"


@pytest.mark.parametrize("finished", [False, True])
def test_changed_inputs_drop_what_was_there(finished: bool, tmp_path: Path) -> None:
    stage = begun(tmp_path, rate=1)
    if finished:
        stage.finish()
    other = Stage.of(tmp_path / "stage", {"rate": 2})
    other.begin()
    assert not (other.folder / "last.ckpt").exists()
    assert not other.done
    assert not stage.done


def test_a_result_of_other_inputs_is_forgotten_and_one_of_these_is_kept(tmp_path: Path) -> None:
    stage = begun(tmp_path, rate=1)
    stage.finish()
    stage.forget_if_stale()
    assert stage.done
    Stage.of(tmp_path / "stage", {"rate": 2}).forget_if_stale()
    assert not stage.done
    assert (stage.folder / "last.ckpt").exists(), "only the stamp goes: the rest may be of use"


def test_a_stage_begun_again_is_not_done_until_it_is_finished_again(tmp_path: Path) -> None:
    stage = begun(tmp_path, rate=1)
    stage.finish()
    stage.begin()
    assert not stage.done


@pytest.mark.parametrize("content", ["", "{", "{}", '{"key": null}'])
def test_a_damaged_stamp_counts_as_none(content: str, tmp_path: Path) -> None:
    stage = begun(tmp_path, rate=1)
    stage.finish()
    (stage.folder / "stage.json").write_text(content)
    assert not stage.done


@given(JSON)
def test_a_key_depends_on_what_is_said_not_on_its_order(inputs: dict[str, object]) -> None:
    backwards = dict(reversed(inputs.items()))
    assert fingerprint(inputs) == fingerprint(backwards)
    assert fingerprint(inputs) != fingerprint({"inputs": inputs})


def test_a_field_that_a_later_version_adds_changes_no_key() -> None:
    class Known(Spec):
        epochs: int
        rate: float = 1e-3

    class Later(Known):
        mixed: bool = False

    known = fingerprint({"training": Known(epochs=3)})
    assert known == fingerprint({"training": Later(epochs=3)})
    assert known == fingerprint({"training": Later(epochs=3, rate=1e-3)})
    assert known != fingerprint({"training": Later(epochs=3, mixed=True)})
    assert known != fingerprint({"training": Known(epochs=3, rate=2e-3)})


def test_parts_of_another_kind_have_another_key() -> None:
    """Also where they say the same otherwise, as two U-Nets of one width do."""
    parts = [
        part
        for name in shipped_recipes()
        for variant in ["", *variants_of(name)]
        for recipe in [load_recipe(f"{name}/{variant}" if variant else name)]
        for part in (recipe.segmenter, recipe.purifier, recipe.ensemble, *recipe.members.values())
    ]
    different = [UNetSpec(kind="unet"), DilatedUNetSpec(kind="dilated_unet")]
    different += [p for place, p in enumerate(parts) if p is not None and p not in parts[:place]]
    keys = {fingerprint({"part": part}) for part in different}
    assert len(different) > 30
    assert len(keys) == len(different)


def test_json_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_json(file, {"a": 1})
    with pytest.raises(TypeError):
        write_json(file, {"a": object()})
    assert json.loads(file.read_text()) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_what_another_run_did_with_the_same_inputs_is_taken(tmp_path: Path) -> None:
    theirs = begun(tmp_path / "theirs", rate=1)
    mine = Stage.of(tmp_path / "mine" / "stage", {"rate": 1})
    assert not mine.adopt(theirs.folder)  # it is not done
    theirs.finish({"auc": 0.5})
    assert not Stage.of(tmp_path / "mine" / "stage", {"rate": 2}).adopt(theirs.folder)
    assert not mine.adopt(tmp_path / "nobody")
    assert mine.adopt(theirs.folder)
    assert mine.facts() == theirs.facts()
    assert (mine.folder / "last.ckpt").read_text() == "half"


def test_what_was_taken_is_not_the_others_any_more(tmp_path: Path) -> None:
    theirs = begun(tmp_path / "theirs", rate=1)
    theirs.finish()
    mine = Stage.of(tmp_path / "mine" / "stage", {"rate": 1})
    mine.adopt(theirs.folder)
    changed = begun(tmp_path / "mine", rate=2)
    (changed.folder / "last.ckpt").write_text("mine")
    changed.finish()
    assert theirs.done
    assert (theirs.folder / "last.ckpt").read_text() == "half"


def test_half_a_copy_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is stopped while it takes another's result has none of it."""
    theirs = begun(tmp_path / "theirs", rate=1)
    theirs.finish()
    mine = Stage.of(tmp_path / "mine" / "stage", {"rate": 1})

    def stopped(source: str, target: str) -> None:
        if source.endswith(".ckpt"):
            raise KeyboardInterrupt
        Path(target).write_bytes(Path(source).read_bytes())

    monkeypatch.setattr("train.stage._linked", stopped)
    with pytest.raises(KeyboardInterrupt):
        mine.adopt(theirs.folder)
    assert not mine.done
    monkeypatch.undo()
    assert mine.adopt(theirs.folder)
    assert (mine.folder / "last.ckpt").read_text() == "half"
