"""Every module imports alone, in a process in which PyTorch cannot be imported at all.

One process a package forks once for each module: each starts without any of ours loaded, and the
price of loading NumPy and OpenCV is paid once.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

import pytest

from tests.boundaries.source_tree import ROOT, modules
from tests.boundaries.test_import_law import PYTORCH, TORCH_FREE, within

# Whatever is only in an extra may be imported when it is used, not when a module is loaded: a
# runtime with one engine, or none, still starts and says what is missing.
OPTIONAL = (
    "openvino", "onnxruntime", "onnx", "tensorrt", "tensorrt_rtx", "pycuda", "cuda",
    "starlette", "uvicorn", "evdev", "gpiod", "pydicom", "cryptography", "prometheus_client",
    "sklearn", "scipy", "matplotlib", "yaml", "PIL",
)  # fmt: skip

BUILT_ON = {
    "runtime.web.app": ("starlette", "prometheus_client"),
    "runtime.web.asked": ("starlette",),
    "runtime.web.connections": ("uvicorn",),
    "runtime.web.guard": ("starlette",),
    "runtime.web.metrics": ("prometheus_client",),
}
"""Modules that are nothing without these: they are imported by a function that says so."""

IMPORTER = """
import importlib, json, os, sys, traceback
blocked, names = json.loads(sys.stdin.read())
sys.modules.update(dict.fromkeys(blocked))
import click, cv2, numpy, pydantic
for name in names:
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(name)
            error = None
        except BaseException:
            error = traceback.format_exc(limit=-3)
        print(json.dumps([name, error]), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


@cache
def import_each(names: tuple[str, ...], blocked: tuple[str, ...]) -> dict[str, str | None]:
    """The error of importing each module in a fresh process without `blocked`, or None."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTER],
        input=json.dumps([blocked, names]),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
        timeout=300,
    )
    return dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))


def names_in(package: str) -> tuple[str, ...]:
    return tuple(module.name for module in modules() if within(module.name, package))


CASES = [(package, name) for package in TORCH_FREE for name in names_in(package)]


@pytest.mark.parametrize(("package", "name"), CASES, ids=[name for _, name in CASES])
def test_imports_alone_and_without_pytorch(package: str, name: str) -> None:
    blocked = PYTORCH + (OPTIONAL if package == "runtime" else ())
    if name in BUILT_ON:
        blocked = tuple(each for each in blocked if each not in BUILT_ON[name])
        assert import_each((name,), blocked)[name] is None
    else:
        assert import_each(names_in(package), blocked)[name] is None


def test_the_check_sees_what_is_blocked() -> None:
    errors = import_each(("runtime.errors", "pydantic.mypy", "json.tool"), ("runtime", "mypy"))
    assert "ModuleNotFoundError" in str(errors["runtime.errors"])
    assert "ModuleNotFoundError" in str(errors["pydantic.mypy"])
    assert errors["json.tool"] is None
