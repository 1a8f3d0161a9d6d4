"""The U-Net of Ding et al. and of Goel et al.: four blocks down, four up, as Ronneberger drew it.

Each block is two 3×3 convolutions with ReLU; a deconvolution doubles the size on the way up and
meets the features of its own size from the way down. Padded, so that the mask is as large as the
image. Goel et al. put batch normalisation behind each convolution of a block, which then needs no
bias. It gives logits; export puts the sigmoid into the graph.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

LEVELS = 4


def _block(inputs: int, outputs: int, batch_norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers.append(nn.Conv2d(channels, outputs, 3, padding=1, bias=not batch_norm))
        layers += [nn.BatchNorm2d(outputs)] if batch_norm else []
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class UNet(nn.Module):
    def __init__(self, width: int, channels: int = 3, *, batch_norm: bool = False) -> None:
        super().__init__()
        block = partial(_block, batch_norm=batch_norm)
        widths = [width * 2**level for level in range(LEVELS + 1)]
        self.down = nn.ModuleList(
            block(inputs, outputs)
            for inputs, outputs in zip(
                [channels, *widths[: LEVELS - 1]], widths[:LEVELS], strict=True
            )
        )
        self.pool = nn.MaxPool2d(2)
        self.bottom = block(widths[LEVELS - 1], widths[LEVELS])
        self.rise = nn.ModuleList(
            nn.ConvTranspose2d(2 * outputs, outputs, 2, stride=2)
            for outputs in reversed(widths[:LEVELS])
        )
        self.up = nn.ModuleList(
            block(2 * outputs, outputs) for outputs in reversed(widths[:LEVELS])
        )
        self.head = nn.Conv2d(width, 1, 1)
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                # Without batch normalisation the depth needs He's scale, or no signal arrives.
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        skips = []
        features = image
        for block in self.down:
            features = block(features)
            skips.append(features)
            features = self.pool(features)
        features = self.bottom(features)
        for rise, block, skip in zip(self.rise, self.up, reversed(skips), strict=True):
            features = block(torch.cat([skip, rise(features)], dim=1))
        return self.head(features)
