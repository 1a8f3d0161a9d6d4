"""All that a screen may say stands in words.js, what the device says itself included."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from export.acquisition import ACQUISITION
from runtime.capture import camera
from runtime.chain import NO_LESION

STATIC = Path(__file__).parents[3] / "runtime/web/static"
WORDS = (STATIC / "words.js").read_text(encoding="utf-8")


def sentences() -> dict[str, str]:
    """As JSON has them, which is nearly as they stand there."""
    (table,) = re.findall(r"const sentences = (\{.*?\n\});", WORDS, re.DOTALL)
    plain = re.sub(r"^ *//.*$", "", table, flags=re.MULTILINE)
    found: dict[str, str] = json.loads(re.sub(r",(\s*\})", r"\1", plain))
    return found


def test_what_the_device_says_can_be_translated() -> None:
    hints = {limit["hint"] for limit in ACQUISITION.values()}
    reasons = {camera.SILENT, camera.STILL, camera.BLACK, camera.HELD}
    assert hints | reasons | {NO_LESION} <= sentences().keys()


def test_every_sentence_is_one_that_the_device_says() -> None:
    """One that was changed there would quietly no longer be found here."""
    runtime = STATIC.parents[1]
    sources = [*runtime.glob("*.py"), *runtime.glob("capture/*.py"), *runtime.glob("store/*.py")]
    sources += runtime.glob("web/*.py")
    sources.append(runtime.parent / "export/acquisition.py")
    said = "".join(file.read_text(encoding="utf-8") for file in sources)
    assert [each for each in sentences() if f'"{each}"' not in said] == []


REFUSING = [
    "capture/loop.py", "capture/station.py", "web/app.py", "web/asked.py", "web/guard.py",
    "web/pictures.py",
]  # fmt: skip
ERRORS = {"DermedgeError", "InputError", "NotCaptured", "TooSlow", "UsageError"}
LABELLED = {"got", "expected", "remedy"}


@pytest.mark.parametrize("name", REFUSING)
def test_why_something_was_refused_can_be_translated(name: str) -> None:
    """What carries a value is no sentence that could be looked up: a value stands in `got`."""
    found = refusals(ast.parse((STATIC.parents[1] / name).read_text(encoding="utf-8")))
    assert [ast.unparse(each) for each in found if isinstance(each, ast.JoinedStr)] == []
    texts = {str(each.value) for each in found if isinstance(each, ast.Constant)}
    assert texts
    assert texts - sentences().keys() == set()


def refusals(tree: ast.AST) -> list[ast.expr]:
    """What errors and short answers say first of all, and what of the rest carries no value."""
    found: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ERRORS:
                found.append(node.args[0])
                words = [each.value for each in node.keywords if each.arg in LABELLED]
                found += [each for each in words if isinstance(each, ast.Constant)]
            if node.func.id == "_no":
                found.append(node.args[1])
        if isinstance(node, ast.Dict) and [ast.unparse(k) for k in node.keys if k] == ["'what'"]:
            found += node.values
    return found


def test_every_word_that_is_asked_for_is_there() -> None:
    keys = set(re.findall(r"^  (\w+):", WORDS, re.MULTILINE))
    pages = "".join(file.read_text(encoding="utf-8") for file in STATIC.glob("*.*"))
    asked = set(re.findall(r'\bsay\("(\w+)"|data-(?:word|label)="(\w+)"', pages))
    assert {one or other for one, other in asked} <= keys
