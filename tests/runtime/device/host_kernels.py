"""The kernels' own sources, compiled for the CPU: what they compute can be tested without a GPU."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from runtime.device.compiling import SOURCES, fingerprint
from runtime.device.kernels import SIGNATURES

SHIM = Path(__file__).parent / "shim"
OPTIONS = ("-O2", "-std=c++17", "-shared", "-fPIC", "-ffp-contract=off", "-Wall", "-Werror")
KINDS = {"P": ctypes.c_uint64, "i": ctypes.c_int, "f": ctypes.c_float}


@cache
def host_library() -> ctypes.CDLL:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++, to compile the kernels for the CPU")
    shim = b"".join(file.read_bytes() for file in sorted(SHIM.iterdir()))
    name = f"{fingerprint()}-{hashlib.sha256(shim).hexdigest()[:16]}"
    made = Path(tempfile.gettempdir()) / f"dermedge-kernels-{os.getuid()}" / f"{name}.so"
    if not made.exists():
        made.parent.mkdir(mode=0o700, exist_ok=True)
        part = made.with_suffix(f".{os.getpid()}")
        where = [f"-I{SHIM}", f"-I{SOURCES}", "-include", str(SHIM / "shim.h")]
        words = [compiler, *OPTIONS, *where, "-o", str(part), str(SHIM / "launcher.cpp")]
        subprocess.run([*words, "-pthread"], check=True)
        part.replace(made)  # several workers of a test run may do this at once
    return ctypes.CDLL(str(made))


def launch(
    name: str, grid: Sequence[int], block: int, given: Sequence[float], seed: int = 0,
    workers: int = 1,
) -> None:  # fmt: skip
    """A launch, with its threads in an order that the seed makes (0: the natural one)."""
    values = [KINDS[kind](value) for kind, value in zip(SIGNATURES[name], given, strict=True)]
    pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
    places = (ctypes.c_uint * 3)(*grid)
    failed = host_library().launch(
        name.encode(), places, block, pointers, ctypes.c_ulonglong(seed), workers
    )
    assert not failed, f"the shim has no kernel {name}"
