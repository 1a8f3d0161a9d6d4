"""What a model's outputs mean to a chain, wherever they were computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from runtime.chain import Floats
from runtime.decision import softmax
from runtime.errors import BundleError, DermedgeError
from runtime.lesion import cut_view, view_box
from runtime.preprocess import Image, to_tensor

if TYPE_CHECKING:
    from runtime.backends.base import Engine
    from runtime.bundle import Bundle, Role
    from runtime.lesion import Box, Lesion

Said = dict[str, Floats]
"""A model's outputs by name."""


def taken(spec: Bundle, name: str, outputs: Said, role: Role) -> Floats:
    """One output of a model by role, without its batch. Probabilities may come from logits."""
    model = spec.models[name]
    wanted = model.output(role)
    if wanted is None and role == "probabilities":
        return softmax(outputs[model.output("logits") or ""][0]).astype(np.float32)
    return outputs[wanted or ""][0]


def unlikeness(spec: Bundle, said: Mapping[str, Said]) -> float | None:
    """How unlike the training pictures the frame is, to the member that is most surprised."""
    names = {name: spec.models[name].output("ood") for name in said}
    values = [float(said[name][out].max()) for name, out in names.items() if out is not None]
    return max(values, default=None)


def picture_of(spec: Bundle, name: str, outputs: Said) -> Floats:
    """What a model painted, as a frame is: blue, green, red in 0…255, at its own size."""
    painted = taken(spec, name, outputs, "image")
    if not np.isfinite(painted).all():
        raise DermedgeError(f"'{name}' did not give a picture: it has NaN or infinity")
    return np.ascontiguousarray(painted[::-1].transpose(1, 2, 0)) * np.float32(255)


def painted_by(engine: Engine, spec: Bundle, name: str, frame: Image) -> Floats:
    """By itself, for who asks for no more than that picture."""
    images = (item for item in spec.models[name].inputs if item.kind == "image")
    feeds = {item.name: to_tensor(frame, item.preprocess) for item in images}
    return picture_of(spec, name, engine.run(feeds))


def heat_of(
    engine: Engine,
    spec: Bundle,
    model: str,
    frame: Image,
    lesion: Lesion | None,
    purified: Callable[[], Image | Floats],
) -> tuple[Box, Floats]:
    """An explaining model's heat map, and the part of the frame that it is of."""
    item, output = spec.models[model].image_input(), spec.models[model].output("heatmap")
    if item is None or output is None:
        raise BundleError(
            f"'{model}' is to explain, but makes no heat map of an image.",
            expected="an image input and an output with the role heatmap",
            remedy="export the bundle again",
        )
    view = spec.views[item.view]
    size = frame.shape[0], frame.shape[1]
    picture = frame if view.source == "frame" else purified()
    tensor = to_tensor(cut_view(picture, view, lesion, size), item.preprocess)
    heat = engine.run({item.name: tensor})[output][0, 0]
    if not np.isfinite(heat).all():
        raise DermedgeError(f"'{model}' did not give a heat map: it has NaN or infinity")
    return view_box(view, lesion, *size), heat
