"""A finished run as training leaves it, with random weights: nothing is trained for these tests."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn

from tests.train.tiny import tiny_recipe
from train import networks
from train.models.locally_connected import LocallyConnected
from train.recipe import Recipe
from train.trainer import save_network

IDS = [f"image{n}" for n in range(6)]
PARTS = ("0", "1", "final")
AUC = {"auc": 0.81, "low": 0.7, "high": 0.9}


def write_run(folder: Path, seed: int = 0) -> Path:
    recipe = Recipe.model_validate(tiny_recipe())
    torch.manual_seed(seed)
    for part in PARTS:
        _save(networks.build_segmenter(recipe), folder / "segmenter" / part)
        for name in recipe.members:
            _save(networks.build_member(recipe, name), folder / "members" / name / part)
        count = len(recipe.members), len(recipe.classes)
        _save(LocallyConnected(*count, recipe.ensemble.filters), folder / "ensemble" / part)
    _json(folder / "ensemble" / "stage.json", {"key": "of the fit"})
    _json(folder / "recipe.json", recipe.model_dump(mode="json"))
    counts = dict.fromkeys(recipe.classes, 2)
    folds = {name: number % 2 for number, name in enumerate(IDS)}
    data = {"name": "drawn", "sha256": "ab" * 32, "images": 6, "counts": counts, "folds": folds}
    _json(folder / "data.json", data)
    by_class = dict.fromkeys([*recipe.classes, "mean"], AUC)
    systems = dict.fromkeys(["ensemble", "mean", *recipe.members], by_class)
    auc = {"all": {"images": 6, "counts": counts, **systems}}
    segmentation = {"jaccard": 0.75, "dice": 0.85}
    _json(folder / "figures.json", {"auc": auc, "segmentation": segmentation})
    return folder


def _save(net: nn.Module, folder: Path) -> None:
    """Batch normalisation gets statistics of its own, or folding it could go wrong unseen."""
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(layer.weight, 0.8, 1.2)
        if isinstance(layer, LocallyConnected):
            nn.init.normal_(layer.out.weight)
    folder.mkdir(parents=True)
    save_network(net, folder / "weights.safetensors")
    _json(folder / "stage.json", {"key": "of the stage"})


def _json(file: Path, value: object) -> None:
    file.write_text(json.dumps(value), encoding="utf-8")
