"""The U-Net of Bisla et al.: unpadded, with dilated convolutions at its bottom in place of a pool.

What unpadded convolutions cut away on the way down, transposed ones of the same kernel put back on
the way up, until the mask is as large as the image. The maps that a stage of the way down ends with
are laid beside those of their size on the way up. It gives logits; export puts the sigmoid into the
graph.

A transposed convolution of stride 1 is a convolution with its kernel turned round, padded by as
much as the kernel reaches. It is built as that: the same functions with the same number of
parameters, in a layer that every engine computes in 8 bits.
"""

from __future__ import annotations

import torch
from torch import nn

KERNEL = 3


def _conv(inputs: int, outputs: int, dilation: int = 1, padding: int = 0) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, KERNEL, dilation=dilation, padding=padding)
    # Without batch normalisation the depth needs He's scale, or no signal arrives.
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return nn.Sequential(conv, nn.ReLU(inplace=True))


def _grow(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    """The transposed convolution."""
    return _conv(inputs, outputs, dilation, padding=(KERNEL - 1) * dilation)


def _rise(inputs: int, outputs: int) -> nn.Sequential:
    """Twice the size, then a convolution that keeps it."""
    return nn.Sequential(nn.Upsample(scale_factor=2), _conv(inputs, outputs, padding=1))


class DilatedUNet(nn.Module):
    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        a, b, c, d, e = (width * 2**level for level in range(5))
        # Twice the inputs where the maps of the way down are laid beside.
        self.down = nn.ModuleList(
            nn.Sequential(*stage)
            for stage in (
                (_conv(channels, a), _conv(a, a)),
                (nn.MaxPool2d(2), _conv(a, b), _conv(b, b)),
                (nn.MaxPool2d(2), _conv(b, c), _conv(c, c)),
                (nn.MaxPool2d(2), _conv(c, d, dilation=2)),
                (_conv(d, d, dilation=2),),
                (_conv(d, e, dilation=4),),
            )
        )
        self.bottom = _conv(e, e, dilation=4)
        self.up = nn.ModuleList(
            nn.Sequential(*stage)
            for stage in (
                (_grow(e, e, dilation=4),),
                (_grow(2 * e, d, dilation=4),),
                (_grow(2 * d, d, dilation=2),),
                (_grow(2 * d, d, dilation=2), _rise(d, c)),
                (_grow(2 * c, c), _grow(c, c), _rise(c, b)),
                (_grow(2 * b, b), _grow(b, b), _rise(b, a)),
            )
        )
        self.head = nn.Sequential(_grow(2 * a, a), _grow(a, a), nn.Conv2d(a, 1, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        skips = []
        features = image
        for stage in self.down:
            features = stage(features)
            skips.append(features)
        features = self.bottom(features)
        for stage, skip in zip(self.up, reversed(skips), strict=True):
            features = torch.cat([skip, stage(features)], dim=1)
        return self.head(features)
