"""card.md: what a bundle is, for people. Every line of it follows from the run and the bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from export.parity import nearest_to_limit
from runtime.specs import CHANNELS
from train.networks import backbones, starts_from
from train.recipe_parts.members import PooledRecipe

if TYPE_CHECKING:
    from export.finished_run import FinishedRun
    from export.parity import Finding
    from runtime.bundle import Bundle, ImageInput

NOT_CLINICAL = (
    "This is research software and no medical device. It supports a decision and makes none: it "
    "gives no diagnosis, it is not for clinical use, and nobody should be reassured by a low score."
)


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    name: str
    what: str  # e.g. "densenet169 with an SE block"
    parameters: int | None
    sizes: Mapping[str, int]  # bytes of the file, by precision


def write_card(
    spec: Bundle,
    networks: Sequence[NetworkFacts],
    findings: Sequence[Finding],
    command: str,
    run: FinishedRun | None = None,
) -> str:
    """The card of a bundle; `run` is None for graphs that were brought in."""
    parts: list[Iterator[str]] = [_head(spec, run), _use(spec, run), _networks(spec, networks)]
    if run is not None:
        parts += [_quality(spec, run), _limits(spec, run)]
    parts.append(_making(spec, command, run))
    parts.append(_parity(findings, "PyTorch" if run else "the first engine"))
    parts.append(_checking(spec))
    if run is not None:
        parts.append(_recipe(run))
    return "\n".join(line for part in parts for line in part) + "\n"


def _head(spec: Bundle, run: FinishedRun | None) -> Iterator[str]:
    yield f"# {spec.name} {spec.version}\n"
    if run is not None:
        yield f"{run.recipe.about}\n"
    yield f"**Intended use.** {spec.intended_use}\n"
    yield f"**{NOT_CLINICAL}**\n"


def _use(spec: Bundle, run: FinishedRun | None) -> Iterator[str]:
    chain, score = spec.chain, spec.decision.score
    steps = ["frame"]
    steps += [f"{chain.segment.model} finds the lesion"] if chain.segment else []
    steps += ["hair and rulers are removed"] if chain.purify else []
    steps += [f"{len(chain.classify)} classifiers look at their views"]
    steps += [f"{chain.combine.model} weighs what they say"] if chain.combine else []
    yield "## What it does\n"
    yield f"{' → '.join([*steps, 'result'])}.\n"
    yield f"- Classes: {', '.join(spec.classes)}. Malignant: {', '.join(spec.positive)}."
    yield (
        f"- `score` is the probability of {score}, as far as the networks can tell. It says how "
        "much an image looks like those of that class in the training data, in the share that "
        "class had there. Where the disease is rarer, the chance behind the same score is lower."
    )
    yield (
        "- `refer` is whether the score reaches the threshold. `dermedge operate` fits it and "
        "writes what it reached into this card; until then `refer` stays empty."
    )
    if chain.explain is not None:
        yield (
            f"- On request (`--explain`, or on the screen) it draws a heat map{_heat_maps(run)}: "
            "where the networks' layers found something to answer to. It is no outline of disease, "
            "and no reason for a score."
        )
    yield (
        "- A frame without a lesion, or outside the quality limits, gets a status that says so "
        "and no decision.\n"
    )


def _heat_maps(run: FinishedRun | None) -> str:
    """Which kinds of them, as far as that is known."""
    names = {"visual_backprop": "VisualBackProp", "activations": "the last layer's activations"}
    members = run.recipe.members.values() if run else ()
    kinds = dict.fromkeys(names[own.heatmap] for own in members if isinstance(own, PooledRecipe))
    return f" ({', '.join(kinds)})" if kinds else ""


def _networks(spec: Bundle, networks: Sequence[NetworkFacts]) -> Iterator[str]:
    yield "## Networks\n"
    rows = []
    for network in networks:
        inputs = [item for item in spec.models[network.name].inputs if item.kind == "image"]
        sees = ", ".join(_sees(spec, item) for item in inputs) or "what the classifiers said"
        parameters = "–" if network.parameters is None else f"{network.parameters:,}"
        sizes = ", ".join(f"{_size(size)} {kind}" for kind, size in network.sizes.items())
        rows.append((network.name, network.what, sees, parameters, sizes))
    yield from _grid(("name", "network", "looks at", "parameters", "file"), rows)


def _sees(spec: Bundle, item: ImageInput) -> str:
    view, size = spec.views[item.view], item.preprocess.size
    area = {
        "frame": "the frame",
        "middle": "the middle of the frame",
        "lesion": f"the lesion, margin {view.margin:g}",
    }[view.area]
    area = f"{area}, hair and rulers removed" if view.source == "purified" else area
    extras = (", square" if view.square else "") + (
        ", black around" if view.background == "black" else ""
    )
    return f"{area}{extras}, {size[1]}×{size[0]}×{CHANNELS[item.preprocess.colour]}"


def _quality(spec: Bundle, run: FinishedRun) -> Iterator[str]:
    folds = run.recipe.folds
    yield "## How good it is\n"
    yield (
        f"Area under the ROC curve on images that the network in question was not trained on "
        f"({folds} folds), with a bootstrap interval of 95 %. `mean` is over all classes but the "
        f"last."
    )
    for subset, systems in run.figures["auc"].items():
        counts = ", ".join(f"{count} {name}" for name, count in systems["counts"].items())
        where = "All images" if subset == "all" else f"The part `{subset}` of the data"
        yield f"\n{where}: {systems['images']} ({counts})\n"
        shown = {k: v for k, v in systems.items() if k not in ("images", "counts")}
        columns = list(next(iter(shown.values())))
        yield from _grid(
            ("", *columns),
            [(name, *(_interval(by[column]) for column in columns)) for name, by in shown.items()],
        )
    if segmentation := run.figures.get("segmentation"):
        yield (
            f"Segmentation, out of fold: mean Jaccard index {segmentation['jaccard']:.3f}, "
            f"Dice {segmentation['dice']:.3f}.\n"
        )
    if spec.provenance.fold is None:
        yield (
            f"The networks in this bundle were trained on all images. The figures are those of "
            f"their siblings, each trained on {folds - 1} of {folds} parts; there were no images "
            f"left to measure these themselves on.\n"
        )
    else:
        yield (
            f"This bundle holds the networks of fold {spec.provenance.fold}. The "
            f"{len(spec.provenance.held_out)} images that they have not seen are listed in "
            f"bundle.json under `provenance.held_out`; the figures are of all folds together.\n"
        )


def _limits(spec: Bundle, run: FinishedRun) -> Iterator[str]:
    yield "## Limits\n"
    overall = run.figures["auc"]["all"]
    score = overall["ensemble"].get(spec.decision.score, {})
    if score.get("low") is None or score["low"] <= 0.5:
        yield (
            f"- **The interval for {spec.decision.score} reaches 0.5: it may do no better than "
            "chance.**"
        )
    counts = run.data["counts"]
    positives = sum(counts.get(name, 0) for name in spec.positive)
    yield (
        f"- All figures come from the data it was trained on ({run.data['name']}, "
        f"{run.data['images']} images, {positives} of them malignant), by cross-validation. On "
        "another camera, clinic or population expect less."
    )
    yield "- It knows only the classes above: every other lesion gets one of their names."
    yield "- Skin tones, ages and body sites that are rare in that data are not shown to work."
    yield "- It has seen pictures with one lesion each, taken through a dermatoscope.\n"


def _making(spec: Bundle, command: str, run: FinishedRun | None) -> Iterator[str]:
    yield "## How it was made\n"
    yield f"- Code: dermedge {spec.provenance.revision}. Made {spec.created:%Y-%m-%d}."
    for data in spec.provenance.data:
        yield f"- Data: {data.name}, {data.images} images, SHA-256 `{data.sha256}`."
    if run is None:
        yield f"- Graphs brought in from elsewhere: recipe `{spec.recipe}`.\n"
        yield from _code("sh", command)
        return
    yield f"- Recipe: `{run.recipe.name}`, at the end of this card; seed {run.recipe.seed}."
    yield f"- First weights: {_start(run)}."
    if made := run.recipe.synthetic:
        counts = ", ".join(f"{count} of {name}" for name, count in made.images.items())
        yield f"- Made pictures, beside the data: {counts}, by DCGANs trained on the same images."
    if spec.provenance.fold is None:
        rest = f"trained on all images; the ensemble on predictions out of {run.recipe.folds} folds"
    else:
        rest = f"fold {spec.provenance.fold} of {run.recipe.folds}, counted from 0"
    yield f"- Networks: {rest}.\n"
    yield from _code("sh", f"dermedge train --recipe recipe.yaml --data DATA --out RUN\n{command}")


def _start(run: FinishedRun) -> str:
    files = run.data.get("start", {}).get("weights", {})
    own = backbones(run.recipe)
    starts = {name: f"{name} {starts_from(run.recipe, files, name)}" for name in own}
    starts |= {name: f"{name}, which judges, from a file" for name in files if name not in own}
    told = [f"{start}{_sha_of(files.get(name))}" for name, start in starts.items()]
    return "; ".join([*told, "all else from random weights"])


def _sha_of(sha: str | None) -> str:
    return f", SHA-256 `{sha}`" if sha else ""


def _parity(findings: Sequence[Finding], truth: str) -> Iterator[str]:
    yield f"## Graphs against {truth}\n"
    if not findings:
        yield "No second engine was there to compare with.\n"
        return
    yield (
        "The largest difference on noise and on golden images, of that output of a graph which "
        "came nearest to its limit. All stand in bundle.json under `provenance.metrics`.\n"
    )
    rows = [
        (f.model, f.precision, f.backend, f.role, f"{f.difference:.1e}", f"{f.limit:.0e}")
        for f in nearest_to_limit(findings)
    ]
    yield from _grid(("graph", "precision", "engine", "output", "difference", "limit"), rows)


def _checking(spec: Bundle) -> Iterator[str]:
    yield "## How to check it\n"
    yield (
        f"Every file's SHA-256 stands in bundle.json. {len(spec.golden)} golden images with "
        "expected results are run at every start.\n"
    )
    yield from _code("sh", "dermedge bundle verify BUNDLE\ndermedge bundle show BUNDLE")


def _recipe(run: FinishedRun) -> Iterator[str]:
    import yaml

    values = run.recipe.model_dump(mode="json", exclude_none=True)
    yield "## Recipe\n"
    yield from _code("yaml", yaml.safe_dump(values, sort_keys=False, allow_unicode=True).rstrip())


def _interval(value: Mapping[str, Any]) -> str:
    if value["auc"] is None:
        return "–"
    return f"{value['auc']:.3f} ({value['low']:.3f}–{value['high']:.3f})"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def _grid(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(headings) + " |"
    yield "|" + "---|" * len(headings)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def _code(language: str, text: str) -> Iterator[str]:
    yield f"```{language}\n{text}\n```\n"
