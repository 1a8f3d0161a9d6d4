"""What is frozen stays as it is through a training, and the rest does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from runtime.errors import UsageError
from tests.train.test_trainer import CPU, data
from train.freezing import freeze, hold_still, last_block
from train.models.member import Member
from train.models.trunks import build_trunk
from train.recipe_parts.members import Frozen
from train.recipe_parts.training import Training
from train.tasks import MemberTask
from train.trainer import train_network

META = torch.device("meta")


def trunk_of(backbone: str) -> nn.Module:
    with META:
        return build_trunk(backbone, None, {}, pretrained=False)[0]


def trained_layers(trunk: nn.Module) -> list[str]:
    """By the first names, in their order."""
    names = [name for name, parameter in trunk.named_parameters() if parameter.requires_grad]
    return list(dict.fromkeys(".".join(name.split(".")[:2]) for name in names))


@pytest.mark.parametrize(
    ("backbone", "trained"),
    [
        ("densenet121", ["features.denseblock4", "features.norm5"]),
        ("resnet10t", ["layer4.0"]),
        ("mobilenetv2_100", ["blocks.5", "blocks.6", "conv_head.weight", "bn2.weight", "bn2.bias"]),
        ("inception_v3", [f"Mixed_7{x}.branch" for x in "abc"]),
        ("legacy_xception", ["block12.rep", "conv3", "bn3", "conv4", "bn4"]),
    ],
)
def test_the_last_block_is_what_works_at_the_last_size(backbone: str, trained: list[str]) -> None:
    trunk = trunk_of(backbone)
    freeze(trunk, "all_but_last_block")
    found = trained_layers(trunk)
    assert len(found) >= len(trained)
    assert all(any(name.startswith(own) for own in trained) for name in found)
    assert all(any(name.startswith(own) for name in found) for own in trained)


def test_the_whole_trunk_or_nothing() -> None:
    trunk = trunk_of("resnet10t")
    freeze(trunk, "none")
    assert all(parameter.requires_grad for parameter in trunk.parameters())
    freeze(trunk, "trunk")
    assert trained_layers(trunk) == []


def test_a_trunk_without_known_blocks_is_refused() -> None:
    for trunk in (build_trunk("small_se", None, {"width": 4}, pretrained=False)[0], nn.ReLU()):
        with pytest.raises(UsageError, match="last block"):
            last_block(trunk)


def test_what_is_frozen_is_held_in_evaluation() -> None:
    trunk = trunk_of("resnet10t")
    freeze(trunk, "all_but_last_block")
    trunk.train()
    hold_still(trunk)
    norms = {n: m.training for n, m in trunk.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert {name for name, training in norms.items() if training} == {
        name for name in norms if name.startswith("layer4")
    }


@pytest.mark.parametrize("how", ["none", "trunk", "all_but_last_block"])
@pytest.mark.parametrize("patience", [None, 2])
def test_a_training_changes_only_what_is_not_frozen(
    how: Frozen, patience: int | None, tmp_path: Path
) -> None:
    """Weight decay and running statistics included; the validation between does not undo it."""
    torch.manual_seed(0)
    trunk, channels = build_trunk("resnet10t", None, {}, pretrained=False)
    net = Member(trunk, channels, classes=2, se_width=4, features=4, dropout=0.0)
    freeze(net.trunk, how)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    training = Training(epochs=2, batch=4, rate=1e-2, weight_decay=0.1, patience=patience)
    stop = data() if patience else None
    task = MemberTask(net, training, None)
    train_network(task, data(), stop, training, tmp_path, CPU, 0, "tiny")
    changed = {n for n, t in net.state_dict().items() if not torch.equal(t, before[n])}
    in_trunk = {name.split(".")[1] for name in changed if name.startswith("trunk.")}
    wanted = {"trunk": set(), "all_but_last_block": {"layer4"}}
    if how == "none":
        assert {"conv1", "bn1", "layer1", "layer4"} <= in_trunk
        assert "trunk.bn1.running_mean" in changed
    else:
        assert in_trunk == wanted[how]
    assert any("layer4" in name and "running_mean" in name for name in changed) == (how != "trunk")
    assert {"neck.weight", "head.weight"} <= changed
