"""The chain on the host: engines by name, NumPy and OpenCV between them.

Members run one after another, each with all the cores. Side by side, measured with five networks
on two cores, large and small, took as long; and so a time belongs to a member.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from runtime.backends.base import Engine
from runtime.backends.fit import check_fit
from runtime.backends.registry import choose_backend, open_engine
from runtime.chain import Analysis, Chain, Floats, Measured
from runtime.errors import BundleError, DermedgeError
from runtime.lesion import clean_mask, cut_view, find_lesion, next_largest
from runtime.preprocess import Image, to_tensor
from runtime.purify import purify as purify_classically
from runtime.said import Said, heat_of, picture_of, taken, unlikeness

if TYPE_CHECKING:
    from runtime.bundle import Bundle, Segment
    from runtime.bundle_files import LoadedBundle
    from runtime.lesion import Box, Lesion
    from runtime.specs import PreprocessSpec, ViewSpec

Tensors = dict["tuple[ViewSpec, PreprocessSpec]", Floats]
"""What networks of one frame are given, by what they look at and how."""


class HostChain(Chain):
    def __init__(
        self,
        bundle: LoadedBundle,
        backend: str = "auto",
        threads: int | None = None,
        precision: str | None = None,
    ) -> None:
        """`precision` runs each model's variant of that precision, or of the nearest."""
        from runtime.record import BackendRecord

        backend = choose_backend(backend)
        refuse_what_no_chain_can_do(bundle.spec)
        self.bundle = bundle
        self._how = backend, threads, precision
        self._stack = ExitStack()
        self._engines: dict[str, Engine] = {}
        try:
            for name in models_in_use(bundle.spec):
                self._engines[name] = self._open(name)
            check_fit(bundle.spec, self._engines)
        except BaseException:
            self.close()
            raise
        self.backend = BackendRecord(
            name=backend,
            mode="host",
            device=next(iter(self._engines.values())).device,
            precision={name: engine.precision for name, engine in self._engines.items()},
        )

    def _open(self, name: str) -> Engine:
        backend, threads, precision = self._how
        spec = self.bundle.spec
        engine = open_engine(
            backend, self.bundle.path, name, spec.models[name], threads,
            precision=precision, classes=len(spec.classes),
        )  # fmt: skip
        return self._stack.enter_context(engine)

    def close(self) -> None:
        self._stack.close()

    def analyse_given(
        self, frame: Image, lesion: Lesion | None, metadata: Mapping[str, object] | None = None
    ) -> Analysis:
        """`analyse`, as if this were what segmentation had found."""
        measured = Measured(lesion)
        return self._analysed(self._measure_found, frame, metadata or {}, measured, explain=False)

    def _measure(self, frame: Image, metadata: Mapping[str, object], measured: Measured) -> None:
        tensors: Tensors = {}
        segment = self.bundle.spec.chain.segment
        with _timed(measured.timing_ms, "segment"):
            if segment is not None:
                measured.lesion = self._segment(frame, segment, tensors)
        self._measure_found(frame, metadata, measured, tensors)

    def _measure_found(
        self,
        frame: Image,
        metadata: Mapping[str, object],
        measured: Measured,
        tensors: Tensors | None = None,
    ) -> None:
        """What comes after segmentation. `tensors`: what networks of this frame were given."""
        spec, timing = self.bundle.spec, measured.timing_ms
        tensors = {} if tensors is None else tensors
        purified = None
        if spec.chain.purify is not None:
            with _timed(timing, "purify"):
                purified = self._purify(frame, measured.lesion, tensors)
        with _timed(timing, "crop"):
            feeds = self._feeds(frame, purified, measured.lesion, metadata, tensors)
        with _timed(timing, "classify"):
            said = self._classify(feeds)
        with _timed(timing, "combine"):
            measured.members = {
                name: taken(spec, name, said[name], "probabilities") for name in said
            }
            measured.combined = self._combine(said, feeds)
        measured.ood = unlikeness(spec, said)

    def _find(self, frame: Image) -> Lesion | None:
        segment = self.bundle.spec.chain.segment
        return None if segment is None else self._segment(frame, segment, {})

    def _heat(self, model: str, frame: Image, lesion: Lesion | None) -> tuple[Box, Floats]:
        """Its engine is opened when it is first asked for: most devices never do."""
        spec = self.bundle.spec
        if model not in self._engines:
            self._engines[model] = self._open(model)
            check_fit(spec, {model: self._engines[model]})
        return heat_of(
            self._engines[model], spec, model, frame, lesion,
            lambda: self._purify(frame, lesion, {}),
        )  # fmt: skip

    def _of_whole_frame(self, name: str, frame: Image, tensors: Tensors) -> dict[str, Floats]:
        """A model's inputs. They are kept in `tensors`, where others may be given the same."""
        feeds = {}
        for item in self.bundle.spec.models[name].inputs:
            if item.kind == "image":
                view = self.bundle.spec.views[item.view]
                view = view.model_copy(update={"background": "keep"})  # no lesion is known yet
                if (view, item.preprocess) not in tensors:
                    tensors[view, item.preprocess] = to_tensor(frame, item.preprocess)
                feeds[item.name] = tensors[view, item.preprocess]
        return feeds

    def _purify(self, frame: Image, lesion: Lesion | None, tensors: Tensors) -> Image | Floats:
        purify = self.bundle.spec.chain.purify
        if purify is None or purify.model is None:
            return purify_classically(frame, lesion.mask if lesion else None).picture
        feeds = self._of_whole_frame(purify.model, frame, tensors)
        return picture_of(self.bundle.spec, purify.model, self._engines[purify.model].run(feeds))

    def _segment(self, frame: Image, segment: Segment, tensors: Tensors) -> Lesion | None:
        feeds = self._of_whole_frame(segment.model, frame, tensors)
        output = self.bundle.spec.models[segment.model].output("mask") or ""
        mask = self._engines[segment.model].run(feeds)[output][0, 0]
        if not np.isfinite(mask).all():
            raise DermedgeError(f"'{segment.model}' did not give a mask: it has NaN or infinity")
        cleaned = clean_mask(mask, segment.threshold, segment.fill_holes)
        rest = next_largest(mask, segment.threshold, cleaned)
        height, width = frame.shape[:2]
        return find_lesion(cleaned, height, width, rest)

    def _classify(self, feeds: Mapping[str, Said]) -> dict[str, Said]:
        members = self.bundle.spec.chain.classify
        return {name: self._engines[name].run(feeds[name]) for name in members}

    def _feeds(
        self,
        frame: Image,
        purified: Image | Floats | None,
        lesion: Lesion | None,
        metadata: Mapping[str, object],
        tensors: Tensors,
    ) -> dict[str, Said]:
        """The inputs of all members and the ensemble. What two look at is prepared once."""
        spec = self.bundle.spec
        self._prepare(frame, purified, lesion, tensors)
        row = spec.chain.metadata.encode(metadata) if spec.chain.metadata else None
        feeds: dict[str, Said] = {}
        for name in _deciding(spec):
            feeds[name] = {}
            for item in spec.models[name].inputs:
                if item.kind == "image":
                    feeds[name][item.name] = tensors[spec.views[item.view], item.preprocess]
                elif item.kind == "metadata" and row is not None:
                    feeds[name][item.name] = row
        return feeds

    def _prepare(
        self,
        frame: Image,
        purified: Image | Floats | None,
        lesion: Lesion | None,
        tensors: Tensors,
    ) -> None:
        """Every view at every size that is not among `tensors` yet.

        One after another: NumPy's part of it holds the interpreter, so side by side they take as
        long.
        """
        spec = self.bundle.spec
        size = frame.shape[0], frame.shape[1]
        missing: dict[ViewSpec, list[PreprocessSpec]] = {}
        for name in _deciding(spec):
            for item in spec.models[name].inputs:
                if item.kind == "image" and (spec.views[item.view], item.preprocess) not in tensors:
                    missing.setdefault(spec.views[item.view], []).append(item.preprocess)

        for view, sizes in missing.items():
            seen = frame if view.source == "frame" else purified
            assert seen is not None  # bundle.py: no purified view without
            cut = cut_view(seen, view, lesion, size)
            for preprocess in dict.fromkeys(sizes):
                tensors[view, preprocess] = to_tensor(cut, preprocess)

    def _combine(self, said: Mapping[str, Said], feeds: Mapping[str, Said]) -> Floats:
        spec = self.bundle.spec
        combine = spec.chain.combine
        if combine is None:
            (name,) = said
            return taken(spec, name, said[name], "probabilities")
        rows = [taken(spec, name, said[name], combine.takes) for name in said]
        stacked = np.stack(rows)[None].astype(np.float32)
        members = {
            item.name: stacked
            for item in spec.models[combine.model].inputs
            if item.kind == "members"
        }
        outputs = self._engines[combine.model].run({**feeds[combine.model], **members})
        return taken(spec, combine.model, outputs, "probabilities")


