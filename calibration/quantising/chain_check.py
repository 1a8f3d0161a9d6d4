"""The whole chain in 8 bits against itself in float: also what the ensemble makes of members
that were quantised, and members of crops that a quantised segmenter cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from calibration.quantising.record import ChainRecord
from calibration.quantising.samples import Samples
from runtime.decision import temper
from runtime.errors import DermedgeError
from runtime.host_chain import HostChain

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.bundle_files import LoadedBundle
    from runtime.sources import Item


def compare_chains(
    bundle: LoadedBundle,
    items: Sequence[Item],
    samples: Samples,
    backend: str,
    progress: Callable[[], None],
) -> ChainRecord:
    """Every int8 file is run, whatever engine it is meant for."""
    by_name = {item.source: item for item in items}
    threshold = bundle.spec.decision.threshold
    changes, flips = [], 0
    with HostChain(bundle, backend, precision="int8") as chain:
        for image, before in zip(samples.images, samples.combined, strict=True):
            loaded = by_name[image.name].load(lambda source, sha256: False)
            if loaded.frame is None or loaded.sha256 != image.sha256:
                raise DermedgeError(
                    f"The image {image.name} changed while it was used.",
                    remedy="run the command again, on a folder that nobody writes to",
                )
            analysis = chain.analyse(loaded.frame)
            after = analysis.combined
            if after is None:
                raise DermedgeError(
                    f"The chain in 8 bits fails on {image.name}.",
                    got=analysis.result.reason,
                    remedy="leave out the model that fails: name the others with --models",
                )
            scores = [_score(bundle.spec, said) for said in (before, after)]
            changes.append(abs(scores[0] - scores[1]))
            if threshold is not None:
                flips += (scores[0] >= threshold) != (scores[1] >= threshold)
            progress()
    return ChainRecord(
        images=len(changes),
        mean_change=round(float(np.mean(changes)), 6),
        worst_change=round(float(np.max(changes)), 6),
        decisions=len(changes) if threshold is not None else 0,
        decisions_changed=flips,
    )


def _score(spec: Bundle, combined: dict[str, float]) -> float:
    """As a record would have it."""
    values = temper([combined[name] for name in spec.classes], spec.decision.temperature)
    return float(values[spec.classes.index(spec.decision.score)])
