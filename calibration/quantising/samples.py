"""The calibration images, and what each model is given when the chain sees them.

The float chain itself looks at every image, so that a member is calibrated on the crops that it
will get, cut by the bundle's own segmenter.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from calibration.quantising.record import ImageRecord
from runtime import sources
from runtime.errors import InputError
from runtime.host_chain import HostChain
from runtime.sources import Item
from train.data.open_dataset import is_dataset, open_dataset

if TYPE_CHECKING:
    from runtime.backends.base import Engine, Floats
    from runtime.bundle_files import LoadedBundle
    from runtime.chain import Analysis

Said = Mapping[str, "Floats"]


@dataclass
class Samples:
    """Images in one order, and for every model what it was given and what it said."""

    images: list[ImageRecord] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)  # each with the reason
    without_lesion: int = 0
    feeds: dict[str, list[Said]] = field(default_factory=dict)
    said: dict[str, list[Said]] = field(default_factory=dict)
    combined: list[dict[str, float]] = field(default_factory=list)  # before the temperature

    def part(self, rows: Sequence[int]) -> Samples:
        def of(each: list[Any]) -> list[Any]:
            return [each[row] for row in rows]

        return replace(
            self,
            images=of(self.images),
            combined=of(self.combined),
            feeds={name: of(each) for name, each in self.feeds.items()},
            said={name: of(each) for name, each in self.said.items()},
        )


class Recorder:
    """An engine that keeps what passes through it."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.precision = engine, engine.precision
        self.feeds: Said = {}
        self.said: Said = {}

    def run(self, feeds: Said) -> Said:
        self.feeds, self.said = feeds, self.engine.run(feeds)
        return self.said


class RecordedChain(HostChain):
    """The float chain as it always is, with a recorder around each of its engines."""

    def __init__(self, bundle: LoadedBundle, backend: str) -> None:
        super().__init__(bundle, backend, precision="fp32")
        self.recorders = {name: Recorder(engine) for name, engine in self._engines.items()}
        self._engines = cast("dict[str, Engine]", self.recorders)


def list_images(path: Path, held_out: Collection[str]) -> tuple[list[Item], int]:
    """The images of a data set or a folder, and how many more a fold's bundle is to be judged on.

    Those are left out: of a data set by their ids, of a folder by the names of the files.
    """
    found = _of_data_set(path) if is_dataset(path) else _of_folder(path)
    kept = [item for name, item in found if name not in held_out]
    if not kept:
        raise InputError(
            f"There are no images in {path} to calibrate with.",
            got=f"{len(found)} images, which this fold's bundle holds out" if found else "none",
            expected="files that end in " + ", ".join(sources.READ),
            remedy="--images with pictures like those to come, a hundred or so",
        )
    return kept, len(found) - len(kept)


def _of_data_set(path: Path) -> list[tuple[str, Item]]:
    """Not every picture in a data set's folder is a photograph: masks are not, nor superpixels.

    They go by their ids: files in two folders may have one name.
    """
    return [
        (s.id, Item(s.id, s.image.name, partial(sources.load_image, s.image, s.id)))
        for s in open_dataset(path)
    ]


def _of_folder(path: Path) -> list[tuple[str, Item]]:
    return [(Path(item.file).stem, item) for item in sources.folder(path).items]


def take_samples(
    bundle: LoadedBundle,
    items: list[Item],
    count: int,
    backend: str,
    progress: Callable[[], None] = lambda: None,
) -> Samples:
    """`count` images drawn from all, always the same ones. What cannot be read is passed over."""
    samples = Samples()
    with RecordedChain(bundle, backend) as chain:
        for place in np.random.default_rng(0).permutation(len(items)):
            if len(samples.images) == count:
                break
            _take(chain, items[place], samples)
            progress()
    if not samples.images:
        raise InputError(
            "None of the images can be used for calibration.",
            got=f"{len(samples.unreadable)} tried; the first: {samples.unreadable[0]}",
            expected="images that dermedge infer can judge",
        )
    return samples


def _take(chain: RecordedChain, item: Item, samples: Samples) -> None:
    loaded = item.load(lambda source, sha256: False)
    if loaded.frame is None:
        why = loaded.error.one_line if loaded.error else "it holds no picture"
        samples.unreadable.append(f"{item.source}: {why}")
        return
    analysis: Analysis = chain.analyse(loaded.frame)
    if analysis.combined is None:
        samples.unreadable.append(f"{item.source}: {analysis.result.reason}")
        return
    samples.images.append(ImageRecord(name=item.source, sha256=loaded.sha256))
    samples.combined.append(analysis.combined)
    if chain.bundle.spec.chain.segment is not None and analysis.lesion is None:
        samples.without_lesion += 1
    for name, recorder in chain.recorders.items():
        samples.feeds.setdefault(name, []).append(recorder.feeds)
        samples.said.setdefault(name, []).append(recorder.said)
