"""One network trained by Lightning inside a stage folder: resumed if it was killed, then saved."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import (
    EarlyStopping,
    EMAWeightAveraging,
    ModelCheckpoint,
    TQDMProgressBar,
)
from lightning.pytorch.loggers import CSVLogger
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.data import DataLoader, Dataset

from runtime.errors import UsageError
from train.batchnorm import measure_batchnorm
from train.recipe_parts.training import Course, Training
from train.tasks import Trained

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True, slots=True)
class Machine:
    """What the command line says about the hardware. Results depend on it by rounding alone, but
    for the number of devices: each weighs the classes of its own part of a batch."""

    accelerator: str = "auto"
    devices: int = 1
    precision: str = "auto"
    workers: int = 1
    weights: dict[str, Path] = field(default_factory=dict)

    @property
    def device(self) -> str:
        return "cuda" if self.accelerator != "cpu" and torch.cuda.is_available() else "cpu"

    def lightning_precision(self) -> Any:
        if self.precision != "auto":
            return self.precision
        if self.device == "cuda":
            return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
        # Elsewhere a CPU emulates bfloat16, more slowly than it computes with 32 bits.
        multiplies_it = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
        return "bf16-mixed" if multiplies_it else "32-true"


def train_network(
    task: Trained,
    train_set: Dataset[Any],
    stop_set: Dataset[Any] | None,
    training: Course,
    folder: Path,
    machine: Machine,
    seed: int,
    label: str,
) -> None:
    """Fit `task`, leave its best (or last) weights in `folder`."""
    lightning.seed_everything(seed, workers=True, verbose=False)
    watched = training.choice is not None and stop_set is not None
    best_is = "min" if training.choice == "loss" else "max"
    callbacks: list[Any] = [Progress(label)]
    if watched:
        callbacks.append(
            ModelCheckpoint(
                folder, filename="best", monitor=f"stop_{training.choice}", mode=best_is,
                enable_version_counter=False,
            )
        )  # fmt: skip
    # What a killed training resumes from: one of its own, or it would be as old as the best.
    callbacks.append(ModelCheckpoint(folder, filename="last", enable_version_counter=False))
    if watched and training.patience is not None:
        callbacks.append(
            EarlyStopping(f"stop_{training.choice}", patience=training.patience, mode=best_is)
        )
    if isinstance(training, Training) and training.ema is not None:
        callbacks.append(EMAWeightAveraging(decay=training.ema))
    last = folder / "last.ckpt"
    batch = _batch_a_process(training.batch, len(train_set), machine.devices)  # type: ignore[arg-type]
    with _quiet(), _stopped_by_keyboard():
        trainer = _trainer(
            machine,
            max_epochs=training.epochs,
            callbacks=callbacks,
            logger=CSVLogger(folder, name="", version=_log_name(folder)),
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            default_root_dir=folder,
        )
        trainer.fit(
            task,
            _loader(train_set, batch, machine.workers, shuffle=True),
            _loader(stop_set, training.batch, 0, shuffle=False) if stop_set else None,
            ckpt_path=str(last) if last.exists() else None,  # tensors and numbers, no pickles
        )
    # From the file, also where it is the last epoch's: what a running mean is of is in the network,
    # and the mean itself in the file alone, after a kill behind the last epoch.
    best = folder / "best.ckpt"
    kept = torch.load(best if best.exists() else last, map_location="cpu", weights_only=True)
    task.load_state_dict(kept["state_dict"])
    save_network(task.model, folder / WEIGHTS)
    for checkpoint in folder.glob("*.ckpt"):
        checkpoint.unlink()


def check_machine(machine: Machine) -> None:
    """Refuse hardware that is not there before the first image is read, not an hour later."""
    with _quiet():
        _trainer(machine, logger=False, enable_checkpointing=False, enable_progress_bar=False)


def _trainer(machine: Machine, **settings: Any) -> lightning.Trainer:
    try:
        return lightning.Trainer(
            accelerator=machine.accelerator,
            devices=machine.devices,
            strategy="ddp_spawn" if machine.devices > 1 else "auto",
            sync_batchnorm=machine.devices > 1 and machine.device == "cuda",  # a GPU's alone
            precision=machine.lightning_precision(),
            enable_model_summary=False,
            **settings,
        )
    except (MisconfigurationException, ValueError) as exc:
        raise UsageError(
            "This machine cannot train with these options.",
            got=f"{machine.devices} × {machine.accelerator}, {machine.precision}: {exc}",
            remedy="leave --accelerator, --devices and --precision to their defaults",
        ) from exc


def _batch_a_process(batch: int, images: int, processes: int) -> int:
    """A step is of as many images as the recipe says, however many processes share it, but for what
    does not divide. One image alone would upset batch normalisation, and a process that gets fewer
    images than its part of a batch would drop them all, and train nothing."""
    part = max(batch // processes, min(batch, 2))
    return max(min(part, images // processes), 1)


def _log_name(folder: Path) -> str:
    """A resumed training gets a log of its own: the logger would delete that of the first part."""
    parts = len(list(folder.glob("log*")))
    return f"log-{parts + 1}" if parts else "log"


def _loader(data: Dataset[Any], batch: int, workers: int, shuffle: bool) -> DataLoader[Any]:
    return DataLoader(
        data, batch, shuffle=shuffle, num_workers=workers,
        drop_last=shuffle,  # a last batch of one image would upset batch normalisation
        persistent_workers=workers > 0, pin_memory=torch.cuda.is_available(),
    )  # fmt: skip


class Progress(TQDMProgressBar):
    """Lightning's bar, with the stage's name before the epoch."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label = label

    def on_train_epoch_start(self, trainer: Any, *args: Any) -> None:
        super().on_train_epoch_start(trainer, *args)
        bar = self.train_progress_bar
        bar.set_description(f"{self.label}, epoch {trainer.current_epoch + 1}/{trainer.max_epochs}")


