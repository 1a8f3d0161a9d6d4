"""Parts of a trunk that stay as they were pretrained: their weights, and what their layers have
learnt of the images' mean and spread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from runtime.errors import UsageError
from train.recipe_parts.members import Frozen


def freeze(trunk: nn.Module, how: Frozen) -> None:
    """After this no step changes what is frozen; what is not is trained as ever."""
    if how == "none":
        return
    trained = last_block(trunk) if how == "all_but_last_block" else []
    kept = {id(parameter) for module in trained for parameter in module.parameters()}
    for parameter in trunk.parameters():
        parameter.requires_grad_(id(parameter) in kept)
    hold_still(trunk)


def hold_still(net: nn.Module) -> None:
    """Put what is frozen into evaluation, where batch normalisation keeps its statistics and
    nothing is dropped. Whoever puts the whole network into training calls it again."""
    for module in net.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()


def last_block(trunk: nn.Module) -> list[nn.Module]:
    """The layers that work at the smallest size of maps, in any backbone of timm's.

    timm says of each size which module ends it. What is defined behind the end of the last but one
    is the last block; of a dense net without the transition, which belongs to the block before.
    """
    sizes: Any = getattr(trunk, "feature_info", None)
    if not isinstance(sizes, list):
        raise UsageError(
            "It is not known where the last block of this trunk begins.",
            got=f"frozen: all_but_last_block with {type(trunk).__name__}",
            expected="a whole backbone of timm's, without `cut`",
            remedy="freeze the trunk, or nothing",
        )
    from timm.models.densenet import DenseTransition

    behind = _behind(trunk, sizes[-2]["module"])
    return [module for module in behind if not isinstance(module, DenseTransition)]


def _behind(net: nn.Module, end: str) -> Iterator[nn.Module]:
    """Modules that are defined after the one called `end`, each without those that hold it."""
    name, _, rest = end.partition(".")
    names = [own for own, _ in net.named_children()]
    place = names.index(name)
    children = list(net.children())
    if rest:
        yield from _behind(children[place], rest)
    yield from children[place + 1 :]
