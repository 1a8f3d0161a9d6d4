"""The distance falls where pictures come nearer, whatever it is that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from train.synthesis.distance import sliced_wasserstein

Pictures = Callable[[torch.Tensor], torch.Tensor]


def blobs(count: int, seed: int) -> torch.Tensor:
    """Pictures that differ in the place, size and colour of a blob, with texture all over."""
    rng = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    made = []
    for _ in range(count):
        a, b, size, *colour = torch.rand(6, generator=rng).tolist()
        shape = ((x - a + 0.5) ** 2 + (y - b + 0.5) ** 2 < 0.1 + size / 3).float()
        made.append(torch.stack([0.5 - shape * (0.3 + shade) for shade in colour]))
    pictures = torch.stack(made)
    return (pictures + 0.05 * torch.randn(pictures.shape, generator=rng)).clamp(-1, 1)


REAL, OTHERS = blobs(48, 0), blobs(48, 1)

WORSE: dict[str, Pictures] = {
    "blurred": lambda p: functional.avg_pool2d(p, 5, 1, 2),
    "one picture over and over": lambda p: p[:1].expand_as(p),
    "another colour": lambda p: (p + 0.3).clamp(-1, 1),
    "noise": lambda p: torch.randn(p.shape, generator=torch.Generator().manual_seed(5)),
    "without contrast": lambda p: 0.5 * p,
}


@pytest.mark.parametrize("change", WORSE.values(), ids=WORSE)
def test_what_is_wrong_is_further_away(change: Pictures) -> None:
    near = float(sliced_wasserstein(REAL, OTHERS))
    assert float(sliced_wasserstein(REAL, change(OTHERS))) > 1.5 * near


def test_it_takes_sets_of_any_size_and_the_same_twice() -> None:
    once = sliced_wasserstein(REAL[:7], OTHERS)
    assert torch.equal(once, sliced_wasserstein(REAL[:7], OTHERS))
    assert not torch.equal(once, sliced_wasserstein(REAL[:7], OTHERS, seed=1))
    assert 0 < float(once) < 1
