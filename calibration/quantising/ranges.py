"""How large activations get on the calibration images, and where to cut them off.

One pass over the images fills a histogram of magnitudes for every tensor; all three methods read
their limit from it. (ONNX Runtime's entropy calibrator has as many bins as levels at its defaults,
so that it can only choose the whole range; and it holds every tensor of every image in memory.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx

from calibration.quantising.qdq import LEVELS

Counts = npt.NDArray[np.int64]
Feeds = Mapping[str, npt.NDArray[np.float32]]

BINS = 2048
STEP = 8  # bins between two limits that the entropy method tries
PERCENTILE = 99.999
NOTHING = 1e-12  # no 16-bit number is as small


class Magnitudes:
    """A histogram of absolute values whose range doubles when a larger one comes.

    Exact zeros are left out: they stay exact, and after a ReLU they would outvote the rest.
    """

    def __init__(self) -> None:
        self.counts: Counts = np.zeros(BINS, dtype=np.int64)
        self.range = 0.0
        self.largest = 0.0

    def add(self, values: npt.NDArray[np.floating]) -> None:
        sizes = np.abs(values, dtype=np.float32).ravel()
        sizes = sizes[sizes > NOTHING]
        if not sizes.size:
            return
        peak = float(sizes.max())
        self.largest = max(self.largest, peak)
        if self.range == 0.0:
            self.range = peak
        while peak > self.range:
            self.counts[: BINS // 2] = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts[BINS // 2 :] = 0
            self.range *= 2
        places = np.minimum((sizes * np.float32(BINS / self.range)).astype(np.int32), BINS - 1)
        self.counts += np.bincount(places, minlength=BINS)


def by_minmax(seen: Magnitudes) -> float:
    return seen.largest


def by_percentile(seen: Magnitudes) -> float:
    """The limit that all but a few in a hundred thousand values keep."""
    reached = np.cumsum(seen.counts)
    place = int(np.searchsorted(reached, reached[-1] * PERCENTILE / 100))
    return min((place + 1) * seen.range / BINS, seen.largest)


def by_entropy(seen: Magnitudes) -> float:
    """The limit after which the quantised distribution says most about the original one."""
    used = int(np.flatnonzero(seen.counts)[-1]) + 1 if seen.counts.any() else 0
    if used <= LEVELS + 1:
        return seen.largest
    tried = [*range(LEVELS + 1, used, STEP), used]
    best = min(tried, key=lambda bins: _divergence(seen.counts[:used], bins))
    return min(best * seen.range / BINS, seen.largest)


METHODS: dict[str, Callable[[Magnitudes], float]] = {
    "entropy": by_entropy,
    "percentile": by_percentile,
    "minmax": by_minmax,
}


def _divergence(counts: Counts, bins: int) -> float:
    """Kullback–Leibler, of the counts cut off at `bins` from the same in 8-bit steps."""
    kept = counts[:bins].astype(np.float64)
    cut = kept.copy()
    cut[-1] += counts[bins:].sum()
    starts = np.arange(LEVELS + 1) * bins // (LEVELS + 1)
    filled = np.add.reduceat((kept > 0).astype(np.float64), starts)
    mass = np.add.reduceat(kept, starts)
    share = np.divide(mass, filled, out=np.zeros_like(mass), where=filled > 0)
    steps = np.repeat(share, np.diff([*starts, bins])) * (kept > 0)
    there = (cut > 0) & (steps > 0)
    lost = cut[(cut > 0) & (steps == 0)].sum()  # cut off onto a place where nothing was
    p, q = cut[there] / cut.sum(), steps[there] / steps.sum()
    return float((p * np.log(p / q)).sum()) + float(lost / cut.sum()) * 10.0


def measure(
    model: onnx.ModelProto,
    tensors: Sequence[str],
    cases: Iterable[Feeds],
    progress: Callable[[], None] = lambda: None,
) -> dict[str, Magnitudes]:
    """Run the float graph once over all cases."""
    from openvino import Core

    core = Core()
    network = core.read_model(model.SerializeToString())
    already = {name for port in network.outputs for name in port.names}
    wanted = set(tensors)
    given = {name for port in network.inputs for name in port.names} & wanted
    network.add_outputs(sorted(wanted - already - given))
    compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    seen = {name: Magnitudes() for name in tensors}
    for feeds in cases:
        for port, value in compiled(dict(feeds)).items():
            for name in port.names & wanted:
                seen[name].add(value)
        for name in given:
            seen[name].add(feeds[name])
        progress()
    return seen
