"""`dermedge train` from images to out-of-fold predictions, and what happens when it is stopped."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from huggingface_hub import constants

from runtime.errors import UsageError
from runtime.specs import PreprocessSpec
from tests.train.tiny import COUNT, SIDE, quick_training, tiny_recipe, write_data, write_recipe
from train import networks
from train.datasets import ViewDataset
from train.fit import _fetch_weights, command
from train.recipe import Recipe
from train.stage import STAMP
from train.trainer import WEIGHTS, Machine, load_network, predict

ROOT = Path(__file__).parents[2]
PARTS = ("0", "1", "final")

STOPPED = """
import os, signal, sys
from train import fit, trainer

class Stopped(trainer.Progress):
    def on_train_epoch_start(self, current, *rest):
        if self.label.startswith("first") and current.current_epoch == 2:
            os.kill(os.getpid(), signal.{signal})
        super().on_train_epoch_start(current, *rest)

trainer.Progress = Stopped
fit.command(sys.argv[1:])
"""


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with quick_training(tmp_path_factory.mktemp("cache")):
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data") / "set")


def arguments(recipe: Path, data: Path, out: Path) -> list[str]:
    return [
        "--recipe", str(recipe), "--data", str(data), "--out", str(out),
        "--accelerator", "cpu", "--precision", "32-true", "--workers", "0",
    ]  # fmt: skip


def train(folder: Path, data: Path, fields: dict[str, Any], *more: str) -> Result:
    """Train in `folder`/run, by a recipe that lies beside it."""
    recipe = write_recipe(folder / "tiny.yaml", fields)
    return CliRunner().invoke(command, [*arguments(recipe, data, folder / "run"), *more])


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a whole run in it; tests that change it work on a copy."""
    folder = tmp_path_factory.mktemp("finished")
    result = train(folder, data, tiny_recipe())
    assert result.exit_code == 0, result.output
    assert "first fold 2, epoch 1/1" in result.output
    for system in ("ensemble", "mean", "first", "second"):
        assert f"│ {system}" in result.output
    assert "Jaccard" in result.output
    assert "dermedge export --run" in result.output
    return folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copied"))


def written(run: Path, pattern: str = f"**/{WEIGHTS}") -> dict[str, int]:
    return {str(p.relative_to(run)): p.stat().st_mtime_ns for p in run.glob(pattern)}


def predictions(run: Path) -> list[dict[str, str]]:
    with (run / "oof.csv").open(newline="") as text:
        return list(csv.DictReader(text))


@pytest.mark.slow
def test_a_run_leaves_all_it_should(finished: Path) -> None:
    run = finished / "run"
    expected = {f"{stage}/{part}/{WEIGHTS}" for part in PARTS for stage in
                ("segmenter", "members/first", "members/second", "ensemble")}  # fmt: skip
    assert set(written(run)) == expected
    assert not list(run.rglob("*.ckpt"))
    assert Recipe.model_validate_json((run / "recipe.json").read_text()).name == "tiny"
    facts = json.loads((run / "data.json").read_text())
    assert (facts["images"], sum(facts["counts"].values())) == (COUNT, COUNT)
    rows = predictions(run)
    assert {row["id"]: int(row["fold"]) for row in rows} == facts["folds"]
    assert {row["split"] for row in rows} == {"train", "validation"}
    for row in rows:
        for system in ("p", "members.first", "members.second"):
            numbers = [float(row[f"{system}.{name}"]) for name in tiny_recipe()["classes"]]
            assert sum(numbers) == pytest.approx(1, abs=1e-5)
    figures = json.loads((run / "figures.json").read_text())
    assert figures["auc"]["all"]["images"] == COUNT
    assert 0 <= figures["segmentation"]["jaccard"] <= figures["segmentation"]["dice"] <= 1


@pytest.mark.slow
def test_running_again_trains_nothing(copied: Path, data: Path) -> None:
    before = written(copied / "run")
    result = train(copied, data, tiny_recipe())
    assert result.exit_code == 0, result.output
    assert written(copied / "run") == before
    assert "epoch" not in result.output
    assert "Rendering" not in result.output
    assert "│ ensemble" in result.output


