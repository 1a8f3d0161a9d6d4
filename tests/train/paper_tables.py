"""What a network does in the order of its pass, to be held against a paper's table."""

from __future__ import annotations

from torch import Tensor, nn


def passed(net: nn.Module, given: object) -> list[tuple[nn.Module, str]]:
    """Every layer, and the size of what it made, as tables write it: 64×32×32."""
    layers: list[tuple[nn.Module, str]] = []

    def note(layer: nn.Module, _: object, made: Tensor) -> None:
        layers.append((layer, "×".join(map(str, made.shape[1:]))))

    for layer in net.modules():
        if not list(layer.children()):
            layer.register_forward_hook(note)
    net(given)
    return layers


def rows_of(table: str) -> list[str]:
    return table.strip().splitlines()
