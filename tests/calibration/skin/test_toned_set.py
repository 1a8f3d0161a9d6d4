"""`dermedge tones` from phantoms to a data set that training reads, and back to its tones."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from calibration.evaluation.masks import read_mask
from calibration.skin.palette import nearest_tone, palette, toned
from calibration.skin.toned_set import DRAWN, MANIFEST, Outlines, read_manifest, write_toned
from calibration.tones import command
from runtime.errors import InputError
from runtime.lesion import Lesion, clean_mask, find_lesion
from runtime.preprocess import Image
from tests.bundle_factory import bundle_fields, make_bundle, without_segmenter
from tests.train.tiny import COUNT, write_data
from train.data.isic2020_folder import picture_file
from train.data.open_dataset import open_dataset
from train.data.table import Sample


def tones(*words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("phantoms") / "set")


@pytest.fixture(scope="module")
def made(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("toned") / "set"
    done = tones("--data", data, "--out", out, "--seed", 4, "--sheet", out.parent / "sheet.png")
    assert done.exit_code == 0, done.output
    assert f"{COUNT} images" in done.output
    return out


def test_training_reads_it(data: Path, made: Path) -> None:
    table, source = open_dataset(made), open_dataset(data)
    assert set(table.ids) == set(source.ids)
    labels = {sample.id: sample.label for sample in source}
    facts = {sample.id: (sample.age, sample.sex) for sample in source}
    for sample in table:
        assert sample.label == labels[sample.id]
        assert (sample.age, sample.sex) == facts[sample.id]
    two = open_dataset(made, ("melanoma", "benign"))
    assert set(two.labels) == {"melanoma", "benign"}


def test_the_manifest_tells_what_the_pictures_show(data: Path, made: Path) -> None:
    told = json.loads((made / MANIFEST).read_text())
    known = {sample.id: sample for sample in open_dataset(data)}
    assert told["seed"] == 4
    assert told["data"]["sha256"] == open_dataset(data).digest
    assert len(told["images"]) == COUNT
    for one in told["images"]:
        picture = cv2.imread(str(picture_file(made, one["image"])))
        x, y, width, height = one["box"]
        assert picture is not None
        assert picture.shape == (height, width, 3)
        mask = clean_mask(
            read_mask(known[one["image"]].mask).astype(np.float32), 0.5, fill_holes=True
        )  # type: ignore[arg-type]
        away = cv2.erode(1 - mask[y : y + height, x : x + width], np.ones((5, 5)), borderValue=1)
        background = picture[away == 1]
        if len(background) < 20:
            continue
        lab = cv2.cvtColor((background[None] / 255).astype(np.float32), cv2.COLOR_BGR2LAB)[0]
        assert nearest_tone(np.median(lab, axis=0))[0].name == one["tone"]
        assert abs(np.median(background, axis=0) - toned(one["tone"]).bgr).max() <= 3
    counts = Counter((one["label"], one["tone"]) for one in told["images"])
    assert max(counts.values()) <= 1 + COUNT // 2 // len(palette())
    assert read_manifest(made) == {one["image"]: one["tone"] for one in told["images"]}


def test_the_same_seed_writes_the_same(data: Path, made: Path, tmp_path: Path) -> None:
    for seed in (4, 5):
        assert tones("--data", data, "--out", tmp_path / str(seed), "--seed", seed).exit_code == 0
    files = [file.relative_to(made) for file in made.rglob("*") if file.is_file()]
    assert len(files) == COUNT + 2
    assert all((made / f).read_bytes() == (tmp_path / "4" / f).read_bytes() for f in files)
    assert read_manifest(tmp_path / "5") != read_manifest(made)


def test_a_bundle_finds_the_lesions(data: Path, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    words = ["--data", data, "--bundle", bundle.path, "--backend", "onnxruntime"]
    done = tones(*words, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "out" / MANIFEST).read_text())
    assert bundle.digest in told["outlines"]
    drawn = {sample.id: sample.mask for sample in open_dataset(data)}
    boxes = [find_lesion(read_mask(drawn[one["image"]]), 64, 64).box for one in told["images"]]
    assert [one["box"] for one in told["images"]] != [[b.x, b.y, b.width, b.height] for b in boxes]


def test_one_split_alone(data: Path, tmp_path: Path) -> None:
    assert tones("--data", data, "--out", tmp_path / "v", "--split", "validation").exit_code == 0
    assert set(open_dataset(tmp_path / "v").ids) == set(
        open_dataset(data).where(split="validation").ids
    )


def test_images_that_are_left_out_take_no_tone(data: Path, tmp_path: Path) -> None:
    table = open_dataset(data)
    samples = [replace(table[0], id=f"image{number}") for number in range(90)]

    def find(sample: Sample, frame: Image) -> Lesion | None:
        return None if int(sample.id[5:]) % 5 in (1, 2) else DRAWN.find(sample, frame)

    many = replace(table, samples=tuple(samples))
    toned = write_toned(many, tmp_path / "out", 0, Outlines("some", find, drawn=True))
    assert toned.left_out["no lesion was found"] == 36
    assert set(toned.counts().values()) == {3}


def test_what_cannot_be_set_on_skin(data: Path, made: Path, tmp_path: Path) -> None:
    filled = tones("--data", data, "--out", made)
    assert filled.exit_code == 2
    assert "is there already" in filled.output
    blind = make_bundle(tmp_path / "blind", without_segmenter(bundle_fields()))
    refused = tones("--data", data, "--out", tmp_path / "out", "--bundle", blind.path)
    assert refused.exit_code == 2
    assert "no segmenter" in refused.output
    bare = tones("--data", made, "--out", tmp_path / "bare")
    assert bare.exit_code == 2
    assert f"{COUNT} images: no mask" in bare.output


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 9, "images": []}'])
def test_a_manifest_of_another_kind(text: str, tmp_path: Path) -> None:
    assert read_manifest(tmp_path) == {}
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(InputError, match="no manifest"):
        read_manifest(tmp_path)
