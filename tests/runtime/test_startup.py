"""Starting is quick because nothing is imported that is not used; which modules is what we pin."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("openvino", "onnxruntime", "torch", "cv2", "numpy", "pydantic", "rich", "onnx")


@pytest.mark.parametrize("module", ["runtime.cli", "runtime.infer", "runtime.command"])
def test_importing_takes_no_heavy_library(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
