"""One record as a reader sees it: pictures, decision, score, classes, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runtime.heatmap import MEANING
from runtime.record import Result
from runtime.reporting.markup import Child, Markup, el, facts_list
from runtime.reporting.pictures import Picture
from runtime.reporting.plots import class_bar, gauge, members_of
from runtime.reporting.reading import spelled
from runtime.reporting.wording import (
    group_of,
    milliseconds,
    moment,
    number,
    percent,
    plain,
    score_and_threshold,
    verdict,
)

LONGEST_VALUE = 200  # characters of a metadata value; the whole of it is in results.jsonl


def card(
    rank: int,
    result: Result,
    pictures: tuple[Picture, Picture | None] | None,
    scored: str | None,
    heat: Picture | None = None,
) -> Markup:
    group, known = group_of(result), _metadata(result.metadata)
    words, sentence = verdict(result)
    return el(
        "article",
        el("header", el("span", f"{rank}", class_="rank"),
           el("h3", result.source or "unnamed image", id=f"r{rank}-name"),
           el("p", known, class_="patient") if known else None),
        _figure(pictures, result),
        el("div",
           el("p", el("strong", words, class_=f"verdict {group}"), class_="decision"),
           _score(result, scored),
           el("p", sentence, class_="why"),
           _classes(result, scored),
           class_="reading"),
        _heat(heat, result),
        _measurements(result),
        class_="card", id=f"r{rank}", data_group=group, tabindex="-1",
        aria_labelledby=f"r{rank}-name",
    )  # fmt: skip


def _figure(pictures: tuple[Picture, Picture | None] | None, result: Result) -> Markup:
    if pictures is None:
        return el(
            "div", el("p", "The picture of this record is missing."), class_="pictures missing"
        )
    frame, crop = pictures
    name = result.source or "unnamed image"
    if crop is None:
        empty = el("p", "No lesion found", class_="crop none")
        return el("div", _image(frame, name, "frame"), empty, class_="pictures")
    return el(
        "div",
        _image(frame, f"{name}, with the lesion outlined", "frame"),
        _image(crop, f"{name}, the lesion alone", "crop"),
        class_="pictures",
    )


def _image(picture: Picture, alt: str, class_: str) -> Markup:
    return el(
        "img",
        src=picture.address,
        width=picture.width,
        height=picture.height,
        alt=alt,
        class_=class_,
        loading="lazy",
        decoding="async",
    )


def _heat(picture: Picture | None, result: Result) -> Markup | None:
    if picture is None:
        return None
    name = result.source or "unnamed image"
    return el(
        "details",
        el("summary", "Heat map"),
        el("p", MEANING, class_="note"),
        el("div", _image(picture, f"{name}, with the heat map on it", "frame"), class_="pictures"),
        class_="heat",
    )


def _score(result: Result, scored: str | None) -> Markup | None:
    if result.score is None:
        return None
    shown, threshold = score_and_threshold(result.score, result.threshold)
    return el(
        "div",
        el(
            "p",
            el("b", shown),
            f" probability of {plain(scored)}" if scored else " score",
            class_="score",
        ),
        gauge(result.score, result.threshold, threshold, result.refer is True),
        class_="scale",
    )


def _classes(result: Result, scored: str | None) -> Markup | None:
    if not result.probabilities:
        return None
    rows = [
        el(
            "li",
            el("span", plain(name), class_="name"),
            class_bar(probability, members_of(result, name), name == scored),
            el("span", f"{probability:.3f}", class_="value"),
        )
        for name, probability in result.probabilities.items()
    ]
    note = None
    if result.disagreement is not None and len(result.members) > 1:
        note = el(
            "p",
            f"Ticks: the {len(result.members)} networks one by one. "
            f"They differ by {number(result.disagreement)} (standard deviation).",
            class_="note",
        )
    return el("div", el("ul", rows, class_="bars"), note)


def _measurements(result: Result) -> Markup:
    lesion = result.lesion
    found: list[tuple[str, Child]] = []
    if lesion:
        border = "yes" if lesion.touches_border else "no"
        found = [("share of the frame", percent(lesion.area_fraction)), ("touches border", border)]
    if result.ood is not None:
        found.append(("distance from training data", number(result.ood)))
    timing = [(plain(name), milliseconds(value)) for name, value in result.timing_ms.items()]
    origin: list[tuple[str, Child]] = [("recorded", moment(result.time) or "not known")]
    if result.sha256:
        origin.append(("content", el("code", result.sha256[:16], title=result.sha256)))
    blocks: list[tuple[str, Sequence[tuple[str, Child]]]] = [
        ("Lesion", found or [("found", "no")]),
        ("Picture quality", [(plain(name), number(v)) for name, v in result.quality.items()]),
        ("Time", timing),
        ("Record", origin),
    ]
    return el(
        "details",
        el("summary", "Measurements"),
        el("div", [el("section", el("h4", title), facts_list(pairs)) for title, pairs in blocks
                   if pairs], class_="blocks"),
    )  # fmt: skip


def _metadata(values: Mapping[str, object]) -> str | None:
    known = [
        f"{plain(name)} {spelled(value)[:LONGEST_VALUE]}"
        for name, value in values.items()
        if value not in (None, "")
    ]
    return " · ".join(known) or None
