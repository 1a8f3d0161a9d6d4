"""A segmenter that learns from another data set's masks, as Goel's does from HAM10000's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from calibration.training_images import TrainingSets
from export.finished_run import FinishedRun
from runtime.bundle import Bundle
from tests.train.stand_in import FOLDS, StandIn
from tests.train.tiny import COUNT, quick_training, tiny_recipe, write_data, write_recipe
from train.data.open_dataset import open_dataset
from train.data.table import Table
from train.fit import command
from train.fit import prepare as prepare_run
from train.pipeline import Pipeline
from train.recipe import Recipe
from train.stages import run as run_module
from train.trainer import Machine
from train.views import load_masks


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with quick_training(tmp_path_factory.mktemp("cache")):
        yield


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Half of the phantoms without masks; the other half with, under names of their own."""
    folder = tmp_path_factory.mktemp("data")
    whole = sorted(open_dataset(write_data(folder / "set")), key=lambda sample: str(sample.label))
    bare = [replace(sample, mask=None) for sample in whole[::2]]
    # Their diseases are none of the recipe's: nobody asks a segmenter's images.
    masked = [replace(sample, id=f"h{n}", label="bcc") for n, sample in enumerate(whole[1::2])]
    for name, samples in (("bare", bare), ("masked", masked)):
        Table.of(name, samples).to_csv(folder / f"{name}.csv")
    return folder / "bare.csv", folder / "masked.csv"


def prepare(sets: tuple[Path, Path], out: Path) -> Pipeline:
    recipe = Recipe.model_validate(tiny_recipe())
    bare, masked = sets
    return prepare_run(recipe, (bare,), out, Machine(workers=0), "patient", masks=(masked,))


def test_it_learns_from_those_and_members_from_these(
    sets: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = StandIn()
    monkeypatch.setattr(run_module, "train_network", stand_in)
    pipeline = prepare(sets, tmp_path)
    figures = pipeline.run()
    assert pipeline.segmenting is not None
    taught = pipeline.segmenting.taught
    assert [sample.id for sample in taught.table] == [f"h{n}" for n in range(COUNT // 2)]
    assert {sample.label for sample in taught.table} == {None}
    everyone = set(range(COUNT // 2))
    for fold, name in enumerate(FOLDS):
        rows = stand_in.shown[f"segmenter {name}"].train.rows
        held = set(np.flatnonzero(taught.folds == fold)) if fold < 2 else set()
        assert set(rows) == everyone - held
        rows = stand_in.shown[f"first {name}"].train.rows
        assert set(rows) == everyone - set(np.flatnonzero(pipeline.folds == fold))
    # Masks of both: of what is classified to cut it out, of what has masks to be judged by.
    for place in ("masks", "taught_masks"):
        assert load_masks(tmp_path / place, 64).shape == (COUNT // 2, 64, 64)
    assert 0 <= figures["segmentation"]["jaccard"] <= figures["segmentation"]["dice"] <= 1


def test_pictures_of_one_lesion_share_a_fold_across_the_sets(
    sets: tuple[Path, Path], tmp_path: Path
) -> None:
    bare, masked = (list(open_dataset(path)) for path in sets)
    masked[0] = replace(masked[0], image=bare[3].image)  # the same picture, with a mask
    files = []
    for name, samples in (("bare", bare), ("masked", masked)):
        files.append(tmp_path / f"{name}.csv")
        Table.of(name, samples).to_csv(files[-1])
    pipeline = prepare((files[0], files[1]), tmp_path / "run")
    assert pipeline.segmenting is not None
    assert pipeline.segmenting.taught.folds[0] == pipeline.folds[3]


def test_what_it_learnt_from_is_in_the_provenance(sets: tuple[Path, Path], tmp_path: Path) -> None:
    prepare(sets, tmp_path)
    (tmp_path / "figures.json").write_text("{}")
    run = FinishedRun.read(tmp_path)
    provenance = run.provenance(None, "unknown")
    assert [(data.name, data.images) for data in provenance.data] == [
        ("bare", COUNT // 2),
        ("masked", COUNT // 2),
    ]
    assert set(json.loads((tmp_path / "data.json").read_text())["folds"]) == set(
        open_dataset(sets[0]).ids
    )
    spec = Bundle.model_construct(provenance=provenance, classes=run.recipe.classes)
    for path in sets:
        table = open_dataset(path)
        assert TrainingSets.of([table], spec.classes).seen_ids(spec) == set(table.ids)


def refused(folder: Path, fields: dict[str, Any], *words: object) -> str:
    recipe = write_recipe(folder / "r.yaml", fields)
    given = ["--recipe", recipe, "--out", folder / "run", *words]
    done: Result = CliRunner().invoke(command, [str(word) for word in given])
    assert done.exit_code == 2, done.output
    return done.output


def test_masks_that_are_missing_or_not_wanted(sets: tuple[Path, Path], tmp_path: Path) -> None:
    bare, masked = sets
    assert "--masks DATA" in refused(tmp_path, tiny_recipe(), "--data", bare)
    few = tmp_path / "few.csv"
    Table.of("few", [next(iter(open_dataset(masked)))]).to_csv(few)
    said = refused(tmp_path, tiny_recipe(), "--data", bare, "--masks", few)
    assert "too few masks" in said
    blind = tiny_recipe() | {"segmenter": None, "views": {"whole": {}}}
    blind["members"]["second"]["view"] = "whole"
    said = refused(tmp_path, blind, "--data", bare, "--masks", masked)
    assert "no segmenter that could learn" in said
