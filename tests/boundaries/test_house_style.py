"""Sizes, names and habits of the house, as far as they can be read off the source."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from tests.boundaries.source_tree import PACKAGES, ROOT, Module, calls, imports, modules

MAX_FILE, MAX_FUNCTION = 400, 60

LIBRARIES = {
    "click", "cuda", "cv2", "evdev", "gpiod", "hypothesis", "lightning", "matplotlib", "numpy",
    "onnx", "onnxruntime", "onnxscript", "openvino", "pycuda", "pydantic", "pydicom", "pytest",
    "rich", "safetensors", "scipy", "segmentation_models_pytorch", "sklearn", "starlette",
    "tensorrt", "tensorrt_rtx", "timm", "torch", "torchvision", "uvicorn", "yaml",
}  # fmt: skip

UNSAFE_IMPORTS = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


def too_long(tree: list[Module]) -> list[str]:
    found = []
    for module in tree:
        if module.lines > MAX_FILE:
            found.append(f"{module.name} has {module.lines} lines")
        for node in ast.walk(module.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > MAX_FUNCTION:
                    found.append(f"{module.name}.{node.name} has {size} lines")
    return found


def shadows(tree: list[Module]) -> list[str]:
    """Files that would be imported in place of what they are named after.

    `python runtime/infer.py` puts runtime/ at the front of sys.path, so that a runtime/queue.py
    would be the queue of every library.
    """
    taken = LIBRARIES | set(PACKAGES) | {"tests"} | sys.stdlib_module_names
    own = [module for module in tree if "." in module.name and module.path.name != "__init__.py"]
    return [module.name for module in own if module.path.stem in taken]


def bad_habits(tree: list[Module]) -> list[str]:
    found = []
    for module in tree:
        for line, name in imports(module):
            if name.partition(".")[0] in UNSAFE_IMPORTS:
                found.append(f"{module.name}:{line} imports {name}: what we store is never pickled")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path":
                found.append(f"{module.name}:{node.lineno} touches sys.path: install with -e")
        for call, name in calls(module):
            found += [f"{module.name}:{call.lineno} {text}" for text in _unsafe_call(call, name)]
    return found


def _unsafe_call(call: ast.Call, name: str) -> list[str]:
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if name == "torch.load" and given.get("weights_only") != "True":
        return ["torch.load needs weights_only=True, or it runs what the file says"]
    if name in {"np.load", "numpy.load"} and given.get("allow_pickle", "False") != "False":
        return ["numpy.load unpickles"]
    if name in {"eval", "exec", "os.system"} or given.get("shell") == "True":
        return [f"{name} runs text as a program"]
    if name in {"yaml.load", "yaml.unsafe_load", "yaml.full_load"}:
        return [f"{name} builds any object that the file names; yaml.safe_load does not"]
    return []


def test_no_file_and_no_function_is_too_long() -> None:
    assert too_long(modules(folders=(*PACKAGES, "tests"))) == []


def test_no_file_shadows_a_library() -> None:
    assert shadows(modules()) == []


def test_no_bad_habits() -> None:
    assert bad_habits(modules()) == []


def test_every_folder_of_modules_is_a_package() -> None:
    """setuptools leaves a folder without __init__.py out of the wheel, and says nothing."""
    folders = {module.path.parent for module in modules()}
    assert [str(f.relative_to(ROOT)) for f in folders if not (f / "__init__.py").is_file()] == []


@pytest.mark.parametrize(
    ("check", "path", "text"),
    [
        (too_long, "runtime/a.py", "x = 1\n" * (MAX_FILE + 1)),
        (too_long, "runtime/a.py", "def f():\n" + "    x = 1\n" * MAX_FUNCTION),
        (too_long, "runtime/a.py", "class A:\n  def f():\n" + "    x = 1\n" * MAX_FUNCTION),
        (shadows, "runtime/queue.py", ""),
        (shadows, "runtime/tensorrt.py", ""),
        (shadows, "train/train.py", ""),
        (bad_habits, "train/a.py", "import pickle"),
        (bad_habits, "train/a.py", "def f():\n    from joblib import load"),
        (bad_habits, "train/a.py", "import torch\ntorch.load('a.ckpt')"),
        (bad_habits, "train/a.py", "import torch\ntorch.load('a.ckpt', weights_only=False)"),
        (bad_habits, "train/a.py", "import numpy as np\nnp.load('a', allow_pickle=True)"),
        (bad_habits, "train/a.py", "import yaml\nyaml.load(text)"),
        (bad_habits, "train/a.py", "import sys\nsys.path.insert(0, '.')"),
        (bad_habits, "train/a.py", "import subprocess\nsubprocess.run('ls', shell=True)"),
    ],
)
def test_the_checks_see_a_breach(tmp_path: Path, check: object, path: str, text: str) -> None:
    assert callable(check)
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert len(check(modules(tmp_path))) == 1


def test_the_checks_let_good_code_pass(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "fit.py").write_text(
        "import sys\nimport numpy as np\nimport torch\nimport yaml\n"
        "torch.load('a.ckpt', weights_only=True)\nyaml.safe_load('a')\n"
        "np.load('a')\nprint(sys.argv)\n" + "\n" * (MAX_FILE - 8)
    )
    tree = modules(tmp_path)
    assert [*too_long(tree), *shadows(tree), *bad_habits(tree)] == []
