"""A recipe's system from phantoms to results: trained, exported, in 8 bits, built, run."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from calibration.quantize import command as quantize
from export.make_bundle import command as export
from runtime.build import command as build
from runtime.bundle_files import LoadedBundle, load_bundle
from runtime.host_chain import models_in_use
from runtime.infer import command as infer
from tests.train.tiny import quick_training, write_data, write_recipe
from train.fit import command as train

NO_BUILDER = "needs TensorRT-RTX: pip install 'dermedge[rtx]'"


def run(command: Any, *words: object) -> str:
    done = CliRunner(catch_exceptions=False).invoke(command, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output


@dataclass(frozen=True)
class System:
    """A data set, a run and a bundle, all in one folder."""

    place: Path
    bundle: LoadedBundle

    @property
    def images(self) -> Path:
        return self.place / "data" / "ISIC-2017_Training_Data"

    @property
    def card(self) -> str:
        return (self.bundle.path / "card.md").read_text(encoding="utf-8")

    def in_eight_bits(self, out: Path, *words: object) -> list[dict[str, Any]]:
        """Quantised into `out`/bundle8, put through TensorRT-RTX's builder, and the records of a
        scan with `words`."""
        pytest.importorskip("tensorrt_rtx", reason=NO_BUILDER)
        eight = out / "bundle8"
        quick = ["--count", 4, "--method", "minmax", "--budget", 1, "--mask-agreement", 0]
        asked = ["--images", self.images, "--out", eight, "--backend", "openvino"]
        run(quantize, "--bundle", self.bundle.path, *asked, *quick)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DERMEDGE_CACHE", str(out / "cache"))
            check_built(eight)
            asked = ["--folder", self.images, "--backend", "openvino", "--out", out / "out"]
            run(infer, "--bundle", eight, *asked, *words)
        lines = (out / "out" / "results.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(lines) == len(list(self.images.glob("*.jpg")))
        return [json.loads(line) for line in lines]


def check_built(bundle: Path) -> None:
    """The builder takes every network, and what judges has layers in 8 bits."""
    words = ["--backend", "tensorrt_rtx", "--precision", "int8", "--batch", 4]
    built = run(build, "--bundle", bundle, *words)
    spec = load_bundle(bundle).spec
    segment = spec.chain.segment and spec.chain.segment.model
    for name in models_in_use(spec):
        precision = "int8" if name in (segment, *spec.chain.classify) else "fp(16|32)"
        assert re.search(rf"^{name} ×4 +{precision} ", built, re.MULTILINE), built


def make_run(place: Path, fields: dict[str, Any], *words: object) -> str:
    """Trains on the data set in `place`; gives back what that says."""
    recipe = write_recipe(place / "tiny.yaml", fields)
    where = ["--data", place / "data", "--out", place / "run"]
    with quick_training(place / "cache"):
        return run(train, "--recipe", recipe, *where, *words)


def make_system(
    place: Path, fields: dict[str, Any], *words: object, precision: str = "fp32"
) -> System:
    """Trained with `words` on phantoms, and exported."""
    write_data(place / "data")
    make_run(place, fields, *words)
    bundle = place / "bundle"
    run(export, "--run", place / "run", "--out", bundle, "--precision", precision)
    return System(place, load_bundle(bundle))
