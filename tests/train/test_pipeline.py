"""The order of stages and who sees which image, with a stand-in for the training itself.

The stand-in saves a network whose last bias tells which part it is of, so that every prediction
says who made it.
"""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from export.finished_run import FinishedRun
from tests.train.stand_in import FOLDS, Run, folds_of, pipeline, runner
from tests.train.tiny import tiny_recipe
from train.combiners import combine
from train.data.table import Table
from train.ensemble import fit_ensemble
from train.models.locally_connected import LocallyConnected
from train.recipe import Recipe
from train.stages import run as run_module
from train.tasks import MemberTask
from train.trainer import WEIGHTS, Machine, load_network

MARK = (2.0, 0.0, -1.0)  # the bias of fold 1, of fold 2 and of the network that ships
EVERYTHING = [f"{name} {fold}" for name in ("segmenter", "first", "second") for fold in FOLDS]


def mark(task: Any, folder: Path) -> None:
    if isinstance(task, MemberTask):
        part = {"0": 0, "1": 1, "final": 2}[folder.name]
        with torch.no_grad():
            task.model.head.bias[0] = MARK[part]  # type: ignore[union-attr,index,operator]


@pytest.fixture
def run(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return runner(table, tmp_path / "run", monkeypatch, mark)


def member_probabilities(run: Path, member: str) -> np.ndarray:
    with (run / "oof.csv").open(newline="") as text:
        rows = list(csv.DictReader(text))
    names = [name for name in rows[0] if name.startswith(f"members.{member}.")]
    return np.array([[float(row[name]) for name in names] for row in rows])


def test_no_network_sees_the_images_it_is_judged_on(run: Run, table: Table) -> None:
    trained = run(tiny_recipe())
    assert sorted(trained) == sorted(EVERYTHING)
    for label, shown in trained.items():
        rows, stop = set(shown.train.rows), set(shown.stop.rows if shown.stop else [])
        used = rows | stop
        assert not rows & stop, "early stopping watches images of its own"
        assert bool(stop) == label.startswith("second")
        left_out = {"fold 1": {0}, "fold 2": {1}}.get(label.partition(" ")[2], set())
        assert used == {row for row in range(len(table)) if row % 2 not in left_out}


def test_predictions_are_of_the_network_that_left_the_image_out(
    run: Run, table: Table, tmp_path: Path
) -> None:
    run(tiny_recipe())
    melanoma = member_probabilities(tmp_path / "run", "first")[:, 0]
    by_fold = [melanoma[folds_of(table) == fold] for fold in (0, 1)]
    assert by_fold[0].min() > 0.6, "judged by the network marked with a bias of 2"
    assert by_fold[1].max() < 0.5, "judged by the one marked with 0; the shipped one has -1"


def test_the_ensemble_of_a_fold_was_not_fitted_on_it(
    run: Run, table: Table, tmp_path: Path
) -> None:
    fields = tiny_recipe()
    run(fields)
    folder, recipe = tmp_path / "run", Recipe.model_validate(fields).ensemble
    members = np.stack([member_probabilities(folder, name) for name in ("first", "second")], axis=1)
    with (folder / "oof.csv").open(newline="") as text:
        said = np.array(
            [[float(row[f"p.{c}"]) for c in table.classes] for row in csv.DictReader(text)]
        )
    for fold in (0, 1):
        here = folds_of(table) == fold
        honest = fit_ensemble(members[~here], table.targets[~here], recipe, seed=0)
        np.testing.assert_allclose(combine(honest, members[here]), said[here], atol=1e-4)
        stored = load_network(
            LocallyConnected(2, 3, recipe.filters), folder / "ensemble" / str(fold) / WEIGHTS
        )
        assert isinstance(stored, LocallyConnected)
        np.testing.assert_allclose(combine(stored, members[here]), said[here], atol=1e-4)
        told = fit_ensemble(members, table.targets, recipe, seed=0)
        assert not np.allclose(combine(told, members[here]), said[here], atol=1e-3)


def test_a_second_run_trains_nothing(run: Run, tmp_path: Path) -> None:
    run(tiny_recipe())
    files = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    assert run(tiny_recipe()) == {}
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()} == files


def test_only_what_depends_on_a_change_is_done_again(run: Run) -> None:
    run(fields := tiny_recipe())
    fields["ensemble"]["epochs"] = 5
    fields["about"] = fields["intended_use"] = "a word is not an input"
    assert run(fields) == {}
    fields["members"]["first"]["features"] = 8
    assert set(run(fields)) == {f"first {fold}" for fold in FOLDS}
    fields["views"]["lesion"]["margin"] = 0.3
    assert set(run(fields)) == {f"second {fold}" for fold in FOLDS}
    fields["segmenter"]["threshold"] = 0.4  # moves every crop, but no whole frame
    assert set(run(fields)) == {
        f"{name} {fold}" for name in ("segmenter", "second") for fold in FOLDS
    }
    fields["seed"] = 1
    assert sorted(run(fields)) == sorted(EVERYTHING)


