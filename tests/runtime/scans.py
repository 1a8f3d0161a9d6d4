"""What the tests of scanning share: a tiny bundle, folders of pictures, records of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
from click.testing import CliRunner, Result

from runtime.infer import command
from tests.bundle_factory import make_bundle, picture


def write_pictures(folder: Path, count: int) -> list[str]:
    """Pictures that all differ, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"p{i:03d}.png" for i in range(count)]
    for i, name in enumerate(names):
        frame = picture(60, 80, (30 + i, 40, 60))
        (folder / name).write_bytes(cv2.imencode(".png", frame)[1].tobytes())
    return names


def bundle_at(folder: Path) -> Path:
    return make_bundle(folder).path


def infer(*arguments: object) -> Result:
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(command, [*words, "--backend", "fake"])


def records_in(out: Path) -> list[dict[str, Any]]:
    lines = (out / "results.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
