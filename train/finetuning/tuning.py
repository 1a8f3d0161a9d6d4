"""The fine-tune itself: the 8-bit network learns to say what the float one says.

No labels: what is wanted is the float network's answer, not a better one. It starts from the float
weights and stays near them; scales, and with them the places of 8 bits, remain as quantize chose
them. Gradients pass through the rounding as if it were not there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from train.finetuning.graph_network import GraphNetwork

if TYPE_CHECKING:
    from calibration.quantising.loss import Said
    from runtime.bundle import ModelSpec


@dataclass(frozen=True, slots=True)
class Plan:
    passes: int  # over the images
    batch: int
    rate: float

    def steps(self, images: int) -> int:
        return max(1, self.passes * images // self.batch)


def tune(
    student: GraphNetwork,
    teacher: GraphNetwork,
    spec: ModelSpec,
    feeds: Sequence[Said],
    plan: Plan,
    step: Callable[[], None],
) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    student.to(device)
    teacher.to(device).requires_grad_(False)
    rng = np.random.default_rng(0)
    steps = plan.steps(len(feeds))
    optimizer = torch.optim.Adam(student.parameters(), lr=plan.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    rounds = -(-steps * plan.batch // len(feeds))
    order = np.concatenate([rng.permutation(len(feeds)) for _ in range(rounds)])
    for number in range(steps):
        rows = order[number * plan.batch : (number + 1) * plan.batch]
        batch = _turned(_batch([feeds[row] for row in rows], device), rng)
        with torch.no_grad():
            wanted = teacher(batch)
        loss = distance(spec, student(batch), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        step()


def distance(spec: ModelSpec, said: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Tensor:
    """How far one network's answers are from the other's; zero where they agree."""
    mask, unlikeness = spec.output("mask"), spec.output("ood")
    if mask is not None:
        entropy = functional.binary_cross_entropy
        return entropy(said[mask], wanted[mask]) - entropy(wanted[mask], wanted[mask])
    apart = _divergence(spec, said, wanted)
    if unlikeness is None:
        return apart
    return apart + (said[unlikeness] / wanted[unlikeness] - 1).square().mean()


def _divergence(
    spec: ModelSpec, said: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> Tensor:
    logits = spec.output("logits")
    if logits is not None:
        ours, theirs = (torch.log_softmax(answer[logits], 1) for answer in (said, wanted))
    else:
        name = spec.output("probabilities") or ""
        ours, theirs = (answer[name].clamp(min=1e-12).log() for answer in (said, wanted))
    return functional.kl_div(ours, theirs, reduction="batchmean", log_target=True)


def _batch(feeds: Sequence[Said], device: str) -> dict[str, Tensor]:
    return {
        name: torch.as_tensor(np.concatenate([feed[name] for feed in feeds]), device=device)
        for name in feeds[0]
    }


def _turned(batch: dict[str, Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
    """By a quarter turn or mirrored: a lesion has no upside. Channels come to lie last: on a CPU
    that takes a third off a step."""
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    changed = {}
    for name, values in batch.items():
        if values.ndim == 4 and values.shape[2] == values.shape[3]:
            values = torch.rot90(values, turns, (2, 3))
            values = values.flip(3) if mirrored else values
            values = values.contiguous(memory_format=torch.channels_last)
        changed[name] = values
    return changed
