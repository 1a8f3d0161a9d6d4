"""From the segmenter's output to the lesion and the boxes of every view, on the GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.device.layouts import BOX, LESION, STATE, STRIP
from runtime.errors import DermedgeError
from runtime.lesion import Box, Lesion

if TYPE_CHECKING:
    import numpy as np

    from runtime.bundle import Segment
    from runtime.device.arena import Arena, Mirrored
    from runtime.device.kernels import Kernels

WORK = ("parents", "areas", "outsides", "states")


class MaskWork:
    """Its memory is a part of a launch's; its steps are launches of kernels, in this order."""

    def __init__(self, segment: Segment, shape: tuple[int, ...], batch: int, boxes: int) -> None:
        *_, self.height, self.width = shape
        self.cells = self.height * self.width
        self.batch, self.boxes = batch, boxes
        self.segment = segment

    def reserve(self, work: Arena, results: Mirrored) -> None:
        results.reserve("lesions", self.batch * LESION.itemsize)
        results.reserve("masks", self.batch * self.cells)
        for name in ("parents", "areas", "outsides"):
            work.reserve(name, self.batch * (self.cells + 1) * 4)
        work.reserve("states", self.batch * STATE.itemsize)
        work.reserve("boxes", self.batch * self.boxes * BOX.itemsize)

    def issue(
        self,
        kernels: Kernels,
        stream: Any,
        probabilities: int,
        frames: int,
        targets: int,
        work: Arena,
        results: Mirrored,
    ) -> None:
        """`probabilities`, `frames` and `targets` are addresses; the targets those of the boxes."""
        cells, width = self.cells, self.width
        parents, areas, outsides, states = (work.address(name) for name in WORK)
        masks, lesions = results.address("masks"), results.address("lesions")
        strips = -(-cells // STRIP)
        threshold, fill = self.segment.threshold, int(self.segment.fill_holes)

        def launch(name: str, *given: float, threads: int = cells) -> None:
            kernels(name, stream, *given, threads=threads, rows=self.batch)

        kernels("clear_states", stream, states, self.batch, threads=self.batch)
        launch("threshold_mask", probabilities, width, cells, threshold, parents, areas, states)
        launch("join_lesion", parents, width, cells)
        launch("count_areas", parents, areas, cells, threads=strips)
        launch("choose_lesion", parents, areas, cells, states)
        launch("spread_outside", parents, outsides, cells, states, threads=cells + 1)
        if fill:
            launch("join_outside", outsides, width, cells)
        given = parents, areas, outsides, width, cells, fill, masks, states
        launch("settle_mask", *given, threads=strips)
        size = self.height, self.width
        placing = (frames, states, *size, targets, self.boxes, work.address("boxes"), lesions)
        launch("place_boxes", *placing, threads=max(self.boxes, 1))

    def lesion(self, results: Mirrored, number: int) -> Lesion | None:
        """Of that frame of the launch, from the host's copy of the results."""
        found: Any = results.host("lesions", LESION, self.batch)[number]
        if found["not_finite"]:
            raise DermedgeError(
                f"'{self.segment.model}' did not give a mask: it has NaN or infinity"
            )
        if not found["found"]:
            return None
        shape = (self.batch, self.height, self.width)
        mask: np.ndarray = results.host("masks", "u1", shape)[number]
        return Lesion(
            mask=mask.copy(),
            box=Box(*(int(found["box"][name]) for name in ("x", "y", "width", "height"))),
            area_fraction=int(found["area"]) / self.cells,
            touches_border=bool(found["touches_border"]),
            next_largest=int(found["next_area"]) / int(found["area"]),
        )
