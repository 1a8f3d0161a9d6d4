"""Whether a loaded graph is the model its bundle describes: names, sizes, numbers of classes.

The schema cannot know what is inside an ONNX file. Here is where a bundle that describes another
graph than it holds is stopped, before its first frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from runtime.backends.base import ANY, Shape, shape_text
from runtime.errors import BundleError
from runtime.specs import CHANNELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.bundle import Bundle, Input

REMEDY = "export the bundle again"


class Ends(Protocol):
    """Anything that says what goes in and comes out, for one frame."""

    @property
    def inputs(self) -> Mapping[str, Shape]: ...

    @property
    def outputs(self) -> Mapping[str, Shape]: ...


def check_fit(bundle: Bundle, engines: Mapping[str, Ends]) -> None:
    """Raise BundleError for the first engine that is not what the bundle says it is."""
    for name, engine in engines.items():
        _check_names(bundle, name, engine)
        for item in bundle.models[name].inputs:
            wanted = _wanted_input(bundle, name, item, engines)
            _check_shape(name, item.name, engine.inputs[item.name], wanted)
        for output in bundle.models[name].outputs:
            wanted = _wanted_output(bundle, output.role)
            _check_shape(name, output.name, engine.outputs[output.name], wanted)


def _check_names(bundle: Bundle, name: str, engine: Ends) -> None:
    inputs = {item.name for item in bundle.models[name].inputs}
    outputs = {item.name for item in bundle.models[name].outputs}
    if inputs != engine.inputs.keys():
        raise BundleError(
            f"models.{name}: the graph has other inputs than the bundle describes.",
            got=", ".join(sorted(engine.inputs)) or "none",
            expected=", ".join(sorted(inputs)),
            remedy=REMEDY,
        )
    if missing := outputs - engine.outputs.keys():
        raise BundleError(
            f"models.{name}: the graph lacks an output that the bundle describes.",
            got=", ".join(sorted(engine.outputs)) or "none",
            expected=", ".join(sorted(missing)),
            remedy=REMEDY,
        )


def _wanted_input(
    bundle: Bundle, name: str, item: Input, engines: Mapping[str, Ends]
) -> Shape | None:
    if item.kind == "image":
        return (1, CHANNELS[item.preprocess.colour], *item.preprocess.size)
    if item.kind == "metadata":
        return (1, bundle.chain.metadata.width if bundle.chain.metadata else 0)
    return (1, len(bundle.chain.classify), _member_width(bundle, name, engines))


def _member_width(bundle: Bundle, name: str, engines: Mapping[str, Ends]) -> int:
    """How many numbers each member hands to the model that combines them."""
    combine = bundle.chain.combine
    if combine is None or combine.takes != "features":
        return len(bundle.classes)
    widths = {}
    for member in bundle.chain.classify:
        output = bundle.models[member].output("features")
        widths[member] = engines[member].outputs[output or ""][-1]
    if len(set(widths.values())) > 1:
        raise BundleError(
            f"models.{name} combines features, but its members give different numbers of them.",
            got=", ".join(f"{member}: {width}" for member, width in widths.items()),
            remedy=REMEDY,
        )
    return next(iter(widths.values()))


def _wanted_output(bundle: Bundle, role: str) -> Shape | None:
    """None where any shape will do."""
    if role in ("probabilities", "logits"):
        return (1, len(bundle.classes))
    if role == "mask":
        return (1, 1, ANY, ANY)
    if role == "image":
        return (1, 3, ANY, ANY)
    if role == "features":
        return (1, ANY)
    return None


def _check_shape(model: str, tensor: str, got: Shape, wanted: Shape | None) -> None:
    if wanted is None:
        return
    fits = len(got) == len(wanted) and all(
        ANY in (have, want) or have == want for have, want in zip(got, wanted, strict=True)
    )
    if not fits:
        raise BundleError(
            f"models.{model}: '{tensor}' has another shape than the bundle describes.",
            got=shape_text(got),
            expected=shape_text(wanted),
            remedy=REMEDY,
        )
