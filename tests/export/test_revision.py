"""Which code a bundle says it was made by."""

from __future__ import annotations

import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from export.revision import code_revision

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def commit(folder: Path) -> None:
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", str(folder), *words], check=True)


@needs_git
def test_a_checkout_has_a_commit_and_says_when_it_was_changed(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("1")
    commit(tmp_path)
    clean = code_revision(tmp_path.resolve())
    assert clean.startswith(version("dermedge") + " (")
    (tmp_path / "code.py").write_text("2")
    assert code_revision(tmp_path.resolve()) == clean.replace(")", "-dirty)")


@needs_git
def test_the_repository_around_an_installation_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "code.py").write_text("1")
    commit(tmp_path)
    assert code_revision(tmp_path / "site") == version("dermedge")


def test_without_a_repository_it_is_the_version(tmp_path: Path) -> None:
    assert code_revision(tmp_path) == version("dermedge")
