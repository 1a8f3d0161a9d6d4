"""All that one launch needs, for one frame or for several at once: memory, contexts, streams.

`issue` says what happens in which order, on streams. Whether that is done each time, or once to be
captured as a graph, or with a stop after each stage, is decided elsewhere (launching.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from runtime.device.arena import Arena, Mirrored
from runtime.device.lanes import Lanes
from runtime.device.layouts import FRAME, SAID, TARGET, Format
from runtime.device.mask import MaskWork
from runtime.device.picture import PictureWork
from runtime.device.pixels import Pixels
from runtime.device.targets import Targets, target_table

if TYPE_CHECKING:
    from runtime.backends.base import Floats
    from runtime.backends.trt_plan import OpenPlan
    from runtime.bundle import Bundle, Role
    from runtime.device.driver import Cuda
    from runtime.device.kernels import Kernels
    from runtime.lesion import Lesion

    Pause = Callable[[str], None]

TO_HOST: tuple[Role, ...] = ("probabilities", "logits", "ood")
"""What the host is told of a model's outputs: the rest never leaves the GPU."""


class Slot:
    """Make, use and free it where the GPU's context is current."""

    def __init__(
        self, cuda: Cuda, kernels: Kernels, spec: Bundle, plans: Mapping[str, OpenPlan], batch: int
    ) -> None:
        self.cuda, self.batch = cuda, batch
        self._kernels, self._spec, self._plans = kernels, spec, plans
        self.targets = Targets(spec, plans)
        self._mask = self._mask_work()
        self._picture = self._picture_work()
        self._given, self._work, self.results = Mirrored(cuda), Arena(cuda), Mirrored(cuda)
        self._tables = Mirrored(cuda)  # what never changes
        self.pixels = [Pixels(cuda) for _ in range(batch)]
        self.lanes = Lanes(cuda, len(spec.chain.classify))
        self._reserve()
        for arena in (self._given, self._work, self.results, self._tables):
            arena.allocate()
        self._contexts = {name: plan.context() for name, plan in plans.items()}
        for name, context in self._contexts.items():
            context.bind(self._addresses(name))
        self._write_tables()

    @property
    def finds(self) -> bool:
        return self._mask is not None

    def _mask_work(self) -> MaskWork | None:
        segment = self._spec.chain.segment
        if segment is None:
            return None
        output = self._spec.models[segment.model].output("mask") or ""
        shape = self._plans[segment.model].outputs[output]
        return MaskWork(segment, shape, self.batch, len(self.targets.late))

    def _picture_work(self) -> PictureWork | None:
        purify = self._spec.chain.purify
        if purify is None or purify.model is None:
            return None
        output = self._spec.models[purify.model].output("image") or ""
        shape = self._plans[purify.model].outputs[output]
        return PictureWork(purify.model, output, shape, self.batch)

    def _reserve(self) -> None:
        spec, batch = self._spec, self.batch
        metadata, combine = spec.chain.metadata, spec.chain.combine
        self._given.reserve("frames", batch * FRAME.itemsize)
        self._given.reserve("metadata", batch * (metadata.width if metadata else 0) * 4)
        if self._mask is not None:
            self._mask.reserve(self._work, self.results)  # first of the results: see `find`
        self.results.reserve("said", 0)
        if self._picture is not None:
            self._picture.reserve(self._tables, self.results)
        for number, target in enumerate(self.targets.all):
            self._work.reserve(f"target {number}", batch * target.size)
        for name, plan in self._plans.items():
            told = {output.name for output in spec.models[name].outputs if output.role in TO_HOST}
            for output, shape in plan.outputs.items():
                arena = self.results if output in told else self._work
                arena.reserve(f"{name}: {output}", batch * int(np.prod(shape)) * 4)
        self._tables.reserve("targets", len(self.targets.all) * TARGET.itemsize)
        self._tables.reserve("members", len(spec.chain.classify) * SAID.itemsize)
        if combine is not None:
            width = len(spec.chain.classify) * self._member_width()
            self._work.reserve("stacked", batch * width * 4)

    def _member_width(self) -> int:
        return int(np.prod(self._taken(self._spec.chain.classify[0])[1]))

    def _taken(self, member: str) -> tuple[str, tuple[int, ...], bool]:
        """What the ensemble takes of a member: which output, its shape, and whether as logits."""
        assert self._spec.chain.combine is not None
        model, takes = self._spec.models[member], self._spec.chain.combine.takes
        output = model.output(takes)
        from_logits = output is None
        name = output or model.output("logits") or ""
        return name, self._plans[member].outputs[name], from_logits

    def _addresses(self, model: str) -> dict[str, int]:
        found = {}
        for item in self._spec.models[model].inputs:
            if item.kind == "image":
                place = self._work.address(f"target {self.targets.of(model, item.name)}")
            elif item.kind == "metadata":
                place = self._given.address("metadata")
            else:
                place = self._work.address("stacked")
            found[item.name] = place
        return found | {name: self._output(model, name) for name in self._plans[model].outputs}

    def _output(self, model: str, tensor: str) -> int:
        name = f"{model}: {tensor}"
        return (self.results if name in self.results else self._work).address(name)

    def _write_tables(self) -> None:
        addresses = [
            self._work.address(f"target {number}") for number in range(len(self.targets.all))
        ]
        self._tables.host("targets", TARGET, len(addresses))[:] = target_table(
            self.targets.all, addresses
        )
        members = self._spec.chain.classify
        if self._spec.chain.combine is not None:
            rows = self._tables.host("members", SAID, len(members))
            for row, member in zip(rows, members, strict=True):
                output, _, from_logits = self._taken(member)
                row["values"], row["softmax"] = self._output(member, output), from_logits
        if self._picture is not None:
            self._picture.write(self._tables, self._painted(self._picture))
        self._tables.upload(self.lanes.main)
        self.cuda.synchronize(self.lanes.main)

    def _painted(self, picture: PictureWork) -> int:
        return self._output(picture.model, picture.output)

    # A launch

    def give(
        self,
        frames: Sequence[npt.NDArray[np.uint8]],
        rows: Sequence[Floats | None],
        format: Format = Format.BGR,
    ) -> None:
        """The frames' way up begins. Fewer than there is room for: the last is seen repeatedly."""
        headers = self._given.host("frames", FRAME, self.batch)
        for number, frame in enumerate(frames):
            self.pixels[number].take(frame, format, headers[number], self.lanes.main)
        headers[len(frames) :] = headers[len(frames) - 1]
        width = self._spec.chain.metadata.width if self._spec.chain.metadata else 0
        table = self._given.host("metadata", np.float32, (self.batch, width))
        for number, row in enumerate(rows):
            if row is not None:
                table[number] = row[0]

    def issue(self, pause: Pause = lambda stage: None, bare: bool = False) -> None:
        """The whole of it, from frames that were given to results on the host.

        `bare`: the engines alone, in the same order and as far side by side, to be timed.
        """
        lanes, chain = self.lanes, self._spec.chain
        lanes.begin()
        if not bare:
            self._given.upload(lanes.main)
            self._fill(self.targets.early, 0)
        waiting = [name for name in chain.classify if self.targets.waits(name)]
        ready = [name for name in chain.classify if name not in waiting]
        if self._mask is not None or self._picture is not None:
            # These need not know the lesion nor see the picture: they run beside both.
            self._enqueue(ready, lanes.fork(len(ready)))
            ready = []
        if self._mask is not None:
            self._segment(self._mask, bare)
        pause("segment")
        if self._picture is not None:
            self._purify(self._picture, bare)
            pause("purify")
        if not bare:
            self._fill(self.targets.late, len(self.targets.early))
        pause("crop")
        last = [*ready, *waiting]
        self._enqueue(last, [*lanes.fork(len(last) - 1), lanes.main][: len(last)])
        lanes.join()
        pause("classify")
        self._combine(bare)
        if not bare:
            self.results.download(lanes.main)
        pause("combine")

    def issue_find(self) -> None:
        """The lesion alone."""
        assert self._mask is not None
        self.lanes.begin()
        self._given.upload(self.lanes.main)
        self._fill(self.targets.early, 0)
        self._segment(self._mask)
        self.results.download(self.lanes.main, before="said")

    def require_capturable(self) -> None:
        """That a graph can be made of every engine, as far as the library knows beforehand."""
        for name, context in self._contexts.items():
            if not context.capturable(self.lanes.main):
                raise self._plans[name].refusal("to become part of a graph")

    def issue_engine(self, name: str, times: int) -> None:
        """One engine alone, on what lies where it looks: to be timed."""
        for _ in range(times):
            self._contexts[name].enqueue(self.lanes.main)

    def _enqueue(self, models: Sequence[str], streams: Sequence[Any]) -> None:
        for name, stream in zip(models, streams, strict=True):
            self._contexts[name].enqueue(stream)

    def _fill(self, targets: Sequence[Any], first: int) -> None:
        if not targets:
            return
        table = self._tables.address("targets") + first * TARGET.itemsize
        mask = self._mask
        boxes, lesions, masks = (
            (0, 0, 0)
            if mask is None
            else (
                self._work.address("boxes"),
                self.results.address("lesions"),
                self.results.address("masks"),
            )
        )
        pictures = 0 if self._picture is None else self._tables.address("pictures")
        self._kernels(
            "fill_targets", self.lanes.main, self._given.address("frames"), pictures, table, boxes,
            lesions, masks, mask.height if mask else 0, mask.width if mask else 0,
            threads=max(target.pixels for target in targets), rows=len(targets), frames=self.batch,
        )  # fmt: skip

    def _segment(self, mask: MaskWork, bare: bool = False) -> None:
        segment = mask.segment
        self._contexts[segment.model].enqueue(self.lanes.main)
        if bare:
            return
        output = self._spec.models[segment.model].output("mask") or ""
        late = self._tables.address("targets") + len(self.targets.early) * TARGET.itemsize
        mask.issue(
            self._kernels, self.lanes.main, self._output(segment.model, output),
            self._given.address("frames"), late, self._work, self.results,
        )  # fmt: skip

    def _purify(self, picture: PictureWork, bare: bool) -> None:
        self._contexts[picture.model].enqueue(self.lanes.main)
        if not bare:
            painted = self._painted(picture)
            picture.issue(self._kernels, self.lanes.main, painted, self.results)

    def _combine(self, bare: bool) -> None:
        combine, members = self._spec.chain.combine, self._spec.chain.classify
        if combine is None:
            return
        if not bare:
            width = self._member_width()
            self._kernels(
                "stack_members", self.lanes.main, self._tables.address("members"), width,
                self._work.address("stacked"), threads=width, rows=len(members), frames=self.batch,
            )  # fmt: skip
        self._contexts[combine.model].enqueue(self.lanes.main)

    # Its results

    def lesion(self, number: int) -> Lesion | None:
        return None if self._mask is None else self._mask.lesion(self.results, number)

    def check_picture(self, number: int) -> None:
        if self._picture is not None:
            self._picture.check(self.results, number)

    def said(self, model: str, number: int) -> dict[str, Floats]:
        """That frame's outputs of a model, of those that the host is told, by name."""
        found = {}
        for output, shape in self._plans[model].outputs.items():
            if (name := f"{model}: {output}") in self.results:
                every = self.results.host(name, np.float32, (self.batch, *shape))
                found[output] = every[number].copy()
        return found

    def free(self) -> None:
        self._contexts.clear()
        for arena in (self._given, self._work, self.results, self._tables):
            arena.free()
        for pixels in self.pixels:
            pixels.free()
