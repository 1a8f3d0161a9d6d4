"""ZooME's parts: windows as PyTorch's own pooling has them, gates that begin open, one decision."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from runtime.errors import UsageError
from train.models.zoom_se import Reweighted, ZoomSE, windows, with_zoom_se, zoomed
from train.models.zoome import build_zoome

SIDES = st.integers(4, 60)


@given(SIDES, SIDES, st.integers(1, 4))
def test_windows_are_those_of_adaptive_pooling(height: int, width: int, count: int) -> None:
    maps = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(height))
    torch.testing.assert_close(
        zoomed(maps, count), nn.functional.adaptive_max_pool2d(maps, count), rtol=0, atol=0
    )


def test_at_the_sizes_of_the_paper() -> None:
    assert windows(56, 4) == [(0, 14), (14, 28), (28, 42), (42, 56)]
    assert windows(14, 4) == [(0, 4), (3, 7), (7, 11), (10, 14)]
    assert windows(7, 4) == [(0, 2), (1, 4), (3, 6), (5, 7)]


def test_a_gate_begins_open_and_learns() -> None:
    torch.manual_seed(0)
    gate = ZoomSE(32, 2)
    assert sum(p.numel() for p in gate.parameters()) == 32 * 2 + 2 + 2 * 32 + 32
    maps = torch.rand(2, 32, 14, 14)
    share = gate(maps) / maps
    assert 0.9 < float(share.mean().detach()) < 1
    # By channel and by picture, and nothing else.
    assert float((share - share.mean(dim=(2, 3), keepdim=True)).abs().max().detach()) < 1e-5
    gate = ZoomSE(32, 16)
    (gate(maps) * torch.randn(2, 32, 1, 1)).sum().backward()
    learning = [p.grad is not None and float(p.grad.abs().sum()) > 0 for p in gate.parameters()]
    assert learning == [True] * 4


def test_one_behind_every_block() -> None:
    import timm

    net = timm.create_model("resnext50_32x4d", num_classes=0, global_pool="")
    before = sum(p.numel() for p in net.parameters())
    assert with_zoom_se(net) == 16
    blocks = [m for m in net.modules() if isinstance(m, Reweighted)]
    added = sum(p.numel() for block in blocks for p in block.zoom_se.parameters())
    assert sum(p.numel() for p in net.parameters()) == before + added
    widths = [(256, 3), (512, 4), (1024, 6), (2048, 3)]
    assert added == sum(n * (2 * c * (c // 16) + c + c // 16) for c, n in widths)
    assert net(torch.zeros(1, 3, 64, 64)).shape == (1, 2048, 2, 2)


@pytest.mark.parametrize(
    ("backbone", "zoom_se", "channels"), [("resnet18", True, 512), ("alexnet", False, 256)]
)
def test_what_is_known_of_a_patient_counts(backbone: str, zoom_se: bool, channels: int) -> None:
    torch.manual_seed(0)
    net = build_zoome(
        backbone, {}, zoom_se=zoom_se, reduction=16, metadata=5, pretrained=False
    ).eval()
    image = torch.rand(2, 3, 64, 64)
    young, old = torch.zeros(2, 5), torch.ones(2, 5)
    with torch.no_grad():
        logits, features = net(image, young)
        assert features.shape == (2, channels)
        assert (logits[:, 1] == 0).all()
        torch.testing.assert_close(torch.softmax(logits, 1)[:, 0], torch.sigmoid(logits[:, 0]))
        assert not torch.equal(net(image, old)[0], logits)
    alone = build_zoome(backbone, {}, zoom_se=False, reduction=16, metadata=0, pretrained=False)
    assert alone(image)[0].shape == (2, 2)
    gate = net.gate
    assert gate is not None
    assert sum(p.numel() for p in gate.parameters()) == 6 * channels + (channels + 1) * channels


def test_what_cannot_be_built_is_refused() -> None:
    for backbone in ("alexnet", "mobilenetv2_100"):
        with pytest.raises(UsageError, match="residual blocks"):
            build_zoome(backbone, {}, zoom_se=True, reduction=16, metadata=0, pretrained=False)
