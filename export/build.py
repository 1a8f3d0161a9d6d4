"""A bundle from a finished run: graphs, their check against PyTorch, self-test, card, seal."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from export import parity
from export.card import NetworkFacts, write_card
from export.finished_run import FinishedRun
from export.golden_images import choose_golden, golden_files, real_looking
from export.graphs import count_parameters, to_onnx
from export.revision import code_revision
from export.system import (
    ENSEMBLE,
    PURIFIER,
    SEGMENTER,
    Part,
    explains,
    parts_of,
    purifies_by_model,
    system_fields,
)
from runtime.bundle_files import LoadedBundle, load_bundle, seal
from runtime.chain import open_chain
from runtime.half import to_half
from runtime.target_folder import beside

if TYPE_CHECKING:
    from runtime.preprocess import Image
    from train.recipe import Recipe

Step = Callable[[str], None]
"""Told what begins now; one call a step, `steps_of` in all."""

FIRST_VERSION = "1"
MODELS = "models"


@dataclass(frozen=True)
class Order:
    """What the command line asks for."""

    out: Path
    precision: str = "fp32"
    fold: int | None = None
    name: str | None = None
    version: str | None = None
    golden: tuple[Path, ...] = ()

    @property
    def command(self) -> str:
        """As a reader of the card can give it again."""
        words = ["dermedge export --run RUN --out BUNDLE"]
        words += [] if self.fold is None else [f"--fold {self.fold}"]
        words += [] if self.precision == "fp32" else [f"--precision {self.precision}"]
        words += ["--golden IMAGES"] if self.golden else []
        return " ".join(words)


@dataclass
class Making:
    """A bundle while it is made: the folder, its fields so far, and what was found out."""

    folder: Path
    fields: dict[str, Any]
    step: Step
    facts: dict[str, NetworkFacts] = field(default_factory=dict)
    findings: list[parity.Finding] = field(default_factory=list)

    def add_variant(self, name: str, precision: str, model: onnx.ModelProto) -> None:
        """The newest variant stands first: it is the one that will be run."""
        suffix = "" if precision == "fp32" else f".{precision}"
        file = self.folder / MODELS / f"{name}{suffix}.onnx"
        file.parent.mkdir(exist_ok=True)
        onnx.save(model, str(file))
        variant = {"precision": precision, "file": f"{MODELS}/{file.name}"}
        models = self.fields["models"]
        for of in (name, explains(name)):
            if of in models:
                models[of]["variants"] = [variant, *models[of].get("variants", [])]

    def keep_only(self, precision: str) -> None:
        """What is not in the precision asked for has done its service as the reference."""
        for model in self.fields["models"].values():
            wanted = [v for v in model["variants"] if v["precision"] == precision]
            kept = wanted or model["variants"]
            for variant in model["variants"]:
                if variant not in kept:
                    (self.folder / variant["file"]).unlink(missing_ok=True)  # shared by two
            model["variants"] = kept
        shipped = {
            (name, variant["precision"])
            for name, model in self.fields["models"].items()
            for variant in model["variants"]
        }
        self.findings = [f for f in self.findings if (f.model, f.precision) in shipped]

    def seal(self) -> LoadedBundle:
        return seal(self.folder, self.fields)


def steps_of(recipe: Recipe, precision: str) -> int:
    halved = len(recipe.members) + (recipe.segmenter is not None) + purifies_by_model(recipe)
    graphs = halved + (recipe.ensemble is not None)
    return graphs * 2 + (halved if precision == "fp16" else 0) + 2


def export_run(run: FinishedRun, order: Order, step: Step) -> tuple[LoadedBundle, list[Any]]:
    """Everything is made and proven beside its place before anything is replaced there."""
    backends = parity.usable_backends()
    files = golden_files(order.golden)
    name = run.recipe.name if order.fold is None else f"{run.recipe.name}-fold{order.fold}"
    with beside(order.out) as folder:
        making = Making(folder, system_fields(run.recipe), step)
        making.fields |= {
            "name": order.name or name,
            "version": order.version or FIRST_VERSION,
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "provenance": run.provenance(order.fold, code_revision()).model_dump(),
        }
        parts = _export_graphs(making, run, order)
        _compare(making, parts, real_looking(files), order.precision, backends)
        step("golden images")
        making.fields["golden"] = choose_golden(making.seal(), files, backends)
        making.keep_only(order.precision)
        step("card and self-test")
        _finish(making, run, order.command, backends)
    return load_bundle(order.out), making.findings


def _export_graphs(making: Making, run: FinishedRun, order: Order) -> list[Part]:
    parts = []
    for part in parts_of(run, order.fold):
        making.step(f"{part.name}: to ONNX")
        making.add_variant(part.name, "fp32", to_onnx(part.graph, *part.shapes))
        gc.collect()  # the exporter leaves cycles, each with a copy of the weights
        making.facts[part.name] = NetworkFacts(
            part.name, _what(run.recipe, part.name), count_parameters(part.graph), {}
        )
        parts.append(part)
    return parts


def _compare(
    making: Making,
    parts: Sequence[Part],
    frames: Sequence[Image],
    precision: str,
    backends: Sequence[str],
) -> None:
    """Each graph against its network; the 16-bit form of it, where it is wanted, as well."""
    draft = making.seal()
    for part in parts:
        cases = parity.make_feeds(draft, part.name, frames)
        if precision == "fp16" and not part.always_float:
            making.step(f"{part.name}: to 16 bits")
            whole = onnx.load(str(draft.path / draft.spec.models[part.name].variants[0].file))
            making.add_variant(part.name, "fp16", to_half(whole, cases))
        making.step(f"{part.name}: against PyTorch")
        expected = [parity.say(part.graph, feeds) for feeds in cases]
        for name in (part.name, explains(part.name)):
            if name in making.fields["models"]:
                findings = parity.compare(making.seal(), name, cases, expected, backends)
                parity.require_passed(findings)
                making.findings += findings


def _finish(making: Making, run: FinishedRun, command: str, backends: Sequence[str]) -> None:
    making.fields["provenance"]["metrics"] |= parity.metrics(making.findings) | tool_versions()
    write_card_file(making, command, run)
    bundle = making.seal()
    for backend in backends:
        open_chain(bundle, backend).close()  # its self-test, on the files that ship


def write_card_file(making: Making, command: str, run: FinishedRun | None) -> None:
    """The card describes the bundle that it becomes a part of, so that is sealed once before."""
    spec = making.seal().spec
    facts = [
        NetworkFacts(
            name, making.facts[name].what, making.facts[name].parameters,
            {v.precision: (making.folder / v.file).stat().st_size for v in model.variants},
        )
        for name, model in spec.models.items()
        if name in making.facts
    ]  # fmt: skip
    text = write_card(spec, facts, making.findings, command, run)
    (making.folder / "card.md").write_text(text, encoding="utf-8")


def tool_versions() -> dict[str, str]:
    import torch

    return {"export.onnx": onnx.__version__, "export.torch": str(torch.__version__)}


def _what(recipe: Recipe, name: str) -> str:
    if name == SEGMENTER and recipe.segmenter is not None:
        return recipe.segmenter.network.described
    if name == PURIFIER and recipe.purifier is not None:
        return recipe.purifier.described
    if name == ENSEMBLE and recipe.ensemble is not None:
        return recipe.ensemble.described
    return recipe.members[name].described
