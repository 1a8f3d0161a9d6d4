"""report.html of an evaluation: one page that loads nothing, figures first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibration.evaluation import tables
from calibration.evaluation.charts import charts
from calibration.evaluation.families import bins_for
from calibration.evaluation.subgroups import FLOOR
from calibration.evaluation.wording import KEY, span_of, title_of, value_of
from calibration.skin import shown
from calibration.wrong_masks import shown as wrong_masks
from runtime.reporting.document import asset, head
from runtime.reporting.markup import Child, Markup, el, facts_list
from runtime.reporting.reading import RunFacts
from runtime.reporting.statement import statement
from runtime.reporting.summary import Summary
from runtime.reporting.wording import count, moment, plain

if TYPE_CHECKING:
    from calibration.evaluation.evaluation import Evaluation
    from runtime.record import BackendRecord

PACKAGE = "calibration.evaluation"


def render(evaluation: Evaluation) -> str:
    own = asset("style.css", PACKAGE) + asset("chart.css", PACKAGE)
    style = Markup(asset("style.css") + own)
    title = " · ".join(("Evaluation", _bundle_words(evaluation)))
    parts = [
        _masthead(evaluation),
        _alerts(evaluation),
        _tiles(evaluation),
        statement(_facts(evaluation), Summary()),
        _charts(evaluation),
        _section("Figures", tables.figures(evaluation), _samples(evaluation)),
        *_decisions(evaluation),
        *_groups(evaluation),
        *_tones(evaluation),
        *_wrong_masks(evaluation),
        *_strangers(evaluation),
        *_missed(evaluation),
        _method(evaluation),
        _provenance(evaluation),
        _footer(),
    ]
    body = "\n".join(part for part in parts if part)
    return f'<!doctype html>\n<html lang="en">\n{head(title, style)}\n<body>\n{body}\n</body>\n</html>\n'  # noqa: E501


def _facts(evaluation: Evaluation) -> RunFacts:
    """What the statement needs to know. Of pooled folds no one threshold holds."""
    spec = evaluation.bundles[0].spec.model_dump(mode="json")
    if evaluation.pooled:
        spec["decision"] = {"score": spec["decision"]["score"]}
    return RunFacts({"bundle": spec})


def _bundle_words(evaluation: Evaluation) -> str:
    first = evaluation.bundles[0].spec
    folds = f", {len(evaluation.bundles)} folds" if evaluation.pooled else ""
    return f"{first.name} {first.version}{folds}"


def _masthead(evaluation: Evaluation) -> Markup:
    table = evaluation.selection.table
    positives = int(evaluation.cases.malignant.sum())
    names = " or ".join(plain(name) for name in evaluation.judged.positive)
    words = [
        _bundle_words(evaluation),
        f"{count(len(table), 'image')} of {table.name}",
        f"{positives:,} of {len(evaluation.cases):,} are {names}",
        moment(evaluation.created),
    ]
    return el(
        "header",
        el("p", "dermedge", class_="brand"),
        el("h1", "Evaluation"),
        el("p", " · ".join(word for word in words if word), class_="lead"),
        class_="masthead",
    )


def _alerts(evaluation: Evaluation) -> Markup:
    loud = evaluation.leaks.warnings(len(evaluation.selection.table))
    mild = [text for text in evaluation.warnings if text not in loud]
    boxes = []
    for title, texts, class_ in (
        ("These figures may not be quoted", loud, "alert"),
        ("Please note", mild, "alert mild"),
    ):
        if texts:
            lines = [el("p", text) for text in texts]
            boxes.append(el("section", el("h2", title), lines, class_=class_))
    return Markup("".join(boxes))


def _tiles(evaluation: Evaluation) -> Markup:
    names = [name for name in (*KEY, "jaccard") if name in evaluation.figures]
    cells = [
        el(
            "div",
            el("dt", title_of(name)),
            el("dd", value_of(one), el("span", span_of(one), class_="span")),
            class_="refer" if name == "auc" else None,
        )
        for name, one in ((name, evaluation.figures[name]) for name in names)
    ]
    return el(
        "section",
        el("h2", "Key figures", class_="unseen"),
        el("dl", cells, class_="tiles"),
        el("p", "Below each value its 95% interval.", class_="note"),
    )


def _charts(evaluation: Evaluation) -> Markup:
    drawn = [
        el("figure", el("h2", chart.title), chart.drawing, el("figcaption", chart.note))
        for chart in charts(evaluation)
    ]
    return el("section", drawn, class_="charts", aria_label="Drawings")


def _section(title: str, content: Child, *notes: str | None) -> Markup:
    texts = [el("p", note, class_="note") for note in notes if note]
    return el("section", el("h2", title), texts, content)


def _samples(evaluation: Evaluation) -> str:
    cases = evaluation.cases
    text = f"On {count(len(cases.rows), 'image')} with a score, abstained and rejected ones too."
    if evaluation.pooled:
        text += " Each was judged by the fold that had not seen it, at that fold's threshold."
    return text


def _decisions(evaluation: Evaluation) -> list[Markup]:
    found = [
        _section(
            "What a user would have seen",
            tables.outcomes(evaluation),
            "Images by label and outcome.",
        )
    ]
    if evaluation.acquisition:
        found.append(
            _section(
                "Pictures outside a limit",
                tables.acquisition(evaluation.acquisition),
                "How a picture was taken is held against the bundle's limits; one outside is "
                "rejected, with a hint for the user. Where all pictures here are good ones, these "
                "are the shares that are rejected wrongly.",
            )
        )
    if evaluation.cases.decides:
        found.append(
            _section(
                "In clinics that see other patients",
                tables.prevalence(evaluation),
                "What a call is worth follows from sensitivity, specificity and the share of "
                "positives among those who come. Data sets hold far more of them than a practice.",
            )
        )
    return found


def _groups(evaluation: Evaluation) -> list[Markup]:
    if not evaluation.groups:
        return []
    notes = [
        f"Groups of fewer than {FLOOR} images are put together as “other”. Of so many groups some "
        "differ by chance: look at the intervals. The broken line is the value over all images."
    ]
    if any(name.startswith("skin") for name in evaluation.groups):
        notes.append(
            "Skin tone is a rough estimate from the pixels around the lesion (individual typology "
            "angle, after the outline that the bundle found). Lamp, white balance and exposure "
            "move it as much as skin does, so it is unreliable for a single image, and no "
            "replacement for a recorded skin type. Where the skin looks blue, or hardly any is in "
            "sight, it is unknown."
        )
    return [_section("Groups of patients", tables.subgroups(evaluation), *notes)]


def _tones(evaluation: Evaluation) -> list[Markup]:
    found = evaluation.tones
    if found is None:
        return []
    notes = (shown.CAUTION, shown.known_words(found))
    return [_section("By tone of the skin", shown.figures(found), *notes)]


def _wrong_masks(evaluation: Evaluation) -> list[Markup]:
    found = evaluation.wrong_masks
    if found is None:
        return []
    drawn = (
        f"{count(found.own.images, 'image')}, {found.positives:,} of them positive, drawn evenly."
    )
    return [
        _section(
            "Decisions with a wrong mask",
            wrong_masks.decisions(found),
            wrong_masks.MEANING,
            f"{drawn} {wrong_masks.DECIDED_NOTE}",
        ),
        _section("Scores with a wrong mask", wrong_masks.scores(found), wrong_masks.SCORED_NOTE),
    ]


def _strangers(evaluation: Evaluation) -> list[Markup]:
    if not evaluation.strangers:
        return []
    note = (
        "The bundle has no class for these labels, and its networks put them into one all the "
        "same. Decided: neither rejected for their quality nor abstained on. They are in none of "
        "the other figures."
    )
    return [_section("Labels it does not know", tables.strangers(evaluation.strangers), note)]


def _missed(evaluation: Evaluation) -> list[Markup]:
    table = tables.missed(evaluation)
    note = "Positives below the threshold, the lowest score first; all are in predictions.csv."
    return [] if table is None else [_section("Missed", table, note)]


def _method(evaluation: Evaluation) -> Markup:
    bootstrap, leaks = evaluation.bootstrap, evaluation.leaks
    texts = [
        f"Intervals: {bootstrap.resamples:,} resamples (percentiles, seed {bootstrap.seed}) of "
        f"{bootstrap.groups:,} groups, where the images of one patient or lesion are one group. "
        "All figures share the same resamples. Where a share is 0 or 1 every resample says the "
        "same; there the interval is Wilson's. The calibration error is counted in "
        f"{bins_for(len(evaluation.cases.rows))} bins of about equal size; resamples overstate it, "
        "so its interval is moved to be around the value."
    ]
    score = evaluation.judged.score
    if evaluation.judged.positive != (score,):
        names = ", ".join(plain(name) for name in evaluation.judged.positive)
        texts.append(
            f"Positive are {names}; the score is the probability of {plain(score)} alone, and "
            "calibration is measured against that class."
        )
    if leaks.trained_on is None:
        texts.append(
            "Training images: the bundle's training sets were not at hand, so images could not be "
            "compared with them."
        )
    else:
        by = "patient or lesion" if leaks.repeats is None else "patient, lesion or picture"
        texts.append(
            f"Training images among these: {len(leaks.trained_on):,}; ties to training images by "
            f"{by}: {len(leaks.copies or ()):,}."
        )
    if leaks.quantised_on:
        known = len(leaks.quantised_on)
        texts.append(f"Images among these that 8 bits were calibrated or tuned on: {known:,}.")
    if leaks.repeats is not None:
        texts.append(f"Pairs of images that show the same picture: {len(leaks.repeats):,}.")
    return el("section", el("h2", "How"), [el("p", text) for text in texts], class_="method")


def _provenance(evaluation: Evaluation) -> Markup:
    selection, table = evaluation.selection, evaluation.selection.table
    pairs: list[tuple[str, Child]] = [("Data", table.name), ("Digest", el("code", table.digest))]
    pairs += [("Left out", f"{many:,} {why}") for why, many in selection.left_out.items()]
    if selection.held_out:
        pairs.append(("Taken", "only images that the bundle was not trained on"))
    for bundle in evaluation.bundles:
        spec = bundle.spec
        fold = "" if spec.provenance.fold is None else f", fold {spec.provenance.fold}"
        pairs.append(("Bundle", f"{spec.name} {spec.version}{fold}"))
        pairs.append(("Digest", el("code", bundle.digest)))
        pairs.append(("Threshold", _number(spec.decision.threshold)))
    pairs += [("Backend", _in_words(backend)) for backend in evaluation.backends]
    return el("section", el("h2", "Data and bundle"), facts_list(pairs), class_="run")


def _in_words(backend: BackendRecord) -> str:
    by_precision: dict[str, list[str]] = {}
    for name, precision in backend.precision.items():
        by_precision.setdefault(precision, []).append(name)
    ran = "; ".join(f"{precision}: {', '.join(who)}" for precision, who in by_precision.items())
    return f"{backend.name} on {backend.device}; {ran}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _footer() -> Markup:
    text = (
        "Made by dermedge. Decision support, not a diagnosis: these figures are of a data set, "
        "not of your patients. They are in evaluation.json, each image in predictions.csv, the "
        "drawings in pictures."
    )
    return el("footer", el("p", text))
