"""Pictures that are no dermoscopy: of every kind, the same each time, and a data set."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from train.data.open_dataset import open_dataset
from train.phantom.compose import make_phantom
from train.phantom.strange import DRAWN, FROM_LESIONS, KINDS
from train.strangers import command

SIDE = 128


def write(*words: object) -> str:
    result = CliRunner().invoke(command, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("strangers") / "out"
    said = write("--out", out, "--each", 3, "--size", SIDE)
    assert f"{3 * len(KINDS)} pictures, 3 of each kind" in said
    return out


def test_it_is_a_data_set_with_a_label_for_each_kind(folder: Path) -> None:
    assert open_dataset(folder).counts() == dict.fromkeys(KINDS, 3)


def test_no_two_are_alike_and_all_have_one_size(folder: Path) -> None:
    pictures = [cv2.imread(str(sample.image)) for sample in open_dataset(folder)]
    assert {picture.shape for picture in pictures} == {(SIDE, SIDE, 3)}
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


def test_the_same_seed_gives_the_same_pictures(folder: Path, tmp_path: Path) -> None:
    write("--out", tmp_path / "again", "--each", 3, "--size", SIDE)
    write("--out", tmp_path / "other", "--each", 3, "--size", SIDE, "--seed", 1)

    def contents(place: Path) -> list[bytes]:
        return [sample.image.read_bytes() for sample in open_dataset(place)]

    assert contents(tmp_path / "again") == contents(folder)
    assert contents(tmp_path / "other") != contents(folder)


@pytest.mark.parametrize("kind", FROM_LESIONS)
def test_a_spoilt_lesion_is_no_longer_that_picture(kind: str) -> None:
    lesion = make_phantom(0, 3, SIDE).image
    made = FROM_LESIONS[kind](np.random.default_rng(0), lesion.copy())
    assert made.shape[2] == 3
    assert made.dtype == np.uint8
    same = cv2.resize(made, (SIDE, SIDE))
    assert np.abs(same.astype(int) - lesion.astype(int)).mean() > 5


@pytest.mark.parametrize("kind", DRAWN)
@pytest.mark.parametrize("seed", range(6))
def test_what_is_drawn_is_a_picture(kind: str, seed: int) -> None:
    made = DRAWN[kind](np.random.default_rng(seed), 200)
    assert (made.shape, made.dtype) == ((200, 200, 3), np.uint8)


def test_own_photographs_and_lesions_are_taken(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    red = np.full((300, 200, 3), (0, 0, 255), np.uint8)
    cv2.imwrite(str(tmp_path / "photos" / "red.png"), red)
    words = ["--photographs", tmp_path / "photos", "--data", folder]
    write("--out", tmp_path / "out", "--each", 8, "--size", SIDE, *words)
    photographs = sorted((tmp_path / "out" / "images").glob("photograph_*"))
    assert any((cv2.imread(str(file)) == (0, 0, 255)).all() for file in photographs)


def test_a_folder_that_is_not_empty_is_left_alone(folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["--out", str(folder)])
    assert (result.exit_code, "new or empty" in result.stderr) == (2, True)
    result = CliRunner().invoke(
        command, ["--out", str(tmp_path / "new"), "--photographs", str(tmp_path)]
    )
    assert (result.exit_code, "has no photographs" in result.stderr) == (2, True)
