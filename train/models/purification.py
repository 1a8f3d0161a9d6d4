"""The purification network: a U-Net of partial convolutions (Liu et al. 2018, as Bisla et al. use
it), which gives the picture it is given without what lies on the skin.

A partial convolution sees only what is valid: what is hidden counts as nothing, the sum is scaled
up by how much of its window was hidden, and a place is valid from there on if anything in its
window was. What lies beyond the picture's edge counts as valid zeros. So where nothing is hidden,
as always but in training, each is a plain convolution, and that is what is exported.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

KERNELS = (7, 5, 5, 3, 3, 3)
"""On the way down. All but the first halve the sides: train/recipe_parts/purifiers.py asks for some
that bear it. The first works at the picture's own size, as does its counterpart on the way up: with
nothing hidden, a hair of a pixel's width is only found and taken off there."""
SLOPE = 0.2

Part = tuple[torch.Tensor, torch.Tensor]
"""Features, and where they are valid: N × 1 × height × width, 0 or 1."""


class PartialConv(nn.Module):
    """Takes one or two sets of features, side by side, each with a validity of its own."""

    def __init__(self, inputs: tuple[int, ...], outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.inputs, self.kernel, self.stride = inputs, kernel, stride
        self.conv = nn.Conv2d(sum(inputs), outputs, kernel, stride, padding=kernel // 2)
        nn.init.kaiming_normal_(self.conv.weight, a=SLOPE)
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        """Where everything is valid."""
        out: torch.Tensor = self.conv(torch.cat(features, dim=1))
        return out

    def of_valid(self, parts: list[Part]) -> Part:
        seen = torch.cat([features * valid for features, valid in parts], dim=1)
        counts = [
            channels * self._in_window(valid)
            for channels, (_, valid) in zip(self.inputs, parts, strict=True)
        ]
        valid = torch.stack(counts).sum(dim=0)
        scale = sum(self.inputs) * self.kernel**2 / valid.clamp_min(1)
        anything = (valid > 0).to(seen.dtype)
        bias = self.conv.bias
        assert bias is not None
        sums = self.conv(seen) - bias[:, None, None]
        return (sums * scale + bias[:, None, None]) * anything, anything

    def _in_window(self, valid: torch.Tensor) -> torch.Tensor:
        """How many valid pixels each window has."""
        edge = self.kernel // 2
        padded = functional.pad(valid, (edge,) * 4, value=1.0)
        ones = torch.ones(1, 1, self.kernel, self.kernel, dtype=valid.dtype, device=valid.device)
        return functional.conv2d(padded, ones, stride=self.stride)


class Block(nn.Module):
    """A partial convolution, and what bends. No batch normalisation: what that learns of pictures
    with holes does not hold for whole ones."""

    def __init__(
        self, inputs: tuple[int, ...], outputs: int, kernel: int, stride: int, *, down: bool
    ) -> None:
        super().__init__()
        self.conv = PartialConv(inputs, outputs, kernel, stride)
        self.bend = nn.ReLU() if down else nn.LeakyReLU(SLOPE)

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        out: torch.Tensor = self.bend(self.conv(features))
        return out

    def of_valid(self, parts: list[Part]) -> Part:
        features, valid = self.conv.of_valid(parts)
        return self.bend(features), valid


class PurificationNet(nn.Module):
    """From red, green and blue in 0…1 to the same; what it gives may lie a little outside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width * min(2**level, 8) for level in range(len(KERNELS))]
        self.down = nn.ModuleList(
            Block((inputs,), outputs, kernel, 2 if level else 1, down=True)
            for level, (inputs, outputs, kernel) in enumerate(
                zip([3, *widths[:-1]], widths, KERNELS, strict=True)
            )
        )
        self.up = nn.ModuleList(
            Block((below, beside), beside, 3, 1, down=False)
            for beside, below in reversed(list(pairwise(widths)))
        )
        self.last = PartialConv((widths[0], 3), 3, 3)
        _copy_the_picture(self.last)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        skips = [image]
        for block in self.down:
            skips.append(block([skips[-1]]))
        features = skips.pop()
        for block in self.up:
            features = block([_twice(features), skips.pop()])
        return self.last([features, image])

    def of_valid(self, image: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """With parts of the image hidden, in training."""
        skips: list[Part] = [(image, valid)]
        for block in self.down:
            skips.append(block.of_valid([skips[-1]]))  # type: ignore[operator]
        features = skips.pop()
        for block in self.up:
            features = block.of_valid([_both_twice(features), skips.pop()])  # type: ignore[operator]
        return self.last.of_valid([features, (image, valid)])[0]


def _copy_the_picture(last: PartialConv) -> None:
    """It starts from the picture itself: most of what it has to give is what it was given."""
    colours = last.inputs[-1]
    with torch.no_grad():
        last.conv.weight[:] = 0
        middle = last.kernel // 2
        own = last.conv.weight[:, -colours:]
        own[:, :, middle, middle] = torch.eye(colours)


def _twice(features: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")


def _both_twice(part: Part) -> Part:
    return _twice(part[0]), _twice(part[1])