@pytest.mark.slow
def test_another_ensemble_is_only_another_ensemble(copied: Path, data: Path) -> None:
    before, fields = written(copied / "run"), tiny_recipe()
    fields["ensemble"]["filters"] = 6
    result = train(copied, data, fields)
    assert result.exit_code == 0, result.output
    assert "epoch" not in result.output
    after = written(copied / "run")
    changed = {name for name, time in after.items() if time != before[name]}
    assert changed == {f"ensemble/{part}/{WEIGHTS}" for part in PARTS}


@pytest.mark.slow
@pytest.mark.parametrize(("member", "view"), [("first", "whole"), ("second", "lesion")])
def test_a_prediction_is_of_the_network_that_left_the_image_out(
    finished: Path, member: str, view: str
) -> None:
    run = finished / "run"
    recipe, rows = Recipe.model_validate(tiny_recipe()), predictions(run)
    pixels = np.load(run / "views" / f"{view}-{SIDE}x{SIDE}" / "pixels.npy", mmap_mode="r")
    spec: PreprocessSpec = networks.member_preprocess(recipe, member)
    views = ViewDataset(pixels, np.zeros(COUNT, int), range(COUNT), spec, None)
    said = {}
    for part in PARTS:
        net = load_network(
            networks.build_member(recipe, member), run / "members" / member / part / WEIGHTS
        )
        said[part] = torch.softmax(
            torch.from_numpy(predict(net, views, Machine("cpu"))[0]).double(), dim=1
        ).numpy()
    kept = np.array([[float(r[f"members.{member}.{c}"]) for c in recipe.classes] for r in rows])
    folds = np.array([row["fold"] for row in rows])
    for fold in ("0", "1"):
        here = folds == fold
        np.testing.assert_allclose(said[fold][here], kept[here], atol=1e-6)
        for other in set(PARTS) - {fold}:
            assert np.abs(said[other][here] - kept[here]).max() > 1e-4


# --- stopped -------------------------------------------------------------------------------------


def stopped(folder: Path, data: Path, fields: dict[str, Any], signal: str) -> Any:
    """The command in a process of its own, stopped as the member `first` begins its third epoch."""
    recipe = write_recipe(folder / "tiny.yaml", fields)
    return subprocess.run(
        [sys.executable, "-c", STOPPED.format(signal=signal)]
        + arguments(recipe, data, folder / "run"),
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def longer() -> dict[str, Any]:
    """What trains the member `first` anew, for four epochs."""
    fields = tiny_recipe()
    fields["members"]["first"]["training"] = {"epochs": 4, "batch": 4, "rate": 1e-3}
    return fields


def epochs_in(log: Path) -> list[int]:
    with (log / "metrics.csv").open() as text:
        return sorted({int(row["epoch"]) for row in csv.DictReader(text)})


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(copied: Path, data: Path) -> None:
    run, before = copied / "run", written(copied / "run")
    killed = stopped(copied, data, longer(), "SIGKILL")
    assert killed.returncode == -9, killed.stderr
    stage = run / "members" / "first" / "0"
    assert (stage / "last.ckpt").exists()
    assert not (stage / "stage.json").exists()
    assert not (stage / WEIGHTS).exists()
    result = train(copied, data, longer())
    assert result.exit_code == 0, result.output
    assert "first fold 1, epoch 3/4" in result.output
    assert "first fold 1, epoch 2/4" not in result.output
    assert "first fold 2, epoch 1/4" in result.output
    logs = [path for path in stage.glob("log*") if (path / "metrics.csv").exists()]
    assert epochs_in(max(logs)) == [2, 3]
    unchanged = {name for name, time in written(run).items() if time == before[name]}
    assert unchanged == {f"{s}/{p}/{WEIGHTS}" for s in ("segmenter", "members/second")
                         for p in PARTS}  # fmt: skip


@pytest.mark.slow
def test_ctrl_c_ends_like_any_verb_and_counts_nothing_as_done(copied: Path, data: Path) -> None:
    interrupted = stopped(copied, data, longer(), "SIGINT")
    assert interrupted.returncode == 130, interrupted.stderr
    assert "Stopped." in interrupted.stderr
    assert "Traceback" not in interrupted.stderr
    stage = copied / "run" / "members" / "first" / "0"
    assert (stage / "last.ckpt").exists()
    assert not (stage / WEIGHTS).exists()
    assert not (stage / "stage.json").exists()


# --- refused -------------------------------------------------------------------------------------


def from_the_hub() -> dict[str, Any]:
    fields = tiny_recipe() | {"pretrained": True}
    fields["members"]["second"] |= {"backbone": "resnet18", "options": {}}
    return fields


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "*")


