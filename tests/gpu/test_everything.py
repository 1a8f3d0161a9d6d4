"""That the one command for a GPU asks for what there is: nobody may be near when it runs."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click
import pytest

from tests.gpu import everything

COMMANDS = {"runtime.doctor": "command", "runtime.build": "command", "runtime.bench": "command"}
COMMANDS |= {"export.bench_gpu": "command"}


@pytest.mark.parametrize("usable", [["tensorrt", "tensorrt_rtx"], []])
def test_its_steps_can_be_begun(
    usable: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        everything, "why_unusable", lambda name: None if name in usable else "not here"
    )
    names = []
    for step in everything.steps(tmp_path, tmp_path):
        names.append(step.name)
        rest = list(step.words[1:])
        if not rest:
            continue
        if step.words[0] == "compute-sanitizer":
            rest = rest[3:]
        assert rest[0] == "-m"
        module, words = rest[1], rest[2:]
        if module == "pytest":
            assert all(Path(word).exists() for word in words if word.endswith(".py"))
            continue
        command = getattr(import_module(module), COMMANDS.get(module, "main"))
        assert isinstance(command, click.Command)
        command.make_context(module, list(words))
    assert names[:6] == ["smi", "doctor", "kernels", "sanitizer", "rtx", "costs"]
    assert any(name.startswith("bench tensorrt_rtx") for name in names) == bool(usable)
    assert names[-1] == "stand-in"  # as nothing has run here, whatever was usable


def test_where_there_is_none_it_says_so() -> None:
    if everything.why_no_gpu() is None:
        pytest.skip("there is a GPU here")
    with pytest.raises(SystemExit, match="no GPU here"):
        everything.main.main([], standalone_mode=False)
