"""What is learned, and from what: distances between answers, and turned pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from runtime.bundle import ModelSpec
from train.finetuning.tuning import _turned, distance


def spec(*roles: str) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "variants": [{"precision": "fp32", "file": "models/a.onnx", "sha256": "0" * 64}],
            "inputs": [{"kind": "members", "name": "x"}],
            "outputs": [{"name": role, "role": role} for role in roles],
        }
    )


def softmax(*logits: float) -> torch.Tensor:
    return torch.softmax(torch.tensor([logits]), 1)


@pytest.mark.parametrize(
    ("roles", "one", "other"),
    [
        (("logits", "probabilities"), torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 2.5]])),
        (("probabilities",), softmax(1.0, 2.0), softmax(1.0, 2.5)),
        (("mask",), torch.full((1, 1, 2, 2), 0.4), torch.full((1, 1, 2, 2), 0.6)),
    ],
)
def test_a_distance_is_nought_where_answers_agree(
    roles: tuple[str, ...], one: torch.Tensor, other: torch.Tensor
) -> None:
    same = distance(spec(*roles), {roles[0]: one}, {roles[0]: one})
    apart = distance(spec(*roles), {roles[0]: one}, {roles[0]: other})
    assert float(same) == pytest.approx(0.0, abs=1e-6)
    assert float(apart) > 1e-3


def test_what_is_said_of_unlikeness_counts_too() -> None:
    """By how much of it is wrong: a blank picture is thirty away, a lesion one."""
    logits = torch.tensor([[1.0, 2.0]])

    def apart(said: float, wanted: float) -> float:
        ours, theirs = ({"logits": logits, "ood": torch.tensor([[v]])} for v in (said, wanted))
        return float(distance(spec("logits", "ood"), ours, theirs))

    assert apart(1.2, 1.2) == pytest.approx(0.0, abs=1e-6)
    assert apart(1.1, 1.0) == pytest.approx(apart(33.0, 30.0), rel=1e-3)
    assert apart(1.1, 1.0) > 1e-3


def test_the_distance_of_probabilities_is_that_of_their_logits() -> None:
    ours, theirs = torch.tensor([[0.3, -1.0, 2.0]]), torch.tensor([[0.1, 0.0, 1.0]])
    of_logits = distance(spec("logits"), {"logits": ours}, {"logits": theirs})
    of_shares = distance(
        spec("probabilities"),
        {"probabilities": torch.softmax(ours, 1)},
        {"probabilities": torch.softmax(theirs, 1)},
    )
    assert float(of_logits) == pytest.approx(float(of_shares), abs=1e-6)


def test_all_pictures_of_a_batch_are_turned_alike_and_nothing_else_is() -> None:
    square, wide = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 6)
    row = torch.rand(2, 5)
    seen = set()
    for seed in range(40):
        batch = {"a": square, "b": square.clone(), "wide": wide, "row": row}
        turned = _turned(batch, np.random.default_rng(seed))
        assert torch.equal(turned["a"], turned["b"])
        assert torch.equal(turned["wide"], wide)
        assert torch.equal(turned["row"], row)
        seen.add(turned["a"].contiguous().numpy().tobytes())
    assert len(seen) == 8  # four turns, mirrored or not
