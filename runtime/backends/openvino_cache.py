"""Graphs that OpenVINO has compiled, on disk: a device that starts again does not wait for it.

`dermedge build` writes them. One is of one graph, OpenVINO, processor and set of options: its name
says which, so that none is found for another. A file that is torn is not used, and a folder that
others may write to is refused, as in engine_cache.py: what is in it is run. Without a file that
fits, the graph is compiled, which takes a moment and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.backends.engine_cache import EngineCache, refuse_others_folder
from runtime.machine import cpu
from runtime.whole_file import write_whole

if TYPE_CHECKING:
    import openvino

    from runtime.backends.base import Graph

HASH = 64  # characters of hexadecimal digits, before what they are of


def load_compiled(
    core: openvino.Core, graph: Graph, settings: Mapping[str, object], folder: Path
) -> openvino.CompiledModel | None:
    file = _place(folder, graph, settings)
    try:
        content = file.read_bytes()
    except OSError:
        return None
    refuse_others_folder(folder)
    compiled = content[HASH:]
    if content[:HASH] != _digest(compiled):
        return None
    try:
        return core.import_model(BytesIO(compiled), "CPU", dict(settings))
    except RuntimeError:  # OpenVINO thinks otherwise of what it wrote
        return None


def keep_compiled(
    compiled: openvino.CompiledModel, graph: Graph, settings: Mapping[str, object], folder: Path
) -> int:
    """Its size in bytes. Whatever was kept of this model before is of no more use."""
    cache = EngineCache(folder)
    with cache.locked():
        file, content = _place(folder, graph, settings), compiled.export_model().getvalue()
        for old in folder.glob(f"{graph.name}-*{file.suffix}"):
            old.unlink()
        write_whole(file, _digest(content) + content)
    return len(content)


def _place(folder: Path, graph: Graph, settings: Mapping[str, object]) -> Path:
    import openvino

    of = {
        "graph": hashlib.sha256(graph.content).hexdigest(),
        "outputs": sorted(item.name for item in graph.spec.outputs),
        "openvino": openvino.__version__,
        "processor": [*cpu(), _abilities()],
        "settings": {name: str(value) for name, value in settings.items()},
    }
    fingerprint = hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()
    return folder / f"{graph.name}-{fingerprint[:32]}.openvino"


@cache
def _abilities() -> str:
    """What the processor can do: a virtual machine may move to one of the same name that cannot."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return "" if found is None else " ".join(sorted(found[1].split()))


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
