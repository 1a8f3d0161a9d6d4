"""A bundle without the float files that its 8-bit ones stand in for.

A quantised bundle keeps both, and is three times as large as what a device with 8-bit kernels runs.
What has no 8-bit file stays, and so do the files that its heat maps are drawn with.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.bundle_files import fields_of, load_bundle, seal
from runtime.card_section import drop_verdicts, put_section
from runtime.errors import BundleError, UsageError
from runtime.target_folder import beside

if TYPE_CHECKING:
    from runtime.bundle_files import LoadedBundle

EIGHT_BITS = "int8"


def slim(bundle: LoadedBundle, out: Path, heat_maps: Collection[str]) -> LoadedBundle:
    """`heat_maps`: the models, by their names in `chain.explain`, that go on drawing them."""
    fields = fields_of(bundle)
    explaining = bundle.spec.chain.explain
    there = () if explaining is None else explaining.models
    if unknown := sorted(set(heat_maps) - set(there)):
        raise UsageError(
            f"{bundle.path} draws no heat map with '{unknown[0]}'.",
            expected=", ".join(there) or "a bundle that draws some",
        )
    kept = [name for name in there if name in heat_maps]
    fields["chain"]["explain"] = {"models": kept} if kept else None
    models: dict[str, Any] = fields["models"]
    for name in set(there) - set(kept) - set(bundle.spec.chain.classify):
        del models[name]
    lightened = [_lighten(model) for model in models.values()]
    if not any(lightened):
        raise BundleError(
            f"{bundle.path} has nothing to leave out.",
            got="no network with files in 8 bits and in float",
            remedy="dermedge quantize makes a bundle with 8-bit files",
        )
    fields["gate"]["result"] = None  # it was passed by what had other files to fall back on
    fields["released"] = None
    with beside(out) as folder:
        for inside in _needed(bundle, models):
            target = folder / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.path / inside, target)
        drop_verdicts(folder)
        dropped = [name for name in there if name not in kept]
        put_section(folder, "## Files", _told(folder, models, dropped))
        seal(folder, fields)
    return load_bundle(out)


def _lighten(model: dict[str, Any]) -> bool:
    """Leave it its 8-bit files alone, for any engine, if it has some; whether that left any out."""
    eight = [each for each in model["variants"] if each["precision"] == EIGHT_BITS]
    if not eight or len(eight) == len(model["variants"]):
        return False
    model["variants"] = [each | {"for": []} for each in eight]
    return True


def _needed(bundle: LoadedBundle, models: dict[str, Any]) -> list[str]:
    """All files but the networks' that are no longer named."""
    before = {v.file for model in bundle.spec.models.values() for v in model.variants}
    after = {each["file"] for model in models.values() for each in model["variants"]}
    return [inside for inside in bundle.spec.files if inside not in before or inside in after]


def _told(folder: Path, models: dict[str, Any], dropped: Collection[str]) -> list[str]:
    """For the card, whose tables are of the bundle as it was exported."""
    rows = [
        f"| {name} | {each['file']} | {(folder / each['file']).stat().st_size / 1e6:.1f} MB |"
        for name, model in models.items()
        for each in model["variants"]
    ]
    return [
        "Float files that 8-bit ones stand in for were left out afterwards (`dermedge bundle "
        "slim`): every engine runs the 8-bit files. Tables that name others are of the bundle as "
        "it was exported."
        + (f" Heat maps that it no longer draws: {', '.join(dropped)}." if dropped else "")
        + " What is here:",
        "",
        "| network | file | size |",
        "|---|---|---|",
        *rows,
    ]
