"""The report: self-contained, safe against hostile names, complete, and of bounded memory."""

from __future__ import annotations

import base64
import gc
import hashlib
import json
import re
import weakref
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.chain import Analysis
from runtime.errors import InputError, UsageError
from runtime.lesion import find_lesion
from runtime.overlay import draw_overlay, overlay_name
from runtime.record import BackendRecord, BundleRecord, LesionRecord, Result
from runtime.report import write_report
from runtime.reporting import gallery
from runtime.reporting.page import render
from runtime.reporting.reading import RunFacts
from runtime.reporting.summary import LISTED, TOP, UNDECIDED, Summary

VOID = {"meta", "link", "img", "br", "rect", "line", "circle"}
RUN = {
    "command": "dermedge infer --folder in --out out",
    "bundle": {
        "name": "demo",
        "version": "1.2.0",
        "digest": "ab" * 32,
        "recipe": "edge",
        "intended_use": "Research on\nphantoms.",
        "positive": ["melanoma"],
        "decision": {
            "score": "melanoma",
            "threshold": 0.4,
            "threshold_interval": {"low": 0.35, "high": 0.44, "level": 0.95},
            "operating_point": {
                "target_sensitivity": 0.9,
                "sensitivity": 0.91,
                "sensitivity_interval": {"low": 0.85, "high": 0.95, "level": 0.95},
                "specificity": 0.6,
                "positives": 100,
                "negatives": 400,
                "predictions": "out of fold",
            },
        },
        "provenance": {"data": [{"name": "ISIC 2017", "images": 2000}]},
    },
    "machine": {"cpu": "a <fast> one"},
    "started": "2026-07-14T09:00:00+00:00",
    "finished": None,
}


