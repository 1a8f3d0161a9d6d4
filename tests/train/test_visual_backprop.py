"""VisualBackProp against its definition, and against the member that it explains."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from train.models.member import Member
from train.models.trunks import build_trunk
from train.models.visual_backprop import VisualBackProp


class Steps(nn.Module):
    """Three convolutions, two reductions; the last ReLU writes over what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1), nn.ReLU(inplace=True))
        self.third = nn.Sequential(nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU(inplace=True))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.third(self.second(self.first(image)))


def member(trunk: nn.Module, channels: int, se_width: int | None = 4) -> Member:
    torch.manual_seed(0)
    made = Member(trunk, channels, classes=3, se_width=se_width, features=16, dropout=0.0)
    return made.eval()


def test_it_is_what_the_paper_says() -> None:
    torch.manual_seed(1)
    net = member(Steps(), 8)
    image = torch.randn(2, 3, 32, 24)
    with torch.inference_mode():
        logits, features, heat = VisualBackProp(net, (32, 24))(image)
        maps = [net.trunk.first(image)]
        maps.append(net.trunk.second(maps[-1]))
        maps.append(net.se(net.trunk.third(maps[-1])))
        wanted = maps[-1].mean(1, keepdim=True)
        for earlier in (maps[1], maps[0]):
            wanted = functional.interpolate(wanted, earlier.shape[-2:], mode="bilinear")
            wanted = wanted * earlier.mean(1, keepdim=True)
    for one, other in zip(heat[:, 0], wanted[:, 0], strict=True):
        other = (other - other.min()) / (other.max() - other.min())
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5)
    torch.testing.assert_close((logits, features), net(image))


@pytest.mark.parametrize(
    ("backbone", "cut", "maps", "se_width"),
    [
        ("mobilenetv2_100", 3, 4, 4),
        ("small_se", None, 4, 4),
        ("resnet18", None, 5, 4),
        ("resnet50", None, 5, None),
    ],
)
def test_every_trunk_has_layers_to_look_at(
    backbone: str, cut: int | None, maps: int, se_width: int | None
) -> None:
    trunk, channels = build_trunk(backbone, cut, {}, pretrained=False)
    explained = VisualBackProp(member(trunk, channels, se_width), (64, 64))
    assert len(explained._layers) == maps
    with torch.inference_mode():
        heat = explained(torch.randn(1, 3, 64, 64))[2]
    assert heat.shape == (1, 1, 64, 64)
    assert heat.min() == 0
    assert heat.max() == pytest.approx(1)


def test_nothing_to_see_is_no_number_missing() -> None:
    net = member(Steps(), 8)
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    with torch.inference_mode():
        heat = VisualBackProp(net, (16, 16))(torch.zeros(1, 3, 16, 16))[2]
    assert (heat == 0).all()


def test_it_leaves_no_hook_behind() -> None:
    net = member(Steps(), 8)
    VisualBackProp(net, (16, 16))(torch.zeros(1, 3, 16, 16))
    assert not any(module._forward_hooks for module in net.modules())
