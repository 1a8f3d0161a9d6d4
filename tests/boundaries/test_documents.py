"""A document that names a file which is gone, or links to nowhere, is worse than none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.boundaries.source_tree import PACKAGES, ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
FOLDERS = "|".join((*PACKAGES, "tests", "docs"))


def dead_ends(document: Path, text: str) -> list[str]:
    named = re.findall(rf"`((?:{FOLDERS})/[\w./-]+)`", text)
    dead = [name for name in named if not (ROOT / name).exists()]
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path = target.partition("#")[0]
        if path and not re.match(r"[a-z]+:", path) and not (document.parent / path).exists():
            dead.append(target)
    return dead


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_is_there(document: Path) -> None:
    assert dead_ends(document, document.read_text(encoding="utf-8")) == []


def test_the_check_sees_dead_ends() -> None:
    text = "`runtime/gone.py` [a](nowhere.md) [b](https://example.org) [c](#here) `runtime/cli.py`"
    assert dead_ends(ROOT / "README.md", text) == ["runtime/gone.py", "nowhere.md"]
