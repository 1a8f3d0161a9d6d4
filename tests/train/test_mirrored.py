from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from tests.train.tiny import tiny_recipe
from train.models.mirrored import AXES, Mirrored
from train.recipe import Recipe
from train.recipe_files import load_recipe

IMAGES = st.sampled_from(sorted(AXES))


class Corner(nn.Module):
    """Sees what lies at a corner, and where the picture is bright."""

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return image[:, :, 0, 0], image.mean(dim=1, keepdim=True)


def pictures(seed: int, batch: int, height: int, width: int) -> torch.Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 999), st.integers(1, 4), st.integers(2, 9), st.integers(2, 9), IMAGES)
def test_numbers_are_the_mean_over_mirror_images_and_maps_lie_as_the_picture_does(
    seed: int, batch: int, height: int, width: int, images: int
) -> None:
    given_ = pictures(seed, batch, height, width)
    numbers, heat = Mirrored(Corner(), images)(given_)
    corners = [(0, 0), (0, -1), (-1, 0), (-1, -1)][:images]
    expected = np.mean([given_[:, :, y, x].numpy() for y, x in corners], axis=0)
    np.testing.assert_allclose(numbers.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(heat.numpy(), given_.mean(dim=1, keepdim=True).numpy(), atol=1e-6)


@given(st.integers(0, 999), st.sampled_from([2, 4]))
def test_a_picture_and_its_mirror_image_are_answered_alike(seed: int, images: int) -> None:
    net = Mirrored(Corner(), images)
    one = pictures(seed, 2, 5, 7)
    for axis in AXES[images]:
        assert torch.allclose(net(one)[0], net(one.flip(axis))[0], atol=1e-6)


def test_each_picture_of_a_batch_is_answered_as_if_it_were_alone() -> None:
    net, three = Mirrored(Corner(), 4), pictures(1, 3, 4, 6)
    together = net(three)
    for each in range(3):
        for whole, alone in zip(together, net(three[each : each + 1]), strict=True):
            assert torch.allclose(whole[each], alone[0])


@pytest.mark.parametrize("images", [0, 3, 8])
def test_there_are_two_or_four_of_a_picture(images: int) -> None:
    with pytest.raises(ValidationError, match="mirror_images"):
        Recipe.model_validate(tiny_recipe() | {"mirror_images": images})


def test_a_member_that_is_told_of_the_patient_itself_is_not_mirrored() -> None:
    fields = load_recipe("zoome").model_dump()
    with pytest.raises(ValidationError, match=r"not for members\.\w+, of kind zoome"):
        Recipe.model_validate(fields | {"mirror_images": 2})
