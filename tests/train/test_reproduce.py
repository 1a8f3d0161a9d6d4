"""A paper's tables beside ours: what a fold is judged by, and the whole command on phantoms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tests.train.test_recipe import zoome
from tests.train.tiny import write_data
from train import reproduce
from train.recipe_files import parse_recipe
from train.reproducing.by_fold import by_fold, youden
from train.reproducing.published import TABLES, PaperTable, Row


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=60))
def test_no_threshold_is_better_than_youdens(cases: list[tuple[int, bool]]) -> None:
    scores = np.array([score for score, _ in cases], dtype=np.float64)
    positive = np.array([truth for _, truth in cases])
    if positive.all() or not positive.any():
        return

    def index(threshold: float) -> float:
        called = scores >= threshold
        return float(called[positive].mean() - called[~positive].mean())

    best = max(index(threshold) for threshold in np.unique(scores))
    assert index(youden(scores, positive)) == pytest.approx(max(best, index(scores.min())))


def test_a_folds_threshold_is_not_its_own() -> None:
    """Fold 1 scores everything higher: by a threshold of its own it would be without a fault."""
    scores = np.array([0.1, 0.2, 0.8, 0.9, 1.1, 1.2, 1.8, 1.9])
    positive = np.array([False, False, True, True] * 2)
    folds = np.repeat([0, 1], 4)
    found = by_fold(scores, positive, folds)
    assert (found["auc"].mean, found["auc"].deviation) == (100, 0)
    # Fold 0 is asked at 1.8 and finds nothing; fold 1 at 0.8 and calls everything.
    assert (found["sensitivity"].mean, found["specificity"].mean) == (50, 50)
    assert str(found["accuracy"]) == "50.00±0.00"


def test_rows_name_variants_that_there_are() -> None:
    for name, tables in TABLES.items():
        for row in (row for table in tables for row in table.rows):
            for light in (False, True):
                recipe = reproduce._recipe(name, row, light)
                if recipe is not None:
                    assert recipe.name.startswith(name)
                    assert len(recipe.members) == 1  # whose probabilities are compared
            assert set(row.paper) <= set(tables[0].columns)


@pytest.mark.slow
def test_the_tables_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = PaperTable(
        "Table I",
        ("accuracy", "auc"),
        (
            Row("ours", "", {"accuracy": "84.59±2.94"}),
            Row("nothing known", "", {}, without=("age",), note="what it costs"),
            Row("theirs", None, {"accuracy": "77.77±5.04"}, note="another network"),
        ),
    )
    monkeypatch.setitem(TABLES, "zoome", (table,))
    recipe = parse_recipe(yaml.safe_dump(zoome()), "tiny")
    monkeypatch.setattr(
        reproduce, "_recipe", lambda name, row, light: None if row.variant is None else recipe
    )
    words = ["zoome", "--data", str(write_data(tmp_path / "data")), "--out", str(tmp_path / "out")]
    words += ["--split", "paper"]
    done = CliRunner().invoke(reproduce.command, [*words, "--workers", "0"])
    assert done.exit_code == 0, done.output
    (found,) = json.loads((tmp_path / "out" / "tables.json").read_text())
    ours, unknown, theirs = found["rows"]
    assert ours["ours"].keys() == {"accuracy", "sensitivity", "specificity", "auc"}
    assert unknown["ours"] != ours["ours"]
    assert theirs["ours"] == {}
    assert "random weights; 2 folds by image" in ours["differs"]
    text = (tmp_path / "out" / "tables.md").read_text(encoding="utf-8")
    assert "| theirs | 77.77±5.04 | – | – | – | another network |" in text
    assert not (tmp_path / "out" / "tiny" / "members" / "zoome" / "final").exists()
    again = CliRunner().invoke(reproduce.command, [*words, "--workers", "0"])
    assert again.exit_code == 0
    assert "epoch" not in again.output  # nothing is trained twice
