"""The last convolution's activations as a heat map, against their definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from train.models.activations import Activations
from train.models.member import Member
from train.models.trunks import build_trunk
from train.models.visual_backprop import VisualBackProp


def dense_net(se_width: int | None = None) -> Member:
    torch.manual_seed(0)
    options = {"growth_rate": 4, "block_config": (1, 1, 2, 1)}
    trunk, channels = build_trunk("densenet121", None, options, pretrained=False)
    made = Member(trunk, channels, classes=2, se_width=se_width, features=None, dropout=0.0)
    return made.eval()


@pytest.mark.parametrize("se_width", [None, 4])
def test_it_is_the_mean_of_the_last_maps(se_width: int | None) -> None:
    net, image = dense_net(se_width), torch.randn(2, 3, 96, 128)
    with torch.inference_mode():
        logits, features, heat = Activations(net, (96, 128))(image)
        maps = torch.relu(net.se(net.trunk(image)) if net.se else net.trunk(image))
        assert maps.shape[-2:] == (3, 4)
        wanted = functional.interpolate(maps.mean(1, keepdim=True), (96, 128), mode="bilinear")
    assert heat.shape == (2, 1, 96, 128)
    for one, other in zip(heat, wanted, strict=True):
        other = (other - other.min()) / (other.max() - other.min())
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5)
    torch.testing.assert_close((logits, features), net(image))


def test_it_is_hot_where_the_last_layer_answers() -> None:
    """A negative control as well: VisualBackProp of the same network is another map."""
    net = dense_net()
    image = torch.zeros(1, 3, 128, 128)
    image[:, :, 64:, 64:] = torch.randn(1, 3, 64, 64) * 4
    with torch.inference_mode():
        heat = Activations(net, (128, 128))(image)[2][0, 0]
        still = Activations(net, (128, 128))(torch.zeros_like(image))[2][0, 0]
        other = VisualBackProp(net, (128, 128))(image)[2][0, 0]
    assert abs(heat - still).max() > 0.1
    assert abs(heat - other).max() > 0.1
