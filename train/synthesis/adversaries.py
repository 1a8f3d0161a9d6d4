"""A generator and a discriminator trained against each other, as Bisla et al. say they did.

Cross-entropy for both, Adam with betas of 0.5 and 0.999, and two rounds of the generator alone
after every tenth joint one. Of the ways of Salimans et al. to keep both in balance, one-sided label
smoothing: it is the one that changes no layer of the paper's tables and no loss of the generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import Dataset

from train.datasets import ViewDataset
from train.models.dcgan import Gan
from train.synthesis.distance import sliced_wasserstein
from train.tasks import Trained
from train.views import Bytes

BETAS = (0.5, 0.999)
REAL = 0.9  # what a real picture is to be called; a made one is to be called 0, not more
JOINT_ROUNDS, EXTRA_ROUNDS = 10, 2
LEAST_JUDGED = 64  # pictures of a class that the distance is taken of
SHEETS, SHEET_PICTURES = 20, 8


class SideBySide(Dataset[torch.Tensor]):
    """One picture of each class, so that every batch has as many of one as of another.

    As long as its longest class: the others begin again, and are augmented anew.
    """

    def __init__(self, classes: Sequence[ViewDataset]) -> None:
        self.classes = classes

    def __len__(self) -> int:
        return max(map(len, self.classes))

    def __getitem__(self, item: int) -> torch.Tensor:
        return torch.stack([pictures[item % len(pictures)][0] for pictures in self.classes])


class GanTask(Trained):
    """Stopped by how far its pictures are from real ones that neither network is shown."""

    def __init__(self, model: Gan, rate: float) -> None:
        super().__init__(model)
        self.automatic_optimization = False
        self.rate = rate
        self.held: list[torch.Tensor] = []

    @property
    def gan(self) -> Gan:
        return cast("Gan", self.model)

    def configure_optimizers(self) -> Any:
        parts = (self.gan.generator, self.gan.discriminator)
        return [torch.optim.Adam(part.parameters(), self.rate, BETAS) for part in parts]

    def training_step(self, batch: torch.Tensor, index: int) -> None:
        made = self.gan.generator(self._noise(len(batch)))
        judge_loss = self._teach_discriminator(_by_class(batch), [some.detach() for some in made])
        loss = self._teach_generator(made)
        rounds = self.current_epoch * int(self.trainer.num_training_batches) + index + 1
        if rounds % JOINT_ROUNDS == 0:
            for _ in range(EXTRA_ROUNDS):
                loss = self._teach_generator(self.gan.generator(self._noise(len(batch))))
        losses = {"generator": loss, "discriminator": judge_loss}
        self.log_dict(losses, prog_bar=True, on_step=True, on_epoch=True)

    def _teach_discriminator(
        self, real: list[torch.Tensor], made: list[torch.Tensor]
    ) -> torch.Tensor:
        judge = self.gan.discriminator
        loss = _called(judge(real), REAL) + _called(judge(made), 0.0)
        self._step(1, loss)
        return loss.detach()

    def _teach_generator(self, made: list[torch.Tensor]) -> torch.Tensor:
        judge = self.gan.discriminator.requires_grad_(False)  # it is asked, and learns nothing
        loss = _called(judge(made), 1.0)
        self._step(0, loss)
        judge.requires_grad_(True)
        return loss.detach()

    def _step(self, which: int, loss: torch.Tensor) -> None:
        optimizer = cast("list[Any]", self.optimizers())[which]
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()

    def _noise(self, count: int) -> torch.Tensor:
        return torch.randn(count, self.gan.generator.latent, device=self.device)

    # -- judging -------------------------------------------------------------------------------

    def validation_step(self, batch: torch.Tensor, _: int) -> None:
        self.held.append(batch.float())

    def on_validation_epoch_end(self) -> None:
        real = _by_class(torch.cat(self.held))
        self.held.clear()
        made = generate(self.gan, _fixed_noise(self.gan, max(len(real[0]), LEAST_JUDGED)))
        pairs = zip(real, made, strict=True)
        distances = [sliced_wasserstein(one, other) for one, other in pairs]
        self.log("stop_loss", torch.stack(distances).mean(), prog_bar=True)

    def on_train_epoch_end(self) -> None:
        epoch, last = self.current_epoch + 1, int(self.trainer.max_epochs or 1)
        if epoch % max(last // SHEETS, 1) and epoch != last:
            return
        folder = Path(self.trainer.default_root_dir) / "samples"
        folder.mkdir(exist_ok=True)
        write_sheet(self.gan, folder / f"epoch_{epoch:05}.png")


def _by_class(batch: torch.Tensor) -> list[torch.Tensor]:
    """Pictures × classes × … as one batch a class."""
    return [some.contiguous(memory_format=torch.channels_last) for some in batch.unbind(dim=1)]


def _called(logits: torch.Tensor, what: float) -> torch.Tensor:
    wanted = torch.full_like(logits, what, dtype=torch.float32)
    return functional.binary_cross_entropy_with_logits(logits.float(), wanted)


def _fixed_noise(gan: Gan, count: int) -> torch.Tensor:
    """The same at every look, so that what changes is the generator."""
    return torch.randn(count, gan.generator.latent, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def generate(gan: Gan, noise: torch.Tensor, batch: int = 32) -> list[torch.Tensor]:
    """Pictures of every class, as the generator makes them once it is trained."""
    generator = gan.generator
    device = next(generator.parameters()).device
    training = generator.training
    generator.eval()
    parts = [generator(some.to(device)) for some in noise.split(batch)]
    generator.train(training)
    return [torch.cat(some).float() for some in zip(*parts, strict=True)]


def to_bytes(pictures: torch.Tensor) -> Bytes:
    """N × 3 × H × W RGB in −1…1 to N × H × W × 3 BGR, as images are kept."""
    levels = ((pictures.cpu() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(levels.permute(0, 2, 3, 1).numpy()[..., ::-1])


def write_sheet(gan: Gan, file: Path) -> None:
    """A row for each class; the pictures of a column are made of the same noise."""
    made = generate(gan, _fixed_noise(gan, SHEET_PICTURES))
    sheet = np.vstack([np.hstack([*to_bytes(pictures)]) for pictures in made])
    packed = cv2.imencode(".png", sheet)[1]
    file.write_bytes(packed.tobytes())
