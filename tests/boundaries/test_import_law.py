"""Who may import whom. Arrows point down only: export → train → runtime ← calibration."""

from __future__ import annotations

import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.boundaries.source_tree import PACKAGES, ROOT, Module, imports, modules

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DATA = ("train.data", "train.phantom", "train.phantoms")

MAY_IMPORT = {
    "runtime": ("runtime",),
    "calibration": ("calibration", "train.data", "runtime"),
    "train.data": (*DATA, "runtime"),
    "train.phantom": (*DATA, "runtime"),
    "train.phantoms": (*DATA, "runtime"),
    "train": ("train", "runtime"),
    "train.finetune": ("train", "runtime", "calibration.quantising"),
    "train.finetuning": ("train", "runtime", "calibration.quantising"),
    "export": ("export", "train", "runtime"),
}
"""The longest name that a module's own begins with says what it may import of ours."""

PYTORCH = ("torch", "torchvision", "timm", "lightning", "segmentation_models_pytorch")
TORCH_FREE = ("runtime", "calibration", *DATA)

# Where a library that this machine need not have (or that is none of PyPI's) comes from.
INSTALLED_ELSEWHERE = {"cuda": "cuda-bindings", "pycuda": "pycuda", "tensorrt": "tensorrt"}


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def owner(module: str) -> str:
    return max((package for package in MAY_IMPORT if within(module, package)), key=len)


def breaches(tree: list[Module]) -> list[str]:
    found = []
    for module in tree:
        allowed = MAY_IMPORT[owner(module.name)]
        torch_free = any(within(module.name, package) for package in TORCH_FREE)
        for line, name in imports(module):
            top = name.partition(".")[0]
            ours = top in PACKAGES or top == "tests"
            if ours and not any(within(name, package) for package in allowed):
                found.append(f"{module.name}:{line} imports {name}; allowed: {', '.join(allowed)}")
            if torch_free and top in PYTORCH:
                found.append(f"{module.name}:{line} imports {name}; it must live without PyTorch")
    return found


def test_nobody_imports_against_the_law() -> None:
    assert breaches(modules()) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("runtime/a.py", "import train"),
        ("runtime/a.py", "from calibration.gate import compare"),
        ("runtime/a.py", "def f():\n    from train.data import table"),
        ("runtime/a.py", "def f():\n    import torch.nn as nn"),
        ("runtime/deep/a.py", "from ...train import recipe"),
        ("runtime/a.py", "import importlib\nimportlib.import_module('train.recipe')"),
        ("runtime/a.py", "from tests import helpers"),
        ("calibration/a.py", "from train import recipe"),
        ("calibration/a.py", "import timm"),
        ("calibration/a.py", "from export.graph import write"),
        ("train/a.py", "from export import graph"),
        ("train/a.py", "import calibration.gate"),
        ("train/data/a.py", "from train.recipe import Recipe"),
        ("train/data/a.py", "from torch.utils.data import Dataset"),
        ("train/phantoms.py", "import segmentation_models_pytorch as smp"),
        ("export/a.py", "import calibration"),
    ],
)
def test_the_check_sees_a_breach(tmp_path: Path, path: str, text: str) -> None:
    assert len(breaches(_tree(tmp_path, path, text))) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("runtime/a.py", "from runtime.errors import UsageError"),
        ("runtime/a.py", "import trainer, torchlike"),
        ("calibration/a.py", "from train.data.table import Table"),
        ("train/a.py", "import torch\nfrom train.data import table\nfrom runtime import specs"),
        ("train/data/a.py", "from train.phantom import noise"),
        ("export/a.py", "import torch\nfrom train.models import unet"),
    ],
)
def test_the_check_lets_the_lawful_pass(tmp_path: Path, path: str, text: str) -> None:
    assert breaches(_tree(tmp_path, path, text)) == []


def _tree(root: Path, path: str, text: str) -> list[Module]:
    file = root / path
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return modules(root)


def test_every_library_that_is_imported_is_declared() -> None:
    """An import that works only because another package happens to bring it breaks one day."""
    declared = _declared()
    sources = packages_distributions()
    undeclared = set()
    for module in modules():
        for _, name in imports(module):
            top = name.partition(".")[0]
            if top in PACKAGES or top in sys.stdlib_module_names or not top:
                continue
            known = INSTALLED_ELSEWHERE.get(top)
            providers = [known] if known else sources.get(top, [])
            if not declared & {_normal(provider) for provider in providers}:
                undeclared.add(f"{module.name} imports {top}, which pyproject.toml does not name")
    # TensorRT itself comes with JetPack or from NVIDIA's own index: no extra can name it.
    assert {text for text in undeclared if "imports tensorrt," not in text} == set()


def _declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        wanted += extra
    names = [re.match(r"[A-Za-z0-9._-]+", line) for line in wanted]
    return {_normal(match[0]) for match in names if match}


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
