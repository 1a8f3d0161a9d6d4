"""`dermedge evaluate --tones`: tones measured on pictures, and tones that are known."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from calibration.evaluate import command
from calibration.skin.palette import palette
from calibration.tones import command as tones
from runtime.bundle_files import LoadedBundle
from tests.bundle_factory import bundle_fields, make_bundle, without_segmenter
from tests.calibration.skin.drawn import SHAPE, mask, skin

TONES = ("K", "K", "N", "N", "N", "R") * 3


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lesions that the tiny bundle finds, on skin of three tones, with masks."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "mask.png").write_bytes(cv2.imencode(".png", mask() * 255)[1].tobytes())
    rows = [["image", "label", "mask"]]
    by_name = {tone.name: tone for tone in palette()}
    for row, name in enumerate(TONES):
        frame = skin(by_name[name], seed=row)
        (folder / f"p{row}.png").write_bytes(cv2.imencode(".png", frame)[1].tobytes())
        rows.append([f"p{row}.png", "melanoma" if row % 3 else "nevus", "mask.png"])
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


def run(bundle: LoadedBundle, data: Path, out: Path, *more: object) -> tuple[str, dict[str, Any]]:
    words = ["--bundle", bundle.path, "--data", data, "--out", out, "--no-copies", *more]
    done = CliRunner().invoke(command, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output, json.loads((out / "evaluation.json").read_text())


def blind() -> dict[str, Any]:
    return without_segmenter(bundle_fields())


@pytest.mark.parametrize("fields", [bundle_fields, blind])
def test_measured_on_the_pictures(fields: Any, data: Path, tmp_path: Path) -> None:
    """With the bundle's outline, or where it has no segmenter by the masks of the data set."""
    bundle = make_bundle(tmp_path / "B", fields())
    output, found = run(bundle, data, tmp_path / "out", "--tones")
    rows = {row["tone"]: row for row in found["tones"]["rows"]}
    assert list(rows) == [tone.name for tone in palette()]
    assert {name: row["n"] for name, row in rows.items() if row["n"]} == Counter(TONES)
    assert found["tones"]["known"] == {"made": 0, "measured": len(TONES), "unknown": 0}
    assert rows["N"]["positives"] == sum(n == "N" and i % 3 > 0 for i, n in enumerate(TONES))
    assert all(row["few"] for row in rows.values())
    assert "By tone of the skin around the lesion" in output
    assert "Fewer than 10 positives" in output
    with (tmp_path / "out" / "tones.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["tone"] for line in lines] == list(TONES)
    assert max(float(line["distance"]) for line in lines) < 1.5
    page = (tmp_path / "out" / "report.html").read_text()
    assert "It is no skin type" in page
    ET.parse(tmp_path / "out" / "pictures" / "tones.svg")


def test_only_where_it_is_asked_for(data: Path, tmp_path: Path) -> None:
    _, found = run(make_bundle(tmp_path / "B"), data, tmp_path / "out")
    assert "tones" not in found
    assert "By tone of the skin" not in (tmp_path / "out" / "report.html").read_text()
    assert not (tmp_path / "out" / "tones.csv").exists()
    assert not (tmp_path / "out" / "pictures" / "tones.svg").exists()


def test_known_from_how_the_picture_was_made(data: Path, tmp_path: Path) -> None:
    made = tmp_path / "toned"
    done = CliRunner().invoke(tones, ["--data", str(data), "--out", str(made)])
    assert done.exit_code == 0, done.output
    bundle = make_bundle(tmp_path / "B", blind())
    _, found = run(bundle, made, tmp_path / "out", "--tones", "--map", "nevus=nevus")
    assert found["tones"]["known"] == {"made": len(TONES), "measured": 0, "unknown": 0}
    manifest = json.loads((made / "tones.json").read_text())
    drawn = Counter(one["tone"] for one in manifest["images"])
    assert {row["tone"]: row["n"] for row in found["tones"]["rows"] if row["n"]} == drawn


def test_what_has_no_skin_in_sight_is_unknown(tmp_path: Path) -> None:
    black = np.zeros((*SHAPE, 3), np.uint8)
    rows = [["image", "label", "mask"]]
    for row in range(6):
        (tmp_path / f"p{row}.png").write_bytes(cv2.imencode(".png", black)[1].tobytes())
        rows.append([f"p{row}.png", "melanoma" if row % 2 else "nevus", ""])
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    bundle = make_bundle(tmp_path / "B", blind())
    output, found = run(bundle, tmp_path / "labels.csv", tmp_path / "out", "--tones")
    assert found["tones"]["known"] == {"made": 0, "measured": 0, "unknown": 6}
    assert "cannot be told of 6" in " ".join(output.split())
