"""All that a screen may say stands in words.js, what the device says itself included."""

from __future__ import annotations

import json
import re
from pathlib import Path

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
    sources.append(runtime.parent / "export/acquisition.py")
    said = "".join(file.read_text(encoding="utf-8") for file in sources)
    assert [each for each in sentences() if f'"{each}"' not in said] == []


def test_every_word_that_is_asked_for_is_there() -> None:
    keys = set(re.findall(r"^  (\w+):", WORDS, re.MULTILINE))
    pages = "".join(file.read_text(encoding="utf-8") for file in STATIC.glob("*.*"))
    asked = set(re.findall(r'\bsay\("(\w+)"|data-(?:word|label)="(\w+)"', pages))
    assert {one or other for one, other in asked} <= keys
