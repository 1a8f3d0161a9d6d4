"""Errors end a verb alike, whether it is called as `dermedge VERB` or as a script."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from runtime import cli, command
from runtime.errors import BackendError, BundleError, DermedgeError, GateError, InputError

ERRORS = [
    (InputError("No picture.", got="nothing", expected="one", remedy="name one"), 2),
    (BundleError("Not a bundle."), 3),
    (BackendError("No engine."), 4),
    (GateError("Worse."), 5),
    (DermedgeError("Something else."), 1),
    (KeyboardInterrupt(), 130),
]


def failing(error: BaseException) -> click.Command:
    @click.command("fail", cls=command.Verb)
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda value: type(value).__name__)
def test_exit_codes(error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = CliRunner().invoke(failing(error), [])
    monkeypatch.setattr(cli.Verbs, "get_command", lambda *_: failing(error))
    within = CliRunner().invoke(cli.main, ["infer"])
    for result in (alone, within):
        assert result.exit_code == code
        assert "Traceback" not in result.output
        assert result.stdout == ""
    assert alone.stderr == within.stderr
    if isinstance(error, DermedgeError):
        assert str(error) in alone.stderr


def test_a_message_says_got_expected_and_remedy() -> None:
    output = CliRunner().invoke(failing(ERRORS[0][0]), []).stderr
    assert output.splitlines() == [
        "Error: No picture.",
        "  got: nothing",
        "  expected: one",
        "  try: name one",
    ]


def test_a_name_that_is_no_text_can_be_printed() -> None:
    result = CliRunner().invoke(failing(InputError("caf\udce9.jpg is empty.")), [])
    assert result.exit_code == 2
    assert "caf" in result.stderr


def test_a_missing_library_names_its_extra() -> None:
    error = ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")
    result = CliRunner().invoke(failing(error), [])
    assert result.exit_code == 4
    assert "pip install 'dermedge[train]'" in result.stderr


def test_a_defect_keeps_its_traceback() -> None:
    for error in (ZeroDivisionError("oops"), ModuleNotFoundError("no 'xyz'", name="xyz")):
        result = CliRunner().invoke(failing(error), [])
        assert result.exit_code == 1
        assert result.exception is error


def test_help_lists_every_verb_without_importing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} was imported")

    monkeypatch.setattr(cli.importlib, "import_module", refuse)
    output = CliRunner().invoke(cli.main, ["--help"]).output
    for name, (_, text) in cli.VERBS.items():
        assert f"{name} " in output
        assert text in output


def test_an_unknown_verb() -> None:
    result = CliRunner().invoke(cli.main, ["infre"])
    assert result.exit_code == 2
    assert "infre" in result.stderr
