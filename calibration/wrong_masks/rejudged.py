"""The same images judged again by the same chain, which is given other masks than its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from calibration.evaluation.masks import read_mask
from calibration.judged import Judged, Judgement, load_table, pool
from calibration.wrong_masks.changes import TITLES, wrong_masks
from runtime.backends.registry import BACKENDS
from runtime.errors import UsageError
from runtime.host_chain import HostChain
from runtime.judging import open_chains, shared
from runtime.lesion import clean_mask, find_lesion
from train.data.table import Sample, metadata

if TYPE_CHECKING:
    from runtime.bundle import Segment
    from runtime.bundle_files import LoadedBundle
    from runtime.chain import Chain
    from runtime.lesion import Lesion
    from runtime.preprocess import Image
    from runtime.sources import Item, Loaded

Mask = npt.NDArray[np.uint8]
OnEach = Callable[[], None]

SEED = 0


def refuse_what_has_no_mask_to_change(bundles: Sequence[LoadedBundle], backend: str) -> None:
    if BACKENDS[backend].compiled:
        hosts = ", ".join(name for name, found in BACKENDS.items() if not found.compiled)
        raise UsageError(
            "--wrong-masks needs a chain on the host, which can be given a mask.",
            got=f"--backend {backend}, whose chain keeps the mask on the GPU",
            expected=hosts,
        )
    for bundle in bundles:
        if bundle.spec.chain.segment is None:
            raise UsageError(
                f"The bundle {bundle.spec.name} has no segmenter that could be wrong.",
                got="chain.segment: null",
                remedy="leave --wrong-masks out",
            )


def draw(judged: Judged, most: int) -> Judged:
    """Images with a score in which a lesion was found, at most so many, evenly over the table and
    with positives in their share. All labels must be among the classes."""
    outlined = np.array([judgement.mask_shape is not None for judgement in judged.judgements])
    rows = np.flatnonzero(judged.scored & outlined)
    rows = rows[np.argsort(judged.malignant[rows], kind="stable")]
    steps = np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(np.int64)
    return judged.select([judged.table.ids[row] for row in np.sort(rows[steps])])


def rejudge(
    parts: Sequence[tuple[LoadedBundle, Judged]], backend: str, on_each: OnEach
) -> dict[str, Judged]:
    """By the name of the mask. Each part's images are judged by its own bundle again."""
    others = _exchanged(parts)
    done = [_rejudge(bundle, own, others, backend, on_each) for bundle, own in parts]
    return {
        name: pool(found) if len(found) > 1 else found[0]
        for name in TITLES
        if (found := [part[name] for part in done if name in part])
    }


def _exchanged(parts: Sequence[tuple[LoadedBundle, Judged]]) -> dict[str, Mask]:
    """For each image the mask that was found in another one, each mask given once."""
    masks = {
        name: judgement.mask
        for _, own in parts
        for name, judgement in zip(own.table.ids, own.judgements, strict=True)
        if judgement.mask is not None
    }
    names = [str(name) for name in np.random.default_rng(SEED).permutation(list(masks))]
    return {name: masks[names[place - 1]] for place, name in enumerate(names)}


def _rejudge(
    bundle: LoadedBundle, own: Judged, others: Mapping[str, Mask], backend: str, on_each: OnEach
) -> dict[str, Judged]:
    rows = dict(zip(own.table.ids, zip(own.table, own.judgements, strict=True), strict=True))
    found: dict[str, dict[str, Judgement]] = {}

    def judge(chain: Chain, task: tuple[Item, Loaded]) -> tuple[str, dict[str, Judgement]]:
        item, loaded = task
        sample, judgement = rows[item.file]
        masks = _masks(sample, judgement, others[sample.id])
        if loaded.frame is None:  # it could be read when it was judged the first time
            problem = loaded.error.one_line if loaded.error else None
            return sample.id, dict.fromkeys(masks, Judgement(None, None, problem=problem))
        assert isinstance(chain, HostChain)  # see refuse_what_has_no_mask_to_change
        return sample.id, _judge_each(chain, loaded.frame, masks, sample)

    with open_chains(bundle, backend, self_test=False) as chains:
        ahead = load_table(own.table)
        with closing(ahead), closing(shared(chains, ahead, judge)) as judged:
            for name, judgements in judged:
                for mask, judgement in judgements.items():
                    found.setdefault(mask, {})[name] = judgement
                on_each()
    return {mask: _with(own, judgements) for mask, judgements in found.items()}


def _masks(sample: Sample, judgement: Judgement, other: Mask) -> dict[str, Mask]:
    assert judgement.mask is not None  # see draw
    drawn = None if sample.mask is None else read_mask(sample.mask)
    rng = np.random.default_rng([SEED, *sample.id.encode()])  # whatever else is drawn
    return wrong_masks(judgement.mask, drawn, other, rng)


def _judge_each(
    chain: HostChain, frame: Image, masks: Mapping[str, Mask], sample: Sample
) -> dict[str, Judgement]:
    segment, known = chain.bundle.spec.chain.segment, metadata(sample)
    assert segment is not None  # see refuse_what_has_no_mask_to_change
    lesions = {name: _lesion(mask, segment, frame) for name, mask in masks.items()}
    return {
        name: Judgement(chain.analyse_given(frame, lesion, known).result, None)
        for name, lesion in lesions.items()
    }


def _lesion(mask: Mask, segment: Segment, frame: Image) -> Lesion | None:
    """As the chain has it of a segmenter that is certain of this mask."""
    cleaned = clean_mask(mask.astype(np.float32), 0.5, segment.fill_holes)
    return find_lesion(cleaned, *frame.shape[:2])


def _with(own: Judged, judgements: Mapping[str, Judgement]) -> Judged:
    names = [name for name in own.table.ids if name in judgements]
    found = tuple(judgements[name] for name in names)
    return replace(own, table=own.table.select(names), judgements=found)