def test_clean_statistics_are_a_choice_of_what_is_trained_already(
    run: Run, table: Table, tmp_path: Path
) -> None:
    fields = tiny_recipe()
    run(fields)
    before = member_probabilities(tmp_path / "run", "first")
    fields["clean_statistics"] = True
    assert run(fields) == {}, "trained weights are taken as they are"
    assert not np.allclose(member_probabilities(tmp_path / "run", "first"), before, atol=1e-3)
    left = load_file(tmp_path / "run" / "members/first/0" / WEIGHTS)
    measured = load_file(tmp_path / "run" / "statistics/first/0" / WEIGHTS)
    changed = {name.rpartition(".")[2] for name in left if not left[name].equal(measured[name])}
    assert changed == {"running_mean", "running_var", "num_batches_tracked"}
    here = FinishedRun.read(with_record(tmp_path / "run", fields)).member("first", "0").state_dict()
    assert all(here[name].equal(measured[name]) for name in here), "what is exported"
    fields["clean_statistics"] = False
    run(fields)
    np.testing.assert_array_equal(member_probabilities(tmp_path / "run", "first"), before)


def with_record(run: Path, fields: dict[str, Any]) -> Path:
    """What `dermedge train` writes beside the stages, as far as `export` asks for it here."""
    (run / "recipe.json").write_text(json.dumps(fields), encoding="utf-8")
    (run / "data.json").write_text("{}", encoding="utf-8")
    return run


def test_a_run_stopped_after_a_change_keeps_no_stamp_of_before(
    run: Run, table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(fields := tiny_recipe())

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "train_network", stopped)
    fields["members"]["second"]["features"] = 8
    with pytest.raises(KeyboardInterrupt):
        pipeline(fields, table, tmp_path / "run").run()
    stamps = {str(p.parent.relative_to(tmp_path / "run")) for p in tmp_path.rglob("stage.json")}
    assert {"members/first/final", "segmenter/final"} <= stamps
    assert not stamps & {"members/second/0", "members/second/final", "ensemble"}


def test_what_ships_stays_when_the_folds_are_asked_for_alone(
    run: Run, table: Table, tmp_path: Path
) -> None:
    """As `reproduce` asks, in the folder that `train` wrote."""
    run(fields := tiny_recipe())
    files = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    figures = pipeline(fields, table, tmp_path / "run").run(final=False)
    assert figures["auc"]
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()} == files


def test_a_changed_ensemble_gives_other_predictions(run: Run, tmp_path: Path) -> None:
    run(fields := tiny_recipe())
    before = (tmp_path / "run" / "oof.csv").read_text()
    fields["ensemble"]["filters"] = 9
    run(fields)
    assert (tmp_path / "run" / "oof.csv").read_text() != before
    assert sorted(p.name for p in (tmp_path / "run" / "ensemble").iterdir() if p.is_dir()) == [
        "0", "1", "final",
    ]  # fmt: skip


def test_a_file_given_by_hand_takes_the_place_of_the_hub(table: Table, tmp_path: Path) -> None:
    recipe = Recipe.model_validate(tiny_recipe() | {"pretrained": True})
    machine = Machine(weights={"resnet18": tmp_path / "resnet18.safetensors"})
    asked = run_module.Run(recipe, table, np.zeros(len(table), int), tmp_path, machine).from_hub
    assert asked("resnet50")
    assert not asked("resnet18")
    assert not asked("small_se")
    assert not asked(None)


def first_weights(run: Path, part: str) -> bytes:
    return (run / "members" / "second" / part / WEIGHTS).read_bytes()


def test_first_weights_do_not_depend_on_what_was_trained_before(run: Run, tmp_path: Path) -> None:
    """The stand-in trains nothing, so what is saved is what was built."""
    run(fields := tiny_recipe())
    whole = {part: first_weights(tmp_path / "run", part) for part in ("0", "1")}
    assert whole["0"] != whole["1"]
    shutil.rmtree(tmp_path / "run" / "members" / "second" / "1")
    assert set(run(fields)) == {"second fold 2"}
    assert first_weights(tmp_path / "run", "1") == whole["1"]


def test_other_masks_teach_another_segmenter(table: Table, tmp_path: Path) -> None:
    def key(masks: Table) -> str:
        made = pipeline(tiny_recipe(), masks, tmp_path / "run")
        assert made.segmenting is not None
        return made.segmenting.stage("0").key

    corrected = tmp_path / "mask.png"
    cv2.imwrite(str(corrected), np.zeros((64, 64), np.uint8))
    others = replace(table, samples=(replace(table[0], mask=corrected), *table.samples[1:]))
    assert table.digest == others.digest
    assert key(table) == key(table) != key(others)


def test_what_counts_as_positive_is_an_input_of_a_focal_loss(table: Table, tmp_path: Path) -> None:
    def inputs(positive: list[str], focal: object) -> object:
        fields = tiny_recipe() | {"positive": positive, "score": positive[0]}
        fields["training"]["focal"] = focal
        made = pipeline(fields, table, tmp_path / "run")
        return made.classifying.inputs("first", "0")

    assert inputs(["melanoma"], None) == inputs(["nevus"], None)
    assert inputs(["melanoma"], {}) != inputs(["nevus"], {})