@contextmanager
def _stopped_by_keyboard() -> Iterator[None]:
    """Lightning makes of Ctrl-C an exit code of 1; here it ends like in every other verb."""
    try:
        yield
    except SystemExit as exc:
        if isinstance(exc.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from exc
        raise


class _quiet(warnings.catch_warnings):
    """Lightning's notes about worker counts and tensor cores would bury the progress bar."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.filterwarnings("ignore", module="lightning")
        warnings.filterwarnings("ignore", module="torch")
        for name in ("lightning.pytorch", "lightning.fabric"):
            logging.getLogger(name).setLevel(logging.ERROR)


def save_network(model: nn.Module, file: Path) -> None:
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    save_file(state, file)


def load_network(model: nn.Module, file: Path) -> nn.Module:
    model.load_state_dict(load_file(file))
    return model.eval()


@torch.inference_mode()
def predict(
    model: nn.Module, data: Dataset[Any], machine: Machine, batch: int = 32
) -> list[np.ndarray]:
    """Every output of `model` over a data set, in float32: as the device will compute it."""
    device = torch.device(machine.device)
    model = model.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    parts: list[Sequence[np.ndarray]] = []
    for given, _ in DataLoader(data, batch):
        outputs = model(*_moved(given, device))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        parts.append([output.float().cpu().numpy() for output in outputs])
    model.cpu()
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def measure_statistics(
    model: nn.Module, data: Dataset[Any], machine: Machine, batch: int, seed: int
) -> None:
    """Batch normalisation's, over a data set in an order of its own: images of one place or patient
    stand together in most, and would be a batch."""
    device = torch.device(machine.device)
    batch = min(batch, len(data))  # type: ignore[arg-type]
    order = torch.Generator().manual_seed(seed)
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    loader = DataLoader(data, batch, shuffle=True, drop_last=True, generator=order)
    measure_batchnorm(model, (_moved(given, device) for given, _ in loader))
    model.cpu()


def _moved(given: Any, device: torch.device) -> list[torch.Tensor]:
    """Images, and what is known of their patients, if it is."""
    images, *known = given if isinstance(given, (list, tuple)) else (given,)
    moved = images.to(device, memory_format=torch.channels_last)
    return [moved, *(rows.to(device) for rows in known)]
