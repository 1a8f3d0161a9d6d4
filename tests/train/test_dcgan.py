"""The DCGANs row by row of the paper's tables 2 and 5, and what coupled ones share."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from tests.train.paper_tables import passed, rows_of
from train.models.dcgan import Discriminator, Gan, Generator

GENERATOR = rows_of("""
TransConv 256×4×4 4×4 1 0
TransConv 128×8×8 4×4 2 1
TransConv 64×16×16 4×4 2 1
TransConv 32×32×32 4×4 2 1
TransConv 16×64×64 4×4 2 1
TransConv 8×128×128 4×4 2 1
TransConv 3×256×256 4×4 2 1
""")
DISCRIMINATOR = rows_of("""
Conv 16×128×128 4×4 2 1
Conv 32×64×64 4×4 2 1
Conv 64×32×32 4×4 2 1
Conv 128×16×16 4×4 2 1
Conv 256×8×8 4×4 2 1
Conv 512×4×4 4×4 2 1
Conv 1×1×1 4×4 1 0
""")  # the last but one is printed with stride 1, which makes 7×7 of 8×8
NORM_AND_RELU = ["BatchNorm2d", "ReLU"]
NORM_AND_LEAKY = ["BatchNorm2d", "LeakyReLU"]


def written(net: nn.Module, given: object) -> tuple[list[str], list[str]]:
    """The rows of the table, and what stands between them."""
    rows: list[str] = []
    others: list[str] = []
    for layer, size in passed(net, given):
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            what = "Conv" if isinstance(layer, nn.Conv2d) else "TransConv"
            kernel = "×".join(map(str, layer.kernel_size))
            rows.append(f"{what} {size} {kernel} {layer.stride[0]} {layer.padding[0]}")
        else:
            others.append(type(layer).__name__)
    return rows, others


@pytest.mark.parametrize("latent", [10, 100])
def test_a_generator_is_the_table(latent: int) -> None:
    net = Generator(latent, width=8, size=256, classes=1)
    rows, others = written(net, torch.randn(2, latent))
    assert rows == GENERATOR
    assert others == NORM_AND_RELU * 6 + ["Tanh"]


def test_a_discriminator_is_the_table() -> None:
    net = Discriminator(width=8, size=256, classes=1)
    rows, others = written(net, [torch.randn(2, 3, 256, 256)])
    assert rows == DISCRIMINATOR
    assert others == NORM_AND_LEAKY * 6 + ["Flatten"]
    assert {m.negative_slope for m in net.modules() if isinstance(m, nn.LeakyReLU)} == {0.2}


def test_seven_classes_share_what_table_5_says() -> None:
    net = Gan(latent=100, width=8, size=256, classes=7)
    shared, _ = written(net.generator.shared, torch.randn(2, 100, 1, 1))
    assert shared == GENERATOR[:4]
    judged, _ = written(net.discriminator.shared, torch.randn(2, 64, 32, 32))
    assert judged == DISCRIMINATOR[3:]
    assert len(net.generator.own) == len(net.discriminator.own) == 7
    for own in net.generator.own:
        assert written(own, torch.randn(2, 32, 32, 32))[0] == GENERATOR[4:]
    for own in net.discriminator.own:
        rows, _ = written(own, torch.randn(2, 3, 256, 256))
        assert rows == DISCRIMINATOR[:3]


TABLES = [(10, 1, 3_545_172), (100, 7, 4_229_574)]


@pytest.mark.parametrize(("latent", "classes", "count"), TABLES)
def test_their_parameters(latent: int, classes: int, count: int) -> None:
    """Sixteen weights a pair of channels, two numbers a normalised one, a bias at either end."""

    def layers(widths: list[int]) -> int:
        return sum(16 * i * o + 2 * o for i, o in pairwise(widths))

    generator = layers([latent, 256, 128, 64, 32])
    generator += classes * (layers([32, 16, 8]) + 16 * 8 * 3 + 3)
    discriminator = classes * layers([3, 16, 32, 64]) + layers([64, 128, 256, 512]) + 16 * 512 + 1
    net = Gan(latent, 8, 256, classes)
    got = [sum(p.numel() for p in part.parameters()) for part in net.children()]
    assert got == [generator, discriminator]
    assert sum(got) == count


@pytest.mark.parametrize("size", [32, 64, 128])
def test_smaller_pictures_take_fewer_layers(size: int) -> None:
    net = Gan(latent=5, width=2, size=size, classes=2)
    pictures = net.generator(torch.randn(3, 5))
    assert [picture.shape for picture in pictures] == [(3, 3, size, size)] * 2
    assert all(float(picture.detach().abs().max()) <= 1 for picture in pictures)
    assert net.discriminator(pictures).shape == (3, 2)


def test_noise_is_told_in_each_class_apart() -> None:
    torch.manual_seed(0)
    net = Gan(latent=4, width=2, size=32, classes=2).generator.eval()
    with torch.no_grad():
        first, second = net(torch.randn(2, 4))
    assert not torch.allclose(first, second)
    assert not torch.allclose(first[0], first[1])
