"""A real GPU for tests, or the reason why there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.backends.registry import why_no_gpu, why_unusable
from runtime.build_process import build_engine
from runtime.build_worker import Job
from runtime.bundle_files import LoadedBundle
from runtime.device.driver import Cuda
from runtime.errors import DermedgeError
from runtime.host_chain import models_in_use
from runtime.machine import engine_folder

BACKENDS = ("tensorrt", "tensorrt_rtx")


def a_gpu() -> Cuda:
    if (reason := why_no_gpu()) is not None:
        pytest.skip(reason)
    try:
        return Cuda()
    except DermedgeError as error:
        pytest.skip(error.one_line)


def needs(backend: str) -> None:
    if (reason := why_unusable(backend)) is not None:
        pytest.skip(reason)


def build(bundle: LoadedBundle, backend: str, batch: int = 1, precision: str | None = None) -> Path:
    folder = engine_folder()
    for name in models_in_use(bundle.spec):
        fields = {"bundle": bundle.path, "model": name, "backend": backend, "cache": folder}
        build_engine(Job.model_validate(fields | {"batch": batch, "precision": precision}))
    return folder
