"""Logistic regression behind the members, told of patients or not: fitted, asked, exported."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.special import softmax

from export.graphs import EnsembleGraph, to_onnx
from runtime.metadata import MetadataSpec
from tests.train.tiny import tiny_recipe
from train.combiners import Material, combine, fit_combiners
from train.data.metrics import auc
from train.logistic import fit_logistic
from train.recipe import Recipe
from train.recipe_parts.combiners import LogisticRecipe

METADATA = {
    "fields": [
        {"kind": "number", "name": "age", "low": 0, "high": 90},
        {"kind": "category", "name": "sex", "categories": ["female", "male"]},
    ]
}
TOLD = MetadataSpec.model_validate(METADATA)
NOTHING = TOLD.encode({})[0].astype(np.float64)
HOW = LogisticRecipe(kind="logistic")


def patients(count: int = 900, classes: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Members who guess, and the old, who mostly have the second class. A third tells no age."""
    rng = np.random.default_rng(0)
    targets = rng.integers(0, classes, count)
    logits = rng.normal(0, 1, (count, 2, classes)) + 1.0 * np.eye(classes)[targets][:, None]
    ages = np.where(targets == 1, 65, 40) + rng.normal(0, 10, count)
    rows = [{} if n % 3 == 0 else {"age": age} for n, age in enumerate(ages)]
    known = np.concatenate([TOLD.encode(row) for row in rows]).astype(np.float64)
    return softmax(logits, axis=2), targets, known


def second(said: np.ndarray, targets: np.ndarray) -> float:
    return auc(targets == 1, said[:, 1])


@pytest.mark.parametrize("classes", [2, 3])
def test_what_is_known_helps_and_what_is_not_costs_nothing_else(classes: int) -> None:
    members, targets, known = patients(classes=classes)
    unknown = np.tile(NOTHING, (len(known), 1))
    told = fit_logistic(members, targets, known, NOTHING, HOW)
    blind = fit_logistic(members, targets, known[:, :0], NOTHING[:0], HOW)
    said, withheld = combine(told, members, known), combine(told, members, unknown)
    alone = combine(blind, members, known[:, :0])
    for each in (said, withheld, alone):
        np.testing.assert_allclose(each.sum(axis=1), 1, rtol=1e-5)
    assert second(said, targets) > second(alone, targets) + 0.03
    assert second(withheld, targets) == pytest.approx(second(alone, targets), abs=0.01)
    np.testing.assert_allclose(withheld.mean(axis=0), alone.mean(axis=0), atol=0.02)


def test_that_an_age_is_missing_says_nothing() -> None:
    """Even where it is missing from one class alone, as a clinic's table might have it."""
    members, targets, known = patients()
    known[targets == 0] = NOTHING
    net = fit_logistic(members, targets, known, NOTHING, HOW)
    blind = fit_logistic(members, targets, known[:, :0], NOTHING[:0], HOW)
    unknown = combine(net, members, np.tile(NOTHING, (len(known), 1)))
    alone = combine(blind, members)
    np.testing.assert_allclose(unknown.mean(axis=0), alone.mean(axis=0), atol=0.02)
    assert np.abs(unknown - alone).max() < 0.1


@pytest.mark.parametrize("there", [(0, 1), (0, 2), (1,)])
def test_a_part_may_lack_a_class(there: tuple[int, ...]) -> None:
    members, targets, known = patients()
    some = np.isin(targets, there)
    net = fit_logistic(members[some], targets[some], known[some], NOTHING, HOW)
    said = combine(net, members[some], known[some])
    np.testing.assert_allclose(said.sum(axis=1), 1, rtol=1e-5)
    absent = [code for code in range(3) if code not in there]
    assert said[:, absent].max() < 1e-3
    if len(there) == 2:
        assert (said.argmax(axis=1) == targets[some]).mean() > 0.8


def test_each_part_is_fitted_on_what_it_may_know() -> None:
    members, targets, known = patients(300)
    fields = tiny_recipe() | {"metadata": METADATA, "ensemble": {"kind": "logistic"}}
    recipe = Recipe.model_validate(fields)
    folds = np.arange(300) % 2
    unseen = {"0": np.flatnonzero(folds == 0), "1": np.flatnonzero(folds == 1)}
    said = dict.fromkeys(unseen, members)
    nets = fit_combiners(recipe, Material(said, unseen, targets, known, NOTHING))
    spoilt = np.where(folds == 0, (targets + 1) % 3, targets)
    again = fit_combiners(recipe, Material(said, unseen, spoilt, known, NOTHING))
    assert torch.equal(nets["0"].weights, again["0"].weights), "its own fold was not looked at"
    assert not torch.equal(nets["1"].weights, again["1"].weights)


def test_a_recipe_without_metadata_tells_none() -> None:
    with pytest.raises(ValidationError, match="the recipe says of none"):
        Recipe.model_validate(tiny_recipe() | {"ensemble": {"kind": "logistic"}})
    quiet = {"kind": "logistic", "metadata": False}
    assert Recipe.model_validate(tiny_recipe() | {"ensemble": quiet}).ensemble is not None


@pytest.mark.parametrize("told", [True, False])
def test_the_graph_says_the_same(told: bool) -> None:
    import onnxruntime

    members, targets, known = patients(60)
    known = known if told else known[:, :0]
    net = fit_logistic(members, targets, known, NOTHING[: known.shape[1]], HOW)
    shapes = [members.shape[1:], known.shape[1:]] if told else [members.shape[1:]]
    graph = to_onnx(EnsembleGraph(net, known.shape[1]), *shapes)
    feeds = {"members": members.astype(np.float32), "metadata": known.astype(np.float32)}
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    asked = {item.name: feeds[item.name] for item in session.get_inputs()}
    assert len(asked) == len(shapes)
    (said,) = session.run(None, asked)
    np.testing.assert_allclose(said, combine(net, members, known), atol=1e-5)
