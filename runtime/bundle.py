"""`bundle.json`: all that makes networks into one system, as typed, frozen data.

What is checked here is what can be checked without reading a model: names that point at each
other, views and members that exist, numbers in their ranges. runtime/bundle_files.py reads a
bundle from disk and verifies every byte of it.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from runtime.metadata import MetadataSpec
from runtime.specs import Fraction, PreprocessSpec, Spec, ViewSpec

Precision = Literal["fp32", "fp16", "int8"]
BackendName = Literal["openvino", "onnxruntime", "tensorrt", "tensorrt_rtx", "fake"]
Role = Literal["probabilities", "logits", "features", "mask", "image", "heatmap", "ood"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}$")]


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not path or "\\" in path or ":" in path or "\0" in path:
        raise ValueError(f"{path!r} is not a plain relative path")
    if path.startswith("/") or ".." in parts or str(PurePosixPath(path)) != path:
        raise ValueError(f"{path!r} must stay inside the bundle")
    return path


InsidePath = Annotated[str, AfterValidator(_inside)]


class Variant(Spec):
    """One file of a model. The first in the list that suits a backend is the one it runs."""

    precision: Precision
    file: InsidePath
    sha256: Sha256
    backends: Annotated[tuple[BackendName, ...], Field(alias="for")] = ()  # empty: any


class ImageInput(Spec):
    kind: Literal["image"] = "image"
    name: str
    view: str
    preprocess: PreprocessSpec


class MetadataInput(Spec):
    kind: Literal["metadata"] = "metadata"
    name: str


class MembersInput(Spec):
    """What the members said, as 1 × members × classes (or × features)."""

    kind: Literal["members"] = "members"
    name: str


Input = Annotated[ImageInput | MetadataInput | MembersInput, Field(discriminator="kind")]


class Output(Spec):
    name: str
    role: Role


class ModelSpec(Spec):
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)]
    inputs: Annotated[tuple[Input, ...], Field(min_length=1)]
    outputs: Annotated[tuple[Output, ...], Field(min_length=1)]

    def output(self, role: Role) -> str | None:
        return next((output.name for output in self.outputs if output.role == role), None)

    def image_input(self) -> ImageInput | None:
        return next((item for item in self.inputs if isinstance(item, ImageInput)), None)


class Segment(Spec):
    model: str
    threshold: Fraction = 0.5
    fill_holes: bool = True
    keep: Literal["largest"] = "largest"


class Purify(Spec):
    """Hair and ruler removal: by OpenCV, or by a network. It knows the frame and the mask."""

    method: Literal["classical", "model"]
    model: str | None = None

    @model_validator(mode="after")
    def _model_where_needed(self) -> Purify:
        if (self.method == "model") != (self.model is not None):
            raise ValueError("purify names a model exactly when its method is 'model'")
        return self

    @property
    def only_on_host(self) -> bool:
        """OpenCV does it, between networks: a chain that stays on the GPU cannot."""
        return self.method == "classical"


class Combine(Spec):
    model: str
    takes: Literal["probabilities", "logits", "features"] = "probabilities"


class Explain(Spec):
    models: Annotated[tuple[str, ...], Field(min_length=1)]


class ChainSpec(Spec):
    segment: Segment | None = None
    purify: Purify | None = None
    classify: Annotated[tuple[str, ...], Field(min_length=1)]
    combine: Combine | None = None
    explain: Explain | None = None
    metadata: MetadataSpec | None = None


class Interval(Spec):
    low: Fraction
    high: Fraction
    level: Fraction = 0.95


class OperatingPoint(Spec):
    """What the threshold was chosen for, and what it reached on which predictions."""

    target_sensitivity: Fraction
    sensitivity: Fraction
    sensitivity_interval: Interval
    specificity: Fraction
    specificity_interval: Interval
    positives: Annotated[int, Field(ge=1)]
    negatives: Annotated[int, Field(ge=1)]
    predictions: str  # where the predictions came from, e.g. "out of fold, 3 folds"


class Abstention(Spec):
    """When a computed score is shown but not acted on. A limit of null is not applied."""

    no_lesion: bool = True
    disagreement: Annotated[float, Field(ge=0)] | None = None
    ood: float | None = None
    area_fraction_min: Fraction | None = None
    area_fraction_max: Fraction | None = None


class Coverage(Spec):
    """How many real lesions the limits of abstention were to leave decided, and how many they do,
    with limits that were fitted on other images."""

    wanted: Fraction
    decided: Fraction
    decided_interval: Interval
    images: Annotated[int, Field(ge=1)]
    sensitivity: Fraction | None  # among the decided; None where there is no such image
    specificity: Fraction | None
    predictions: str


class Decision(Spec):
    score: str  # the class whose probability is the score
    temperature: Annotated[float, Field(gt=0)] = 1.0
    threshold: Fraction | None = None  # null until `dermedge operate` has fitted one
    threshold_interval: Interval | None = None
    operating_point: OperatingPoint | None = None
    abstain: Abstention = Abstention()
    coverage: Coverage | None = None  # of `abstain`, where its limits were fitted

    @model_validator(mode="after")
    def _a_threshold_says_where_it_is_from(self) -> Decision:
        if (self.threshold is None) != (self.operating_point is None):
            raise ValueError("threshold and operating_point come together or not at all")
        return self


class QualityLimit(Spec):
    """The allowed range of one acquisition measure, and what to tell the user outside it.

    `better` is a narrower range, for the live picture: outside it the user is told as well, while a
    picture that is taken all the same is judged.
    """

    min: float | None = None
    max: float | None = None
    better: tuple[float | None, float | None] = (None, None)
    hint: str

    def excludes(self, value: float) -> bool:
        return _is_outside(value, self.min, self.max)

    def advises(self, value: float) -> bool:
        return self.excludes(value) or _is_outside(value, *self.better)


def _is_outside(value: float, low: float | None, high: float | None) -> bool:
    return (low is not None and value < low) or (high is not None and value > high)


class GateLimits(Spec):
    """What a candidate may lose against this bundle. Losses must be believed, not just be found:
    it is their upper confidence bound that is held against a limit."""

    sensitivity_loss: Fraction = 0.01
    auc_loss: Fraction = 0.005
    flips: Fraction = 0.02  # the share of images with another decision, for better or worse
    probability_change: Fraction = 0.2  # what 99 of 100 images stay below
    mask_agreement: Fraction = 0.95  # the mean Jaccard index between both segmentations
    mask_agreement_p99: Fraction = 0.8  # what it is at least in 99 of 100 images


class GateResult(Spec):
    """The verdict on this bundle as a candidate. It is of what was judged, and of nothing else:
    runtime/gate_state.py says whether the bundle still is that."""

    passed: bool
    reference: Sha256  # digest of the bundle it was held against; of fold bundles, over theirs
    judged: Sha256
    report: dict[str, float | int | str | None]


class Gate(Spec):
    limits: GateLimits = GateLimits()  # for candidates that are held against this bundle
    result: GateResult | None = None


class Release(Spec):
    """That it may be used. runtime/releasing.py says whether the bundle still is that one."""

    date: datetime
    bundle: Sha256


class Expected(Spec):
    """A golden image's results. A tolerance is the largest difference between engines seen."""

    probabilities: dict[str, Fraction]
    box: tuple[int, int, int, int] | None
    box_tolerance: Annotated[int, Field(ge=0)]  # pixels, on each edge


