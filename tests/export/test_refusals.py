"""What export does not do, and what it says then. Nothing here gets as far as a graph."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from export.finished_run import flat
from runtime.errors import UsageError
from runtime.target_folder import beside, check_replaceable
from tests.bundle_factory import make_bundle
from tests.export.conftest import export
from tests.export.runs import write_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


def drop(name: str) -> Callable[[Path], None]:
    return lambda run: (run / name).unlink()


def rename_a_member(run: Path) -> None:
    recipe = json.loads((run / "recipe.json").read_text())
    recipe["members"]["../evil"] = recipe["members"].pop("second")
    (run / "recipe.json").write_text(json.dumps(recipe))


def widen_the_segmenter(run: Path) -> None:
    recipe = json.loads((run / "recipe.json").read_text())
    recipe["segmenter"]["network"]["width"] = 8
    (run / "recipe.json").write_text(json.dumps(recipe))


def cut_off(run: Path) -> None:
    file = run / "segmenter" / "final" / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (drop("recipe.json"), "is not the folder of a run"),
        (drop("figures.json"), "no figures.json"),
        (drop("segmenter/final/weights.safetensors"), "segmenter/final is still to be trained"),
        (drop("segmenter/final/stage.json"), "no stage.json"),
        (rename_a_member, "../evil"),
        (widen_the_segmenter, "do not fit the run's recipe"),
        (cut_off, "do not fit the run's recipe"),
    ],
)
def test_an_unfinished_or_changed_run_is_refused(
    run: Path, tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    damage(run)
    done = export("--run", run, "--out", tmp_path / "bundle")
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fold", "2"], "expected: 0 to 1"),
        (["--golden", "nowhere"], "There is no golden image"),
        (["--onnx", "a.yaml"], "got: both"),
    ],
)
def test_options_that_make_no_sense(
    run: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    done = export("--run", run, "--out", tmp_path / "bundle", *options)
    assert done.exit_code == 2
    assert said in done.output


def test_neither_run_nor_graphs(tmp_path: Path) -> None:
    done = export("--out", tmp_path / "bundle")
    assert done.exit_code == 2
    assert "got: neither" in done.output


def test_help_has_examples() -> None:
    done = export("--help")
    assert done.exit_code == 0
    assert "dermedge export --onnx" in done.output


def test_only_a_bundle_is_replaced(tmp_path: Path) -> None:
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "chapter1.tex").write_text("a year's work")
    done = export("--run", tmp_path, "--out", precious)
    assert done.exit_code == 2
    assert "not a bundle that may be replaced" in done.output
    assert (precious / "chapter1.tex").read_text() == "a year's work"


def test_a_bundle_with_a_foreign_file_is_not_replaced(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    check_replaceable(bundle.path)
    (bundle.path / "models" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="may be replaced") as caught:
        check_replaceable(bundle.path)
    assert "models/notes.txt" in str(caught.value)


def test_a_failure_leaves_the_old_bundle_and_no_rest(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    before = (bundle.path / "bundle.json").read_bytes()

    def fail() -> None:
        with beside(bundle.path) as folder:
            (folder / "half.onnx").write_bytes(b"half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fail()
    assert (bundle.path / "bundle.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_new_bundle_takes_the_old_one_s_place(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    with beside(bundle.path) as folder:
        (folder / "new").write_text("new")
    assert [path.name for path in bundle.path.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_figures_are_flattened() -> None:
    figures = {"auc": {"all": {"mean": {"low": 0.7, "high": None}}}, "dice": 0.5}
    expected = {"auc.all.mean.low": 0.7, "auc.all.mean.high": None, "dice": 0.5}
    assert dict(flat(figures)) == expected