@pytest.mark.usefixtures("no_hub")
def test_a_hub_out_of_reach_is_known_before_anything_is_trained(data: Path, tmp_path: Path) -> None:
    result = train(tmp_path, data, from_the_hub())
    assert result.exit_code == 2
    assert "weights for resnet18 cannot be fetched" in result.stderr
    assert "--no-pretrained" in result.stderr
    assert not (tmp_path / "run").exists()  # no stage has begun, not even the first segmenter's


@pytest.mark.usefixtures("no_hub")
def test_networks_that_are_trained_ask_no_hub(data: Path, tmp_path: Path) -> None:
    for part in PARTS:
        (tmp_path / "run" / "members" / "second" / part).mkdir(parents=True)
        (tmp_path / "run" / "members" / "second" / part / STAMP).touch()
    recipe = Recipe.model_validate(from_the_hub())
    _fetch_weights(tmp_path / "run", recipe, Machine())
    (tmp_path / "run" / "members" / "second" / "0" / STAMP).unlink()
    with pytest.raises(UsageError, match="resnet18"):
        _fetch_weights(tmp_path / "run", recipe, Machine())


def test_images_without_masks_are_refused(data: Path, tmp_path: Path) -> None:
    bare = Path(shutil.copytree(data, tmp_path / "bare"))
    for mask in bare.glob("*/*_segmentation.png"):
        if "Validation" in str(mask):
            mask.unlink()
    result = train(tmp_path, bare, tiny_recipe())
    assert result.exit_code == 2
    assert "some images have none" in result.stderr
    assert f"of {COUNT} without a mask" in result.stderr
    assert not (tmp_path / "run").exists()


def test_too_few_images_of_a_class_are_refused(data: Path, tmp_path: Path) -> None:
    result = train(tmp_path, data, tiny_recipe() | {"folds": 9})
    assert result.exit_code == 2
    assert "too few images of a class" in result.stderr
    assert "seborrheic_keratosis" in result.stderr
    assert "at least 9 of each" in result.stderr


def test_the_classes_must_be_the_recipes(data: Path, tmp_path: Path) -> None:
    fields = tiny_recipe() | {"classes": ["melanoma", "nevus"]}
    result = train(tmp_path, data, fields)
    assert result.exit_code == 2
    assert "seborrheic_keratosis" in result.stderr


@pytest.mark.parametrize("blocked", ["a file", "a file above", "no right to write"])
def test_a_folder_that_cannot_be_written(blocked: str, data: Path, tmp_path: Path) -> None:
    recipe, out = write_recipe(tmp_path / "tiny.yaml", tiny_recipe()), tmp_path / "run"
    if blocked == "no right to write":
        (out / "recipe.json.part").mkdir(parents=True)  # stops root too, unlike a mode
    else:
        out.touch()
    place = out / "below" if blocked == "a file above" else out
    result = CliRunner().invoke(command, arguments(recipe, data, place))
    assert result.exit_code == 2
    assert "folder cannot be written" in result.stderr
    assert str(place) in result.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--accelerator", "gpu", "--devices", "999"], "cannot train with these options"),
        (["--devices", "0"], "--devices"),
        (["--workers", "-1"], "--workers"),
        (["--precision", "8"], "--precision"),
        (["--weights", "resnet50=none"], "does not use"),
        (["--recipe", "dign"], "There is no such recipe"),
        (["--data", "nowhere"], "no data set at nowhere"),
    ],
)
def test_options_that_cannot_be(more: list[str], said: str, data: Path, tmp_path: Path) -> None:
    result = train(tmp_path, data, tiny_recipe(), *more)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_keeps_its_way_of_dealing_images(tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "data.json").write_text('{"split": "paper"}', encoding="utf-8")
    recipe = write_recipe(tmp_path / "tiny.yaml", tiny_recipe())
    words = ["--recipe", recipe, "--data", write_data(tmp_path / "data"), "--out", out]
    refused = CliRunner().invoke(command, list(map(str, words)))
    assert refused.exit_code == 2
    assert "--split paper" in refused.output
