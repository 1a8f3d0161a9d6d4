"""What benchmarks of networks share: which networks, in which bundle, on which frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from export.system import Part
    from runtime.bundle_files import LoadedBundle
    from runtime.preprocess import Image
    from train.recipe import Recipe

FRAME = (768, 1024)  # height and width, as most images of ISIC 2017 have them


def networks_of(name: str | None, folder: Path | None) -> tuple[Recipe, list[Part]]:
    from export.finished_run import FinishedRun
    from export.system import parts_of, parts_untrained
    from train.recipe_files import load_recipe

    if folder is not None:
        run = FinishedRun.read(folder)
        return run.recipe, list(parts_of(run, None))
    recipe = load_recipe(name or "")
    return recipe, list(parts_untrained(recipe))


def frame_of(path: Path | None) -> Image:
    from runtime.decode import read_image
    from train.phantom.compose import make_phantom

    return make_phantom(0, 0, FRAME).image if path is None else read_image(path).frame


def bundle_of(
    folder: Path, recipe: Recipe, parts: list[Part], step: Callable[[str], None]
) -> LoadedBundle:
    from export.build import Making
    from export.graphs import to_onnx
    from export.system import system_fields

    fields = system_fields(recipe) | {
        "name": recipe.name,
        "version": "0",
        "created": datetime.now(timezone.utc).isoformat(),
        "provenance": {"revision": "benchmark"},
    }
    folder.mkdir(parents=True, exist_ok=True)
    making = Making(folder, fields, step)
    for part in parts:
        step(f"{part.name}: to ONNX")
        making.add_variant(part.name, "fp32", to_onnx(part.graph, *part.shapes))
    return making.seal()


@contextmanager
def telling() -> Iterator[Callable[[str], None]]:
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("starting") as status:
        yield status.update
