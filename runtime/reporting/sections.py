"""What stands around the pictures: title, outcome, plots, facts of the run, undecided images."""

from __future__ import annotations

from collections.abc import Mapping

from runtime.reporting.markup import Child, Markup, el, facts_list
from runtime.reporting.plots import score_histogram, share_rows, spread_plot, stage_bar
from runtime.reporting.reading import RunFacts, spelled
from runtime.reporting.summary import UNDECIDED, Summary
from runtime.reporting.wording import (
    GROUPS,
    count,
    group_of,
    milliseconds,
    moment,
    one_line,
    plain,
    verdict,
)

NOTHING = Markup()


def masthead(facts: RunFacts, summary: Summary) -> Markup:
    when = facts.text("finished", "started", "first_record")
    parts = [count(summary.total, "image"), *bundle_words(facts), moment(when)]
    return el(
        "header",
        el("p", "dermedge", class_="brand"),
        el("h1", "Scan report"),
        el("p", " · ".join(part for part in parts if part), class_="lead"),
        class_="masthead",
    )


def bundle_words(facts: RunFacts) -> list[str]:
    name = facts.text("bundle.name")
    return [" ".join(filter(None, (name, facts.text("bundle.version"))))] if name else []


def tiles(summary: Summary) -> Markup:
    always = {"refer", "no-referral", "abstained", "error"}
    if summary.groups["score-only"]:
        always = {"score-only", "abstained", "error"}
    shown = [group for group in GROUPS if group in always or summary.groups[group]]
    cells = [
        el("div", el("dt", GROUPS[group]), el("dd", f"{summary.groups[group]:,}"), class_=group)
        for group in shown
    ]
    note = None
    if summary.unreadable:
        lines = count(summary.unreadable, "line")
        note = el(
            "p",
            f"{lines} of results.jsonl could not be read and is not in this report."
            if summary.unreadable == 1
            else f"{lines} of results.jsonl could not be read and are not in this report.",
            class_="note",
        )
    return el(
        "section", el("h2", "Outcome", class_="unseen"), el("dl", cells, class_="tiles"), note
    )


def plots(summary: Summary) -> Markup:
    drawn = []
    if summary.scored:
        drawn.append(
            _plot(
                "Scores",
                score_histogram(summary),
                "Images by score. Pale: abstained, rejected or failed.",
            )
        )
    if summary.spread:
        drawn.append(
            _plot(
                "Disagreement",
                spread_plot(summary),
                "Standard deviation between the networks (up) by score (across).",
            )
        )
    if summary.classes:
        drawn.append(
            _plot(
                "Most probable class",
                share_rows(summary.classes.most_common(12)),
                "Images by the class that got the highest probability.",
            )
        )
    if summary.times.bins:
        drawn.append(_times(summary))
    return el("section", drawn, class_="plots", aria_label="Summary plots") if drawn else NOTHING


def _plot(title: str, drawing: Child, note: str) -> Markup:
    return el("figure", el("h2", title), drawing, el("figcaption", note))


def _times(summary: Summary) -> Markup:
    steps = {name: mean.value for name, mean in summary.stages.items() if name != "total"}
    legend = [
        el("li", el("i", class_=f"s{index % 6}"), f"{plain(name)} {milliseconds(value)}")
        for index, (name, value) in enumerate(steps.items())
    ]
    times = summary.times
    quantiles = facts_list(
        [("half within", milliseconds(times.percentile(0.5))),
         ("95% within", milliseconds(times.percentile(0.95))),
         ("slowest", milliseconds(times.largest))], class_="quantiles"
    )  # fmt: skip
    drawing = [quantiles, stage_bar(steps), el("ul", legend, class_="legend")]
    return _plot(
        "Time per image",
        drawing if steps else quantiles,
        "Total, as the chain measured it. Bar: mean of each step.",
    )


def run_section(facts: RunFacts) -> Markup:
    digest, command = facts.text("bundle.digest"), facts.text("command")
    pairs: list[tuple[str, Child]] = [
        ("Bundle", " ".join(bundle_words(facts))),
        ("Digest", el("code", digest) if digest else None),
        ("Recipe", facts.text("recipe", "bundle.recipe")),
        ("Backend", _backend(facts)),
        ("Machine", facts.text("machine")),
        ("Started", moment(facts.text("started"))),
        ("Finished", moment(facts.text("finished"))),
        ("Command", el("code", command) if command else None),
    ]
    found = [(title, value) for title, value in pairs if value]
    if not found:
        return el("p", "run.json is missing: what ran, and where, is not known.", class_="note")
    return el("section", el("h2", "This run"), facts_list(found), class_="run")


def _backend(facts: RunFacts) -> str | None:
    """`openvino on Intel Xeon (host), fp32`"""
    name, precision = facts.text("backend.name"), facts.get("backend.precision")
    if name is None:
        return facts.text("backend")
    device, mode = facts.text("backend.device"), facts.text("backend.mode")
    words = name + (f" on {device}" if device else "") + (f" ({mode})" if mode else "")
    used = set(precision.values()) if isinstance(precision, Mapping) else set()
    if len(used) == 1:
        return f"{words}, {spelled(used.pop())}"
    return f"{words}, {spelled(precision)}" if used else words


def without_decision(summary: Summary) -> Markup:
    rows = summary.listed()
    if not rows:
        return NOTHING
    total = sum(summary.groups[group] for group in UNDECIDED)
    body = [
        el(
            "tr",
            el("th", result.source or "unnamed image", scope="row"),
            el("td", GROUPS[group_of(result)]),
            el("td", one_line(result.reason or verdict(result)[1])),
        )
        for result in rows
    ]
    rest = total - len(rows)
    more = el("p", f"{rest:,} more are in results.csv.", class_="note") if rest else None
    return el(
        "section",
        el("h2", "Without a decision"),
        el("p", "These images need another picture, or another pair of eyes.", class_="note"),
        el("table",
           el("thead", el("tr", [el("th", t, scope="col") for t in ("Image", "Status", "Reason")])),
           el("tbody", body)),
        more, class_="undecided-list",
    )  # fmt: skip


def footer() -> Markup:
    return el(
        "footer",
        el(
            "p",
            "Made by dermedge from results.jsonl. Decision support, not a "
            "diagnosis. This file holds pictures of patients: keep it as such.",
        ),
    )