def models_in_use(spec: Bundle) -> list[str]:
    """The models a frame passes through, in that order and each once."""
    first = [part.model for part in (spec.chain.segment, spec.chain.purify) if part and part.model]
    return list(dict.fromkeys([*first, *_deciding(spec)]))


def _deciding(spec: Bundle) -> list[str]:
    last = [spec.chain.combine.model] if spec.chain.combine else []
    return [*spec.chain.classify, *last]


def refuse_what_no_chain_can_do(spec: Bundle) -> None:
    takes = spec.chain.combine.takes if spec.chain.combine else "probabilities"
    for name in spec.chain.classify:
        if takes != "probabilities" and spec.models[name].output(takes) is None:
            raise BundleError(
                f"chain.combine takes {takes}, which the member '{name}' does not give.",
                got=", ".join(output.role for output in spec.models[name].outputs),
                remedy="export the bundle again",
            )
    for what, part in (("segmenter", spec.chain.segment), ("purifier", spec.chain.purify)):
        if part is not None and part.model is not None:
            _refuse_more_than_the_frame(spec, what, part.model)


def _refuse_more_than_the_frame(spec: Bundle, what: str, name: str) -> None:
    """At first there is the frame as the camera sent it to look at, and nothing else."""
    for item in spec.models[name].inputs:
        view = spec.views[item.view] if item.kind == "image" else None
        if view is None or view.area != "frame" or view.source == "purified":
            raise BundleError(
                f"The {what} '{name}' can only look at the whole frame.",
                got=f"the input '{item.name}'"
                + (f" with the view '{item.view}'" if item.kind == "image" else f" ({item.kind})"),
                expected="an image input with a view whose area and source are 'frame'",
                remedy="export the bundle again",
            )


@contextmanager
def _timed(timing_ms: dict[str, float], stage: str) -> Iterator[None]:
    """The stage's time is noted where it fails as well: that is part of the record."""
    started = perf_counter()
    try:
        yield
    finally:
        timing_ms[stage] = (perf_counter() - started) * 1e3
