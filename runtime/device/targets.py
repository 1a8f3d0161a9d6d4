"""What the networks of a bundle look at, each picture once, however many of them look at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from runtime.device.layouts import AREAS, COLOURS, TARGET
from runtime.specs import CHANNELS

if TYPE_CHECKING:
    from runtime.backends.trt_plan import OpenPlan
    from runtime.bundle import Bundle
    from runtime.specs import PreprocessSpec, ViewSpec


@dataclass(frozen=True, slots=True)
class Target:
    view: ViewSpec
    preprocess: PreprocessSpec
    half: bool  # 16-bit floats, because an engine takes those

    @property
    def pixels(self) -> int:
        height, width = self.preprocess.size
        return height * width

    @property
    def size(self) -> int:
        return self.pixels * CHANNELS[self.preprocess.colour] * (2 if self.half else 4)


class Targets:
    """Every input that is an image, in the order in which they are made."""

    def __init__(self, spec: Bundle, plans: Mapping[str, OpenPlan]) -> None:
        self._of: dict[tuple[str, str], Target] = {}
        segmenter = spec.chain.segment.model if spec.chain.segment else None
        purifier = spec.chain.purify.model if spec.chain.purify else None
        for model, plan in plans.items():
            for item in spec.models[model].inputs:
                if item.kind != "image":
                    continue
                kind = plan.tensors[item.name].kind
                no_lesion = segmenter is None or model in (segmenter, purifier)
                view = _seen(spec.views[item.view], no_lesion)
                self._of[model, item.name] = Target(view, item.preprocess, kind == "HALF")
        found = dict.fromkeys(self._of.values())
        self.early = [target for target in found if not _waits(target.view)]
        self.late = [target for target in found if _waits(target.view)]

    @property
    def all(self) -> list[Target]:
        return [*self.early, *self.late]

    def of(self, model: str, tensor: str) -> int:
        return self.all.index(self._of[model, tensor])

    def waits(self, model: str) -> bool:
        """Whether the model can only be run when lesion or picture are there."""
        return any(_waits(target.view) for (name, _), target in self._of.items() if name == model)


def target_table(targets: Sequence[Target], addresses: Sequence[int]) -> np.ndarray:
    """As the kernels read it: what each shows, and where it is to be written."""
    rows = np.zeros(len(addresses), TARGET)
    for row, target, address in zip(rows, targets, addresses, strict=True):
        view, spec = target.view, target.preprocess
        channels = CHANNELS[spec.colour]
        row["out"] = address
        row["margin"] = view.margin
        row["height"], row["width"] = spec.size
        row["colour"], row["half"] = COLOURS[spec.colour], target.half
        row["area"], row["square"] = AREAS[view.area], view.square
        row["black"], row["purified"] = view.background == "black", view.source == "purified"
        row["mean"][:channels] = spec.mean
        row["scale"][:channels] = np.float32(1) / np.asarray(spec.std, np.float64)
    return rows


def _waits(view: ViewSpec) -> bool:
    return view.shows_lesion or view.source == "purified"


def _seen(view: ViewSpec, no_lesion: bool) -> ViewSpec:
    """The view without what makes no difference, so that equal pictures are seen to be equal."""
    if no_lesion:  # the frame is all that there is
        area = "frame" if view.area == "lesion" else view.area
        view = view.model_copy(update={"area": area, "background": "keep"})
    if view.area != "lesion":
        view = view.model_copy(update={"margin": 0.0, "square": False})
    return view