class Golden(Spec):
    image: InsidePath
    expected: Expected
    tolerance: dict[Precision, Annotated[float, Field(gt=0, le=1)]]


class DataSet(Spec):
    name: str
    sha256: Sha256
    images: Annotated[int, Field(ge=0)]


class Provenance(Spec):
    revision: str
    data: tuple[DataSet, ...] = ()
    fold: int | None = None
    held_out: tuple[str, ...] = ()  # ids a fold's networks have not seen
    metrics: dict[str, float | int | str | None] = {}


class Bundle(Spec):
    schema_number: Annotated[Literal[1], Field(alias="schema")] = 1
    name: Name
    version: Name
    created: datetime
    recipe: str
    intended_use: str
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    positive: Annotated[tuple[str, ...], Field(min_length=1)]
    provenance: Provenance
    files: dict[InsidePath, Sha256]
    models: Annotated[dict[Name, ModelSpec], Field(min_length=1)]
    views: dict[str, ViewSpec]
    chain: ChainSpec
    decision: Decision
    quality: dict[str, QualityLimit] = {}
    gate: Gate = Gate()
    released: Release | None = None
    golden: tuple[Golden, ...] = ()

    @model_validator(mode="after")
    def _everything_named_exists(self) -> Bundle:
        for problem in _dangling_names(self):
            raise ValueError(problem)
        return self


