"""`dermedge VERB` and the verb's script are one click command, and each explains itself."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from runtime.cli import VERBS, main
from tests.boundaries.source_tree import ROOT
from tests.boundaries.test_import_alone import OPTIONAL, import_each
from tests.boundaries.test_import_law import PYTORCH

MODULES = {verb: module for verb, (module, _) in VERBS.items()}


def pages(command: click.Command, *path: str) -> Iterator[tuple[list[str], click.Command]]:
    """A verb, or where it is a group each of its own verbs."""
    if not isinstance(command, click.Group):
        yield list(path), command
        return
    for name, inner in command.commands.items():
        yield from pages(inner, *path, name)


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example(verb: str) -> None:
    command = importlib.import_module(MODULES[verb]).command
    assert isinstance(command, click.Command)
    for path, _ in pages(command, verb):
        done = CliRunner().invoke(main, [*path, "--help"], prog_name="dermedge")
        assert done.exit_code == 0, done.output
        usage, _, rest = done.output.partition("\n")
        assert usage.startswith(f"Usage: dermedge {' '.join(path)}")
        assert "Example" in rest
        assert f"dermedge {' '.join(path)} " in rest + " ", f"no example of {path}"


@pytest.mark.parametrize("verb", VERBS)
def test_the_script_runs_the_same_command(verb: str) -> None:
    source = ROOT.joinpath(*MODULES[verb].split(".")).with_suffix(".py")
    last = ast.parse(source.read_text(encoding="utf-8")).body[-1]
    assert ast.unparse(last).startswith("if __name__ == '__main__':\n    command(")


def test_a_script_is_found_by_its_path() -> None:
    """It has runtime/ at the front of its path, where nothing may shadow a library."""
    done = subprocess.run(
        [sys.executable, "runtime/doctor.py", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Example" in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_loads_without_what_only_its_work_needs(verb: str) -> None:
    """So `--help` is there at once, and a missing extra is an error with a remedy."""
    loaded = import_each(tuple(MODULES.values()), PYTORCH + OPTIONAL)
    assert loaded[MODULES[verb]] is None


def test_the_table_loads_nothing_heavy() -> None:
    code = "import sys, runtime.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"numpy", "cv2", "pydantic", "rich", "torch", "openvino", "train", "export"}
    assert heavy & set(done.stdout.split()) == set()


def test_every_verb_of_the_table_is_listed() -> None:
    listed = CliRunner().invoke(main, ["--help"]).output
    assert all(f"\n  {verb} " in listed for verb in VERBS)
