"""What a score is and is not, in words for a reader who never saw a network."""

from __future__ import annotations

from collections.abc import Mapping

from runtime.reporting.markup import Child, Markup, el
from runtime.reporting.reading import RunFacts, spelled
from runtime.reporting.summary import Summary
from runtime.reporting.wording import one_line, percent, plain

LIMITS = (
    "The networks know only what their training pictures showed. Other devices, lighting, skin "
    "tones, ages, body sites (nails, mucosa, scalp) or diseases can make a score meaningless "
    "without any warning. A low score does not rule disease out, and no score replaces looking "
    "at the patient, histology or follow-up."
)


def scored_class(facts: RunFacts) -> str | None:
    return facts.text("decision.score", "bundle.decision.score")


def statement(facts: RunFacts, summary: Summary) -> Markup:
    paragraphs: list[Child] = [_what_a_score_is(facts), _what_the_threshold_is(facts, summary)]
    if intended := facts.text("intended_use", "bundle.intended_use"):
        paragraphs.append(f"Intended use, in the words of the bundle: {one_line(intended)}")
    paragraphs.append(LIMITS)
    return el(
        "section",
        el("h2", "Decision support, not a diagnosis"),
        el("div", [el("p", paragraph) for paragraph in paragraphs]),
        class_="statement",
    )


def _what_a_score_is(facts: RunFacts) -> str:
    name = scored_class(facts)
    meaning = f"the probability of {plain(name)}" if name else "the probability of one class"
    data = _data_names(facts)
    trained = f"networks trained on {data}" if data else "the networks of this bundle"
    return (
        f"A score is {meaning} according to {trained}. It is a statement about a picture, compared "
        "with those pictures; it is not the risk of your patient, who comes with another "
        "history and from another population."
    )


def _what_the_threshold_is(facts: RunFacts, summary: Summary) -> str:
    threshold = facts.number("decision.threshold", "bundle.decision.threshold")
    threshold = summary.threshold if threshold is None else threshold
    if threshold is None:
        return "This bundle has no threshold yet: scores are shown, and nothing is decided."
    text = f"“Refer” means a score of {threshold:.3f} or more{_threshold_interval(facts)}."
    target = _operating(facts, "target_sensitivity")
    if target is not None:
        text += f" That threshold was chosen for a sensitivity of {percent(target)}."
    sensitivity, specificity = _operating(facts, "sensitivity"), _operating(facts, "specificity")
    if sensitivity is None or specificity is None:
        return text
    source = _operating_text(facts, "predictions")
    where = f" ({source})" if source else ""
    text += (
        f" On the data it was chosen on{where} it found {percent(sensitivity)}"
        f"{_interval(facts, 'sensitivity_interval')} of the "
        f"{_cases(facts, 'positives')}, and left alone {percent(specificity)}"
        f"{_interval(facts, 'specificity_interval')} of the {_cases(facts, 'negatives')}."
    )
    missed = round(100 * (1 - sensitivity))
    if missed:
        text += f" So about {missed} in 100 such lesions score below it."
    return text


def _operating(facts: RunFacts, field: str) -> float | None:
    return facts.number(*_paths(field))


def _operating_text(facts: RunFacts, field: str) -> str | None:
    return facts.text(*_paths(field))


def _paths(field: str) -> tuple[str, ...]:
    return (f"decision.operating_point.{field}", f"bundle.decision.operating_point.{field}")


def _interval(facts: RunFacts, field: str) -> str:
    low, high = _operating(facts, f"{field}.low"), _operating(facts, f"{field}.high")
    if low is None or high is None:
        return ""
    level = _operating(facts, f"{field}.level") or 0.95
    return f" ({percent(level)} interval {percent(low)} to {percent(high)})"


def _threshold_interval(facts: RunFacts) -> str:
    where = ("decision.threshold_interval", "bundle.decision.threshold_interval")
    low, high = (facts.number(*(f"{name}.{end}" for name in where)) for end in ("low", "high"))
    if low is None or high is None:
        return ""
    return f" (other images of the same kind would have put it between {low:.3f} and {high:.3f})"


def _cases(facts: RunFacts, kind: str) -> str:
    many = _operating(facts, kind)
    positive = facts.get("positive", "bundle.positive")
    noun = "malignant lesions"
    if isinstance(positive, list) and positive:
        noun = f"lesions that were {' or '.join(plain(str(name)) for name in positive)}"
    if kind == "negatives":
        noun = "other lesions"
    return noun if many is None else f"{many:,.0f} {noun}"


def _data_names(facts: RunFacts) -> str | None:
    """`ISIC 2017 (2,000 images) and HAM10000`, from a list of names or of bundle data sets."""
    value = facts.get("provenance.data", "bundle.provenance.data", "data")
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return None
    names = []
    for item in value:
        if not isinstance(item, Mapping):
            names.append(spelled(item))
            continue
        images = item.get("images")
        many = f" ({images:,} images)" if isinstance(images, int) and images else ""
        names.append(f"{item.get('name', 'unnamed data')}{many}")
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names) or None