class Page(HTMLParser):
    """Tags with their attributes, text, and whether what was opened is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def count(self, tag: str, class_: str = "") -> int:
        return sum(
            name == tag and class_ in found.get("class", "").split() + [""]
            for name, found in self.tags
        )


def record(index: int = 0, **changes: object) -> Result:
    score = changes.pop("score", 0.7)
    fields = {
        "source": f"in/{index}.jpg",
        "sha256": f"{index:064x}",
        "time": "2026-07-14T09:00:01.250+00:00",
        "status": "ok",
        "score": score,
        "threshold": 0.4,
        "refer": True,
        "probabilities": {"melanoma": score or 0.0, "nevus": 1 - float(str(score or 0))},
        "members": {"a": {"melanoma": 0.6, "nevus": 0.4}, "b": {"melanoma": 0.8, "nevus": 0.2}},
        "disagreement": 0.1,
        "lesion": LesionRecord(box=(1, 2, 3, 4), area_fraction=0.2, touches_border=False),
        "quality": {"focus": 123.4, "glare": 0.001},
        "metadata": {"age": 55, "site": None},
        "timing_ms": {"decode": 5.0, "segment": 7.0, "total": 20.0},
        "bundle": BundleRecord(name="demo", version="1.2.0", digest="ab" * 32),
        "backend": BackendRecord(
            name="openvino", mode="host", device="CPU", precision={"a": "fp32", "b": "int8"}
        ),
    }
    return Result.model_validate({**fields, **changes})


def broken(index: int = 0, reason: str = "the file is torn") -> Result:
    return Result(status="error", source=f"bad/{index}.jpg", reason=reason)


def made(out: Path, *results: Result, run: object = RUN) -> str:
    lines = "".join(result.to_json() + "\n" for result in results)
    (out / "results.jsonl").write_bytes(lines.encode("utf-8", "surrogateescape"))
    if run is not None:
        (out / "run.json").write_text(json.dumps(run))
    return write_report(out).read_text(encoding="utf-8")


def add_overlay(out: Path, result: Result) -> None:
    mask = np.zeros((32, 32), dtype=np.uint8)
    mask[10:20, 10:20] = 1
    frame = np.full((120, 160, 3), 180, dtype=np.uint8)
    sheet = draw_overlay(frame, Analysis(result, find_lesion(mask, 120, 160), None))
    (out / "overlays").mkdir(exist_ok=True)
    cv2.imwrite(str(out / "overlays" / overlay_name(result.source, result.sha256)), sheet)


def test_a_report_tells_what_a_reader_needs(tmp_path: Path) -> None:
    one = record(1, score=0.81)
    add_overlay(tmp_path, one)
    page = Page(made(tmp_path, one, record(2, score=0.2, refer=False), broken(3)))
    for words in (
        "Decision support, not a diagnosis",
        "the probability of melanoma according to networks trained on ISIC 2017 (2,000 images)",
        "chosen for a sensitivity of 90%",
        "between 0.350 and 0.440",
        "91% (95% interval 85% to 95%) of the 100 lesions that were melanoma",
        "about 9 in 100 such lesions score below it",
        "Research on phantoms.",
        "demo 1.2.0",
        "ab" * 32,
        "openvino on CPU (host), a fp32, b int8",
        "a <fast> one",
        "14 July 2026, 09:00:01 UTC",
        "No referral by this threshold",
        "the file is torn",
        "0.810",
        "threshold 0.400",
        "age 55",
        "123",
        "20 ms",
    ):
        assert words in page.text, words
    pictures = [found for tag, found in page.tags if tag == "img"]
    assert [picture["class"] for picture in pictures] == ["frame", "crop"]
    for picture in pictures:
        data = base64.b64decode(picture["src"].removeprefix("data:image/jpeg;base64,"))
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        assert image.shape[:2] == (int(picture["height"]), int(picture["width"]))


def test_the_page_asks_nobody_for_anything(tmp_path: Path) -> None:
    one = record(1)
    add_overlay(tmp_path, one)
    text = made(tmp_path, one, record(2), broken(3))
    assert not re.search(r"https?:|@import|url\(", text)
    page = Page(text)
    for _, found in page.tags:
        for name in ("src", "href", "action", "srcset", "poster", "data"):
            assert re.match(r"data:|#|$", found.get(name, "")), found
        assert not any(name.startswith("on") or name == "style" for name in found)
    policy = next(found["content"] for _, found in page.tags if "content" in found and
                  "http-equiv" in found)  # fmt: skip
    assert "default-src 'none'" in policy
    for tag in ("style", "script"):
        block = re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert block
        digest = base64.b64encode(hashlib.sha256(block[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


HOSTILE = [
    "<script>alert(1)</script>.jpg",
    '"><img src=x onerror=alert(1)>.jpg',
    "' onmouseover='x",
    "two\nlines\r\t.jpg",
    "turned\u202egpj.exe",
    "not\udcff\udc80text.jpg",
    "</style></script><!-- ]]>",
    "&amp;&lt;",
    "",
    "\0",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text_and_nothing_else(tmp_path: Path, name: str) -> None:
    results = [
        record(1, source=name, metadata={name: name}, reason=name, status="abstained", refer=None),
        record(2, source=name, quality={name: 1.0}, timing_ms={name: 2.0, "total": 3.0}),
        broken(3, reason=name).model_copy(update={"source": name}),
    ]
    run = {"command": name, "machine": {name: name}, "bundle": {"name": name, "recipe": name}}
    harmless = [result.model_copy(update={"source": "x", "reason": "x"}) for result in results]
    page = Page(made(tmp_path, *results, run=run))
    # The same elements in the same order as with a harmless name: nothing was smuggled in.
    if name:
        other = Page(made(tmp_path, *harmless, run=run))
        assert [tag for tag, _ in page.tags] == [tag for tag, _ in other.tags]
    assert "\u202e" not in page.text
    assert "\0" not in page.text
    if "lines" in name:
        assert r"two\nlines\r\t.jpg" in page.text
    if "udcff" in ascii(name):
        assert r"not\udcff\udc80text.jpg" in page.text


@given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=60))
def test_any_name_is_shown_as_it_is(name: str) -> None:
    summary = Summary()
    summary.add(record(1, source=name))
    text = "".join(render(summary, RunFacts(RUN), Path("nowhere")))
    heads = re.findall(r'<h3 id="r1-name">(.*?)</h3>', text)
    assert len(heads) == 1
    text.encode("utf-8")
    if name.isprintable():
        assert name in Page(heads[0]).text


def test_names_that_are_not_utf8_survive_the_file(tmp_path: Path) -> None:
    line = json.dumps(json.loads(record(1).to_json()) | {"source": "\ud800.jpg"})
    (tmp_path / "results.jsonl").write_text(line + "\n")
    assert r"\ud800.jpg" in Page(write_report(tmp_path).read_text(encoding="utf-8")).text


@pytest.mark.parametrize("run", [None, {}, [], {"bundle": None, "decision": 3, "machine": []}, RUN])
def test_nothing_at_all_is_a_report_too(tmp_path: Path, run: object) -> None:
    page = Page(made(tmp_path, run=run))
    assert "No image got a score." in page.text
    assert "0 images" in page.text
    assert "Decision support, not a diagnosis" in page.text


def test_only_errors(tmp_path: Path) -> None:
    page = Page(made(tmp_path, *(broken(index) for index in range(3)), run=None))
    assert page.count("article") == 0
    assert page.count("tr") == 1 + 3
    assert "run.json is missing" in page.text


def test_without_a_threshold_nothing_is_decided(tmp_path: Path) -> None:
    run = {"bundle": {"decision": {"score": "melanoma"}}}
    page = Page(made(tmp_path, record(1, threshold=None, refer=None), run=run))
    assert "This bundle has no threshold yet" in page.text
    assert "Score only" in page.text
    assert "“Refer” means" not in page.text


def test_missing_and_damaged_pictures_are_said_to_be(tmp_path: Path) -> None:
    good, missing, torn, foreign = (record(index) for index in range(4))
    add_overlay(tmp_path, good)
    overlays = tmp_path / "overlays"
    (overlays / overlay_name(torn.source, torn.sha256)).write_bytes(b"\xff\xd8\xff\xe0 no JPEG")
    small = np.zeros((20, 20, 3), dtype=np.uint8)
    cv2.imwrite(str(overlays / overlay_name(foreign.source, foreign.sha256)), small)
    page = Page(made(tmp_path, good, missing, torn, foreign))
    assert page.count("div", "missing") == 3
    assert page.count("img") == 2


def test_lines_that_are_no_records_are_counted(tmp_path: Path) -> None:
    lines = [record(1).to_json(), '{"torn": ', "[" * 100_000, "null", '{"status":"fine"}', ""]
    (tmp_path / "results.jsonl").write_text("\n".join(lines))
    page = Page(write_report(tmp_path).read_text(encoding="utf-8"))
    assert "4 lines of results.jsonl could not be read and are not in this report." in page.text
    assert page.count("article") == 1


def test_what_is_not_pictured_is_said(tmp_path: Path) -> None:
    page = Page(made(tmp_path, *(record(index) for index in range(TOP + 7))))
    assert page.count("article") == TOP
    assert "7 more to refer are not pictured here." in page.text


def test_the_list_of_errors_ends_and_says_so(tmp_path: Path) -> None:
    many = [broken(index) for index in range(LISTED + 4)]
    page = Page(made(tmp_path, record(1, status="abstained", refer=None), *many))
    assert page.count("tr") == 1 + LISTED
    assert "5 more are in results.csv." in page.text


def test_memory_does_not_grow_with_the_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: weakref.WeakSet[Result] = weakref.WeakSet()
    most = 0

    def endless(_: Path) -> Iterator[Result]:
        nonlocal most
        for index in range(6000):
            status = ("ok", *UNDECIDED)[index % 4]
            result = broken(index) if status == "error" else record(
                index, status=status, refer=None, score=(index * 7919 % 6000) / 6000
            )  # fmt: skip
            alive.add(result)
            yield result
            del result
            most = max(most, len(alive))

    monkeypatch.setattr("runtime.report.read_results", endless)
    monkeypatch.setattr(Result, "__hash__", object.__hash__)  # a record is frozen, its dicts not
    gc.collect()
    page = Page(write_report(tmp_path).read_text(encoding="utf-8"))
    assert "6,000 images" in page.text
    assert most <= TOP + len(UNDECIDED) * LISTED + 3


def test_pictures_are_loaded_one_card_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(gallery, "load_pictures", lambda _, result: loaded.append(result.source))
    summary = Summary()
    for index in range(5):
        summary.add(record(index))
    counts = [len(loaded) for piece in render(summary, RunFacts({}), Path()) if "<article" in piece]
    assert counts == [1, 2, 3, 4, 5]


def test_an_old_report_is_kept_until_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = made(tmp_path, record(1))

    def fails(*_: object) -> Iterator[str]:
        yield "half a page"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("runtime.report.render", fails)
    with pytest.raises(UsageError, match="cannot be written"):
        write_report(tmp_path)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == old
    assert {path.name for path in tmp_path.iterdir()} == {
        "report.html", "results.jsonl", "run.json",
    }  # fmt: skip


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="results of the scan cannot be read"):
        write_report(tmp_path)
