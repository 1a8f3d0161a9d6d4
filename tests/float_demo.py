"""The demo bundle as it was before it was quantised."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from runtime import demo
from runtime.bundle_files import LoadedBundle, fields_of, load_bundle, seal

OF_8_BITS = ("calibration.json", "sensitivity.csv", "sensitivity.png")


def make_float_demo(folder: Path, **provenance: Any) -> LoadedBundle:
    shutil.copytree(demo.BUNDLE, folder)
    fields = fields_of(load_bundle(folder))
    for model in fields["models"].values():
        for variant in model["variants"]:
            if variant["precision"] == "int8":
                (folder / variant["file"]).unlink()
        model["variants"] = [v for v in model["variants"] if v["precision"] != "int8"]
    for golden in fields["golden"]:
        golden["tolerance"].pop("int8", None)
    for name in OF_8_BITS:
        (folder / name).unlink(missing_ok=True)
    fields["provenance"] |= provenance
    fields["gate"]["result"] = None
    return seal(folder, fields)