def _dangling_names(bundle: Bundle) -> list[str]:
    """Every reference in the bundle to something that it does not define."""
    problems = []

    def need(what: str, name: str | None, among: object, where: str) -> None:
        if name is not None and name not in among:  # type: ignore[operator]
            problems.append(f"{where} names the {what} {name!r}, but there are only {_list(among)}")

    chain, models = bundle.chain, bundle.models
    for name in bundle.positive:
        need("class", name, bundle.classes, "positive")
    need("class", bundle.decision.score, bundle.classes, "decision.score")
    for name in chain.classify:
        need("model", name, models, "chain.classify")
    for where, part in (("segment", chain.segment), ("purify", chain.purify)):
        need("model", part.model if part else None, models, f"chain.{where}")
    need("model", chain.combine.model if chain.combine else None, models, "chain.combine")
    for name in chain.explain.models if chain.explain else ():
        need("model", name, models, "chain.explain")
    for name, model in models.items():
        for item in model.inputs:
            if isinstance(item, ImageInput):
                need("view", item.view, bundle.views, f"models.{name}")
            if isinstance(item, MetadataInput) and chain.metadata is None:
                problems.append(f"models.{name} takes metadata, but chain.metadata is null")
        for variant in model.variants:
            need("file", variant.file, bundle.files, f"models.{name}")
    for golden in bundle.golden:
        need("file", golden.image, bundle.files, "golden")
    return problems + _inconsistent(bundle)


def _inconsistent(bundle: Bundle) -> list[str]:
    """Combinations that name existing things and still make no system."""
    problems = []
    chain = bundle.chain
    if len(set(bundle.classes)) != len(bundle.classes):
        problems.append(f"classes has a name twice: {_list(bundle.classes)}")
    if len(chain.classify) > 1 and chain.combine is None:
        problems.append(f"{len(chain.classify)} members need a model to combine them")
    if chain.segment is None and any(v.area == "lesion" for v in bundle.views.values()):
        problems.append("a view shows the lesion, but chain.segment is null")
    if chain.purify is None and any(v.source == "purified" for v in bundle.views.values()):
        problems.append("a view shows the purified frame, but chain.purify is null")
    takes = chain.combine.takes if chain.combine else "probabilities"
    for name in chain.classify:
        model = bundle.models.get(name)
        if model and model.output(takes) is None and takes == "features":
            problems.append(f"chain.combine takes features, which {name!r} does not give")
        if model and model.output("probabilities") is None and model.output("logits") is None:
            problems.append(f"member {name!r} has neither a probabilities nor a logits output")
    segmenter = bundle.models.get(chain.segment.model) if chain.segment else None
    if segmenter and (segmenter.output("mask") is None or segmenter.image_input() is None):
        problems.append("the segmenter needs an image input and a mask output")
    purifier = bundle.models.get((chain.purify and chain.purify.model) or "")
    if purifier and (purifier.output("image") is None or purifier.image_input() is None):
        problems.append("the purifier needs an image input and an image output")
    for name, model in bundle.models.items():
        for variant in model.variants:
            if bundle.files.get(variant.file) not in (None, variant.sha256):
                problems.append(f"models.{name} and files give {variant.file} different hashes")
    return problems


def _list(names: object) -> str:
    return ", ".join(repr(name) for name in names) or "none"  # type: ignore[attr-defined]
