"""What the purification network learns from, and what it is told of how well it did."""

from __future__ import annotations

from pathlib import Path

import lightning
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch.utils.data import DataLoader

from runtime.errors import InputError, UsageError
from runtime.purify import purify
from train.models.purification import PurificationNet
from train.phantom.compose import make_phantom
from train.purification import pairs as pairs_module
from train.purification import perceptual
from train.purification.holes import MOST, draw_holes
from train.purification.inpainting_loss import gram, inpainting_loss, variation
from train.purification.pairs import PairDataset, Pairs
from train.purification.task import PurifierTask

SIDE = 64


@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 2**32))
def test_holes_leave_enough_to_guess_from(height: int, width: int, seed: int) -> None:
    holes = draw_holes(height, width, np.random.default_rng(seed))
    assert holes.shape == (height, width)
    assert holes.dtype == np.uint8
    assert set(np.unique(holes)) <= {0, 1}
    assert holes.any()
    assert holes.mean() <= MOST or holes.sum() == 1
    np.testing.assert_array_equal(holes, draw_holes(height, width, np.random.default_rng(seed)))


def test_holes_are_of_many_sizes() -> None:
    shares = [draw_holes(128, 128, np.random.default_rng(seed)).mean() for seed in range(60)]
    assert min(shares) < 0.03
    assert max(shares) > 0.15


def planes(seed: int, holes: float = 0.3) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    truth = torch.rand(2, 3, 16, 16, generator=rng)
    hidden = (torch.rand(2, 1, 16, 16, generator=rng) < holes).float()
    return truth, torch.cat([truth, hidden], dim=1)


def test_the_right_picture_costs_only_its_own_unrest() -> None:
    truth, wanted = planes(0, holes=0)
    assert inpainting_loss(truth, wanted, None) == 0
    truth, wanted = planes(0)
    assert inpainting_loss(truth, wanted, None) == pytest.approx(
        0.1 * float(variation(truth, wanted[:, 3:])), rel=1e-5
    )


def test_a_mistake_in_a_hole_costs_six_times_as_much() -> None:
    truth = torch.full((1, 3, 8, 8), 0.5)
    costs = []
    for row in (1, 6):
        painted, hidden = truth.clone(), torch.zeros(1, 1, 8, 8)
        hidden[..., :4, :] = 1
        painted[..., row, 3] += 0.3
        rest = 0.1 * variation(hidden * painted + (1 - hidden) * truth, hidden)
        costs.append(inpainting_loss(painted, torch.cat([truth, hidden], dim=1), None) - rest)
    assert costs[0] == pytest.approx(6 * float(costs[1]), rel=1e-4)


def test_unrest_counts_in_holes_and_at_their_edges_alone() -> None:
    truth, wanted = planes(1)
    holes = torch.zeros(2, 1, 16, 16)
    assert variation(truth, holes) == 0
    holes[..., 8, 8] = 1
    assert 0 < variation(truth, holes) < variation(truth, torch.ones_like(holes))
    assert variation(torch.full_like(truth, 0.3), torch.ones_like(holes)) == 0
    assert wanted.shape[1] == 4


def test_maps_that_occur_together_wherever_they_do() -> None:
    maps = torch.rand(1, 4, 6, 6)
    torch.testing.assert_close(gram(maps), gram(maps.roll((2, 3), (2, 3))))
    assert not torch.allclose(gram(maps), gram(maps.flip(1)))


def test_a_network_that_knows_pictures_is_asked() -> None:
    truth, wanted = planes(2)
    layer = torch.nn.Conv2d(3, 4, 3)

    def features(picture: torch.Tensor) -> list[torch.Tensor]:
        return [torch.relu(layer(picture))]

    painted = (truth + 0.1).requires_grad_()
    plain = inpainting_loss(painted, wanted, None)
    judged = inpainting_loss(painted, wanted, features)
    assert judged.detach() > plain.detach()
    judged.backward()
    assert painted.grad is not None
    assert painted.grad.abs().sum() > 0
    right = inpainting_loss(truth, wanted, features).detach()
    assert right == pytest.approx(float(inpainting_loss(truth, wanted, None)), rel=1e-5)


def phantom_pairs(count: int) -> Pairs:
    before, after, occlusions = [], [], []
    for index in range(count):
        phantom = make_phantom(5, index, SIDE)
        purified = purify(phantom.image, (phantom.mask > 0).astype(np.uint8))
        before.append(phantom.image)
        after.append(purified.picture)
        occlusions.append(purified.occlusions)
    return Pairs(np.stack(before), np.stack(after), np.stack(occlusions))


@pytest.mark.parametrize("kind", sorted(set(pairs_module.HIDDEN)))
def test_what_a_pair_shows_and_hides(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs_module, "HIDDEN", (kind,))
    pairs = phantom_pairs(6)
    data = PairDataset(pairs, [4, 1])
    assert len(data) == 2
    (image, valid), wanted = data[1]
    np.testing.assert_allclose(image.numpy()[::-1].transpose(1, 2, 0) * 255, pairs.before[1])
    np.testing.assert_allclose(wanted.numpy()[2::-1].transpose(1, 2, 0) * 255, pairs.after[1])
    hidden = valid.numpy()[0] == 0
    if kind == "occlusions":
        np.testing.assert_array_equal(hidden, pairs.occlusions[1] > 0)
    else:
        assert hidden.any() == (kind == "strokes")
    changed = (wanted[3] > 0).numpy()
    np.testing.assert_array_equal(changed, hidden | (pairs.occlusions[1] > 0))


@pytest.mark.parametrize("late", [False, True])
def test_it_learns(late: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs_module, "HIDDEN", ("strokes",))
    lightning.seed_everything(0, verbose=False)
    batch = next(iter(DataLoader(PairDataset(phantom_pairs(8), range(8)), 8)))
    task = PurifierTask(PurificationNet(8), 1e-2 if late else 2e-3, None, late=late)
    optimizer = task.configure_optimizers()
    assert isinstance(optimizer, torch.optim.SGD if late else torch.optim.Adam)
    losses = []
    for _ in range(20):
        loss = task.loss(*batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]


def test_the_judge_comes_from_a_file_or_says_why_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk = perceptual._trunk(pretrained=False)
    save_file(dict(trunk.state_dict()), tmp_path / "vgg.safetensors")
    found = perceptual.open_perceptual({"vgg16": tmp_path / "vgg.safetensors"}, False)
    assert isinstance(found, perceptual.Perceptual)
    maps = found(torch.rand(1, 3, 32, 32))
    assert [tuple(each.shape[1:]) for each in maps] == [(64, 16, 16), (128, 8, 8), (256, 4, 4)]
    assert not any(parameter.requires_grad for parameter in found.parameters())

    assert "--weights vgg16=FILE" in str(perceptual.open_perceptual({}, False))
    monkeypatch.setattr("train.weights._reachable", lambda endpoint: False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "nothing"))
    with pytest.raises(UsageError, match="the model hub does not answer"):
        perceptual.open_perceptual({}, True)
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="does not hold this backbone"):
        perceptual.open_perceptual({"vgg16": tmp_path / "other.safetensors"}, True)
