"""The dilated U-Net row by row of the paper's table 1, and what it is built of."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.train.paper_tables import passed, rows_of
from train.models.dilated_unet import DilatedUNet, _grow
from train.recipe_parts.segmenters import DilatedUNetSpec

TABLE_1 = """
Conv 64×378×378 1
Conv 64×376×376 1
Maxpool 64×188×188
Conv 128×186×186 1
Conv 128×184×184 1
Maxpool 128×92×92
Conv 256×90×90 1
Conv 256×88×88 1
Maxpool 256×44×44
Conv 512×40×40 2
Conv 512×36×36 2
Conv 1024×28×28 4
Conv 1024×20×20 4
Trans-Conv 1024×28×28 4
Trans-Conv 512×36×36 4
Trans-Conv 512×40×40 2
Trans-Conv 512×44×44 2
Up-Conv 256×88×88 1
Trans-Conv 256×90×90 1
Trans-Conv 256×92×92 1
Up-Conv 128×184×184 1
Trans-Conv 128×186×186 1
Trans-Conv 128×188×188 1
Up-Conv 64×376×376 1
Trans-Conv 64×378×378 1
Trans-Conv 64×380×380 1
Conv 1×380×380 1
"""  # the last number is the dilation
PADDED = {0: "Conv", 1: "Up-Conv"}


def written(layer: nn.Module, size: str) -> list[str]:
    """A pool's or a convolution's row of the table; of any other layer none."""
    if isinstance(layer, nn.MaxPool2d):
        return [f"Maxpool {size}"]
    if not isinstance(layer, nn.Conv2d):
        return []
    padding = int(layer.padding[0])
    what = "Trans-Conv" if padding == 2 * layer.dilation[0] else PADDED[padding]
    return [f"{what} {size} {layer.dilation[0]}"]


def test_it_is_table_1() -> None:
    with torch.device("meta"):
        layers = passed(DilatedUNet(width=64, channels=7), torch.zeros(1, 7, 380, 380))
    assert [row for layer, size in layers for row in written(layer, size)] == rows_of(TABLE_1)


def test_maps_of_these_sizes_are_laid_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    joined = []
    cat = torch.cat

    def noted(parts: Any, dim: int) -> torch.Tensor:
        joined.append([tuple(part.shape[1:3]) for part in parts])
        return cat(parts, dim=dim)

    monkeypatch.setattr(torch, "cat", noted)
    with torch.device("meta"):
        DilatedUNet(width=64, channels=7)(torch.zeros(1, 7, 380, 380))
    sizes = [(1024, 28), (512, 36), (512, 40), (256, 88), (128, 184), (64, 376)]
    assert joined == [[size, size] for size in sizes]


def test_its_parameters() -> None:
    """Counted from the table: nine weights a pair of channels, twice the inputs behind a skip."""
    down = [(7, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256)]
    down += [(256, 512), (512, 512), (512, 1024), (1024, 1024)]
    up = [(1024, 1024), (2048, 512), (1024, 512), (1024, 512), (512, 256)]
    up += [(512, 256), (256, 256), (256, 128), (256, 128), (128, 128), (128, 64)]
    up += [(128, 64), (64, 64)]
    with torch.device("meta"):
        net = DilatedUNet(width=64, channels=7)
    count = sum(parameter.numel() for parameter in net.parameters())
    assert count == sum(9 * i * o + o for i, o in down + up) + 64 + 1
    assert count == 51_031_745


@pytest.mark.parametrize("dilation", [1, 2, 4])
def test_a_padded_convolution_is_the_transposed_one(dilation: int) -> None:
    torch.manual_seed(0)
    conv = _grow(3, 5, dilation)[0]
    twin = nn.ConvTranspose2d(3, 5, 3, dilation=dilation)
    with torch.no_grad():
        twin.weight.copy_(conv.weight.flip(2, 3).transpose(0, 1))
        twin.bias.copy_(conv.bias)
    maps = torch.randn(2, 3, 9, 7)
    torch.testing.assert_close(conv(maps), twin(maps), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("side", range(212, 246))
def test_which_sizes_it_takes(side: int) -> None:
    """The recipe's rule is the network's: any other side breaks, or gives another mask."""
    with torch.device("meta"):
        net = DilatedUNet(width=2, channels=7)
        try:
            made = net(torch.zeros(1, 7, side, side)).shape[2:]
        except RuntimeError:
            made = None
    assert DilatedUNetSpec.takes(side) == (made == (side, side))


def test_a_signal_reaches_both_ends() -> None:
    torch.manual_seed(0)
    net = DilatedUNet(width=2, channels=7)
    image = torch.rand(1, 7, 228, 236)
    net(image).square().mean().backward()
    assert all(float(p.grad.abs().max()) > 1e-6 for p in net.parameters() if p.grad is not None)
