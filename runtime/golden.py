"""The self-test: golden images through the whole chain, at every start.

A driver, an engine or a library that computes something else than where the bundle was made is
found here, before a patient. Quality limits and abstention are set aside, and so is the
temperature: what is compared is what the networks said, and fitting an operating point does not
make it stale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from runtime.backends.registry import PRECISIONS
from runtime.errors import BundleError

if TYPE_CHECKING:
    from runtime.bundle import Expected
    from runtime.bundle_files import LoadedBundle
    from runtime.chain import Analysis, Chain
    from runtime.preprocess import Image

BoxEdges = tuple[int, int, int, int]

SAFETY = 3.0
"""A tolerance is the largest difference seen, times this: other processors round otherwise."""

FLOOR = {"fp32": 2e-3, "fp16": 1e-2, "int8": 5e-2}
"""No tolerance is below this, in probability: what engines of other makers may well differ by."""

CEILING = 0.3
"""An image that would need more is no test, and is refused as one."""


def check_golden(chain: Chain) -> None:
    """Raise BundleError for the first golden image whose result is not what it should be."""
    precision = chain_precision(chain)
    for case in chain.bundle.spec.golden:
        tolerances = {str(name): value for name, value in case.tolerance.items()}
        if precision not in tolerances:
            raise BundleError(
                f"The self-test cannot judge {case.image} in {precision}.",
                got=f"a chain in {precision}",
                expected="a tolerance for it, beside those for " + ", ".join(tolerances),
                remedy="export or quantize the bundle again",
            )
        analysis = chain.analyse(_read(chain.bundle, case.image))
        problem = _difference(analysis, case.expected, tolerances[precision])
        if problem is not None:
            got, expected = problem
            raise BundleError(
                f"The self-test failed on {case.image} with {chain.backend.name} in {precision}.",
                got=got,
                expected=expected,
                remedy="try another --backend; where all fail, copy or export the bundle again",
            )


def chain_precision(chain: Chain) -> str:
    """The coarsest precision among its models: the one that decides how near results can be."""
    return max(chain.backend.precision.values(), key=PRECISIONS.index)


def measure_golden(
    bundle: LoadedBundle, images: Sequence[str], backends: Sequence[str]
) -> list[dict[str, Any]]:
    """`golden` entries for images that lie in the bundle, measured on every backend given.

    Every precision that the bundle has is run, whatever backend it is meant for. Expected is what
    the first backend says in the finest; a precision's tolerance is its largest difference from
    that on any backend, times SAFETY and never under its FLOOR.
    """
    frames = {image: _read(bundle, image) for image in images}
    runs = _analyse_all(bundle, frames, backends)
    return [
        _entry(image, frame, [(precision, analyses[image]) for precision, analyses in runs])
        for image, frame in frames.items()
    ]


def _analyse_all(
    bundle: LoadedBundle, frames: Mapping[str, Image], backends: Sequence[str]
) -> list[tuple[str, dict[str, Analysis]]]:
    from runtime.host_chain import HostChain, models_in_use

    models = [bundle.spec.models[name] for name in models_in_use(bundle.spec)]
    present = {variant.precision for model in models for variant in model.variants}
    runs = []
    for precision in sorted(present, key=PRECISIONS.index):
        for backend in backends:
            with HostChain(bundle, backend, precision=precision) as chain:
                analyses = {image: chain.analyse(frame) for image, frame in frames.items()}
                runs.append((chain_precision(chain), analyses))
    return runs


def _entry(image: str, frame: Image, runs: Sequence[tuple[str, Analysis]]) -> dict[str, Any]:
    reference = runs[0][1]
    tolerance: dict[str, float] = {}
    edges = 0
    for precision, analysis in runs:
        change = _change(analysis, reference)
        if change is None:
            raise BundleError(
                f"{image} cannot be a golden image: its results are not of one kind.",
                got=_summary(analysis),
                expected=_summary(reference),
                remedy="choose an image with a clear lesion",
            )
        widest = max(change[0] * SAFETY, FLOOR[precision], tolerance.get(precision, 0.0))
        tolerance[precision] = widest
        edges = max(edges, change[1])
    if max(tolerance.values()) > CEILING:
        raise BundleError(
            f"{image} cannot be a golden image: engines and precisions differ too much on it.",
            got=", ".join(f"{name} {value:.3f}" for name, value in tolerance.items()),
            expected=f"tolerances of at most {CEILING}",
            remedy="choose an image that the networks are surer of",
        )
    return {
        "image": image,
        "expected": {
            "probabilities": reference.combined,
            "box": _box(reference),
            "box_tolerance": max(round(edges * SAFETY), _mask_cell(reference, frame)),
        },
        "tolerance": tolerance,
    }


def _change(one: Analysis, other: Analysis) -> tuple[float, int] | None:
    """The largest differences of a probability and of a box's edge; None where they have none."""
    boxes = _box(one), _box(other)
    if one.combined is None or other.combined is None or (boxes[0] is None) != (boxes[1] is None):
        return None
    probability = max(abs(one.combined[name] - other.combined[name]) for name in one.combined)
    return probability, _edge_change(*boxes)


def _edge_change(one: BoxEdges | None, other: BoxEdges | None) -> int:
    if one is None or other is None:
        return 0
    corners = [(x, y, x + width, y + height) for x, y, width, height in (one, other)]
    return max(abs(a - b) for a, b in zip(*corners, strict=True))


def _difference(analysis: Analysis, expected: Expected, tolerance: float) -> tuple[str, str] | None:
    """What was got and what was expected, in words, where the two are too far apart."""
    if analysis.combined is None:
        return analysis.result.reason or "an error", "probabilities"
    for name, value in expected.probabilities.items():
        got = analysis.combined.get(name)
        if got is None or abs(got - value) > tolerance:
            said = "no such class" if got is None else f"{got:.4f}"
            return f"{name} {said}", f"{name} {value:.4f} ± {tolerance:.4f}"
    box = _box(analysis)
    if (box is None) != (expected.box is None) or (
        _edge_change(box, expected.box) > expected.box_tolerance
    ):
        return f"box {box}", f"box {expected.box} ± {expected.box_tolerance} pixels an edge"
    return None


def _mask_cell(analysis: Analysis, frame: Image) -> int:
    """How many frame pixels one sample of the mask covers: an edge may always move by one."""
    if analysis.lesion is None:
        return 0
    sides = zip(frame.shape[:2], analysis.lesion.mask.shape, strict=True)
    return max(-(-pixels // cells) for pixels, cells in sides)


def _box(analysis: Analysis) -> BoxEdges | None:
    return analysis.result.lesion.box if analysis.result.lesion else None


def _summary(analysis: Analysis) -> str:
    return analysis.result.reason or f"box {_box(analysis)}"


def _read(bundle: LoadedBundle, image: str) -> Image:
    try:
        content = (bundle.path / image).read_bytes()
        frame = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        frame = None
    if frame is None:
        raise BundleError(
            f"The bundle's golden image {image} cannot be read.",
            expected="a PNG file",
            remedy="copy the bundle again from where it was made",
        )
    return np.asarray(frame, dtype=np.uint8)
