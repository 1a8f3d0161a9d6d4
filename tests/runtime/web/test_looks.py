"""Colours that can be read (WCAG AA), and words that are all in one file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runtime.web.app import STATIC

PAIRS = [
    ("ink", "paper"), ("ink", "card"), ("quiet", "card"), ("quiet", "paper"), ("accent", "card"),
    ("on-accent", "accent"), ("good", "paper"), ("good", "card"), ("alert", "card"),
    ("alert", "paper"), ("doubt", "paper"), ("doubt", "card"), ("ink", "line"),
]  # fmt: skip
LARGE = [("fill", "line"), ("line", "paper")]  # shapes, not text


def palettes() -> list[dict[str, str]]:
    text = (STATIC / "screen.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", text, re.DOTALL)
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w{6});", block)) for block in blocks)
    return [light, {**light, **dark}]


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_measure() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("palette", palettes(), ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_can_be_read(palette: dict[str, str], text: str, ground: str) -> None:
    assert contrast(palette[text], palette[ground]) >= 4.5


def test_every_word_is_in_one_file() -> None:
    words = set(re.findall(r"^  (\w+):", (STATIC / "words.js").read_text(), re.MULTILINE))
    asked: set[str] = set()
    for file in STATIC.iterdir():
        if file.suffix in (".js", ".html"):
            text = file.read_text()
            asked |= set(re.findall(r"data-(?:word|label)=\"(\w+)\"", text))
            asked |= set(re.findall(r"say\(\"(\w+)\"", text))
    groups = {"refer", "no_referral", "score_only", "abstained", "rejected", "error"}
    told = ("opening", "live", "stalled", "lost", "reopening", "unseen", "gone")
    states = {f"state_{state}" for state in told}
    assert asked | groups | states <= words
    unused = words - asked - groups - states - {f"{name}_why" for name in groups}
    assert unused <= {"female", "male"}, unused


def test_pages_hold_no_text_of_their_own() -> None:
    for page in STATIC.glob("*.html"):
        body = page.read_text().partition("<body")[2]
        text = re.sub(r"<[^>]*>", "", body.partition(">")[2])
        assert set(text.split()) <= {"CSV", "JSONL", "ZIP"}, page.name


def test_nothing_is_loaded_from_elsewhere() -> None:
    for file in STATIC.iterdir():
        addresses = re.findall(r"https?://[\w./]+", file.read_text())
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, file.name
    assert isinstance(STATIC, Path)
