"""Phantoms are the data of every other test: they must repeat, fit together and be learnable."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import UsageError
from train.data.artefacts import ARTEFACTS
from train.phantom.artefacts import draw_ink, draw_sticker
from train.phantom.compose import Phantom, make_phantom
from train.phantom.hair import draw_hair
from train.phantom.layout import FEWEST, assign_parts
from train.phantom.lesion import draw_shape
from train.phantom.noise import Bits, Field, Grid
from train.phantom.recording import AWAY, LESIONS, NEAR, RATE, SECONDS, SHAPE
from train.phantom.ruler import draw_ruler
from train.phantom.skin import tone_colour
from train.phantom.traits import CUES, LABELS, TONES, draw_traits, label_of
from train.phantoms import command, write_phantoms

SIDE = 64
Painter = Callable[[np.random.Generator, Grid, Field], tuple[Field, Bits]]


def same(one: Phantom, other: Phantom) -> bool:
    names = ("image", "mask", "hair_mask", "ruler_mask")
    arrays = all(np.array_equal(getattr(one, n), getattr(other, n)) for n in names)
    facts = ("label", "age", "sex", "site", "tone", "artefacts", "cues")
    return arrays and all(getattr(one, n) == getattr(other, n) for n in facts)


def digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def pixels(path: Path) -> Bits:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), np.uint8)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantoms") / "set"
    write_phantoms(out, count=30, size=SIDE, seed=4)
    return out


# --- one phantom ---------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**40), index=st.integers(0, 10**6))
@settings(max_examples=12, deadline=None)
def test_a_phantom_repeats_and_its_neighbours_differ(seed: int, index: int) -> None:
    first = make_phantom(seed, index, SIDE)
    assert same(first, make_phantom(seed, index, SIDE))
    assert not np.array_equal(first.image, make_phantom(seed + 1, index, SIDE).image)
    assert not np.array_equal(first.image, make_phantom(seed, index + 1, SIDE).image)


@given(index=st.integers(0, 10**6), height=st.integers(48, 120), width=st.integers(48, 120))
@settings(max_examples=25, deadline=None)
def test_images_and_masks_fit_at_any_size(index: int, height: int, width: int) -> None:
    phantom = make_phantom(1, index, (height, width))
    assert phantom.image.shape == (height, width, 3)
    assert phantom.image.dtype == np.uint8
    for mask in (phantom.mask, phantom.hair_mask, phantom.ruler_mask):
        assert mask.shape == (height, width)
        assert mask.dtype == np.uint8
        assert set(np.unique(mask)) <= {0, 255}
    assert 0.005 < (phantom.mask > 0).mean() < 0.85
    assert 1 <= phantom.tone <= TONES
    assert phantom.artefacts["hair"] == bool(phantom.hair_mask.any())
    assert phantom.artefacts["ruler"] == bool(phantom.ruler_mask.any())


@pytest.mark.parametrize("size", [0, 10, (64, 47), 5000])
def test_an_impossible_size_is_refused(size: int | tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="cannot be drawn at this size"):
        make_phantom(0, 0, size)


def test_a_lesion_is_one_piece_without_holes_and_its_border_is_the_half_level() -> None:
    grid = Grid(96, 128)
    for index in range(30):
        rng = np.random.default_rng([7, index])
        shape = draw_shape(rng, grid, draw_traits(rng, LABELS[index % 3]))
        assert np.array_equal(shape.mask > 0, shape.alpha >= 0.5)
        assert cv2.connectedComponents(shape.mask, connectivity=4)[0] == 2
        outside = cv2.copyMakeBorder(255 - shape.mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=255)
        assert cv2.connectedComponents(outside, connectivity=4)[0] == 2


def test_the_lesion_is_darker_than_the_skin_around_it() -> None:
    darker = []
    for index in range(40):
        phantom = make_phantom(2, index, SIDE)
        blue = phantom.image[..., 0]
        darker.append(blue[phantom.mask > 0].mean() < blue[phantom.mask == 0].mean())
    # Not all: a round tube's black rim can outweigh the skin, and veils and scars are pale.
    assert np.mean(darker) > 0.75


@pytest.mark.parametrize("draw", [draw_hair, draw_ruler])
def test_outside_its_mask_an_artefact_leaves_every_pixel_alone(draw: Painter) -> None:
    grid = Grid(80, 100)
    scene = np.random.default_rng(0).random((80, 100, 3), dtype=np.float32)
    touched = 0
    for index in range(12):
        image, mask = draw(np.random.default_rng(index), grid, scene)
        changed = np.any(image != scene, axis=2)
        assert not np.any(changed & (mask == 0))
        assert np.array_equal(changed, mask > 0)
        touched += int(changed.sum())
    assert touched > 0


def test_ink_and_stickers_stay_off_the_lesion() -> None:
    grid = Grid(96, 96)
    scene = np.full((96, 96, 3), 0.7, np.float32)
    lesion = np.zeros((96, 96), np.uint8)
    lesion[30:66, 30:66] = 255
    for index in range(20):
        inked = draw_ink(np.random.default_rng(index), grid, scene, lesion)
        assert np.abs(inked - scene)[lesion > 0].max() < 0.05
        covered = draw_sticker(np.random.default_rng(index), grid, scene, lesion)
        assert covered is None or np.array_equal(covered[lesion > 0], scene[lesion > 0])
    everywhere = np.full_like(lesion, 255)
    assert draw_sticker(np.random.default_rng(0), grid, scene, everywhere) is None


# --- the series ----------------------------------------------------------------------------------


def test_eighteen_tones_occur_and_each_is_darker_than_the_last() -> None:
    rng = np.random.default_rng(0)
    seen = {draw_traits(rng, "nevus").tone for _ in range(600)}
    assert seen == set(range(1, TONES + 1))
    brightness = [float(tone_colour(tone).mean()) for tone in range(1, TONES + 1)]
    assert all(a - b > 0.005 for a, b in pairwise(brightness))


def test_every_cue_occurs_in_every_class_and_none_decides() -> None:
    for odds in CUES.values():
        assert all(0.03 <= p <= 0.7 for p in odds)
        assert max(odds) - min(odds) < 0.6


def test_cues_together_tell_more_than_the_best_of_them() -> None:
    rng = np.random.default_rng(3)
    labels = np.arange(3000) % 3
    cues = np.array([list(draw_traits(rng, LABELS[k]).cues.values()) for k in labels])
    odds = np.array(list(CUES.values())).T  # class, cue
    evidence = cues @ np.log(odds).T + ~cues @ np.log(1 - odds).T
    together = np.mean(evidence.argmax(axis=1) == labels)
    alone = []
    for cue in range(len(CUES)):
        single = np.where(cues[:, [cue]], odds[:, cue], 1 - odds[:, cue]).argmax(axis=1)
        alone.append(np.mean(single == labels))
    assert max(alone) < 0.6
    assert max(alone) + 0.1 < together < 0.95


@given(
    seed=st.integers(0, 2**32),
    count=st.integers(FEWEST, 90),
    fraction=st.floats(0.01, 0.99),
)
@settings(max_examples=80, deadline=None)
def test_every_class_is_in_both_splits(seed: int, count: int, fraction: float) -> None:
    parts = assign_parts(seed, count, fraction)
    for part in ("Training", "Validation"):
        there = {label_of(seed, index) for index in range(count) if parts[index] == part}
        assert there == set(LABELS)


# --- the data set on disk ------------------------------------------------------------------------


def test_the_files_of_isic_2017_are_there(written: Path) -> None:
    ids = []
    for part in ("Training", "Validation"):
        truth = table(written / f"ISIC-2017_{part}_Part3_GroundTruth.csv")
        assert list(truth[0]) == ["image_id", "melanoma", "seborrheic_keratosis"]
        metadata = table(written / f"ISIC-2017_{part}_Data_metadata.csv")
        assert list(metadata[0]) == ["image_id", "age_approximate", "sex"]
        assert [r["image_id"] for r in metadata] == [r["image_id"] for r in truth]
        names = {r["image_id"] for r in truth}
        images = {p.name for p in (written / f"ISIC-2017_{part}_Data").iterdir()}
        assert images == {f"{name}.jpg" for name in names}
        masks = {p.name for p in (written / f"ISIC-2017_{part}_Part1_GroundTruth").iterdir()}
        assert masks == {f"{name}_segmentation.png" for name in names}
        flags = {(r["melanoma"], r["seborrheic_keratosis"]) for r in truth}
        assert flags == {("1.0", "0.0"), ("0.0", "1.0"), ("0.0", "0.0")}
        for row in metadata:
            assert row["sex"] in {"male", "female", "unknown"}
            assert row["age_approximate"] == "unknown" or 0 <= int(row["age_approximate"]) <= 85
        ids += sorted(names)
    assert sorted(ids) == [f"ISIC_{9_000_000 + k}" for k in range(30)]
    assert {p.name for p in (written / "hair_masks").iterdir()} == {f"{i}_hair.png" for i in ids}
    assert {p.name for p in (written / "ruler_masks").iterdir()} == {f"{i}_ruler.png" for i in ids}
    assert not list(written.rglob("*.partial"))


def test_the_extra_tables_agree_with_the_masks(written: Path) -> None:
    artefacts = table(written / "artefacts.csv")
    assert ",".join(artefacts[0]) == (
        "image_id,dark_corner,hair,gel_border,gel_bubble,ruler,ink,patches"
    )
    assert tuple(artefacts[0])[1:] == ARTEFACTS
    for row in artefacts:
        for kind in ("hair", "ruler"):
            name = written / f"{kind}_masks" / f"{row['image_id']}_{kind}.png"
            mask = pixels(name)
            assert mask.shape == (SIDE, SIDE)
            assert bool(mask.any()) == (row[kind] == "1")
    labels = {r["image_id"]: r["label"] for r in table(written / "phantoms.csv")}
    for part in ("Training", "Validation"):
        for row in table(written / f"ISIC-2017_{part}_Part3_GroundTruth.csv"):
            assert (labels[row["image_id"]] == "melanoma") == (row["melanoma"] == "1.0")


def test_written_masks_are_the_ones_that_were_drawn(written: Path) -> None:
    for path in sorted(written.glob("*_Part1_GroundTruth/*.png"))[:5]:
        index = int(path.name[5:12]) - 9_000_000
        drawn = make_phantom(4, index, SIDE).mask
        assert np.array_equal(pixels(path), drawn)


def test_the_number_of_processes_changes_nothing(written: Path, tmp_path: Path) -> None:
    write_phantoms(tmp_path / "two", count=30, size=SIDE, seed=4, workers=2)
    assert digests(tmp_path / "two") == digests(written)
    write_phantoms(tmp_path / "other", count=30, size=SIDE, seed=5)
    assert digests(tmp_path / "other") != digests(written)


def test_without_its_last_image_a_data_set_has_no_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(path: Path, data: bytes) -> int:
        if "9000005" in path.name:
            raise OSError(28, "No space left on device")
        with path.open("wb") as stream:
            return stream.write(data)

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(UsageError, match="ISIC_9000005 could not be written") as caught:
        write_phantoms(tmp_path / "set", count=8, size=SIDE)
    assert caught.value.got == "No space left on device"
    assert not list(tmp_path.rglob("*.csv"))


# --- the command ---------------------------------------------------------------------------------


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(command, [str(word) for word in words])
    return result.exit_code, result.output


def test_the_command_writes_a_set_a_sheet_and_its_rate(tmp_path: Path) -> None:
    sheet = tmp_path / "look" / "sheet.png"
    code, output = run(
        "--count", 6, "--size", SIDE, "--out", tmp_path / "set", "--workers", 1, "--sheet", sheet
    )
    assert code == 0, output
    assert "training: 3 (1 melanoma, 1 seborrheic keratosis, 1 nevus)" in output
    assert "a second, 1 process" in output
    assert pixels(sheet).shape[1] == 7 * 224
    assert len(table(tmp_path / "set" / "artefacts.csv")) == 6


def test_help_shows_examples() -> None:
    code, output = run("--help")
    assert code == 0
    assert "dermedge phantoms --count 60 --out phantoms" in output


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    code, output = run("--count", 6, "--out", tmp_path)
    assert code == 2
    assert "is not empty" in output
    assert "try:" in output
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_as_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert run("--count", 6, "--out", tmp_path / "file")[0] == 2
    code, output = run("--count", 6, "--out", tmp_path / "file" / "below")
    assert code == 2
    assert "cannot be written" in output


def test_too_few_and_a_sheet_of_another_kind_are_refused(tmp_path: Path) -> None:
    code, output = run("--count", 5, "--out", tmp_path / "set")
    assert code == 2
    assert "--count 6" in output
    code, output = run("--count", 6, "--out", tmp_path / "set", "--sheet", tmp_path / "sheet.gif")
    assert code == 2
    assert "is a PNG" in output
    assert not (tmp_path / "set").exists()


def test_drawing_needs_no_torch() -> None:
    script = "import sys; sys.modules['torch'] = None; import train.phantoms"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_a_recording_shows_each_lesion_moving_and_at_rest(tmp_path: Path) -> None:
    recording = tmp_path / "new" / "hand.mp4"
    words = ["--count", str(FEWEST), "--size", "384", "--out", str(tmp_path / "P")]
    done = CliRunner().invoke(command, [*words, "--recording", str(recording)])
    assert done.exit_code == 0, done.output
    played = cv2.VideoCapture(str(recording))
    frames = []
    while (read := played.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2GRAY))
    assert frames[0].shape == SHAPE[::-1]
    assert len(frames) == min(LESIONS, FEWEST) * SECONDS * RATE
    first = frames[: int(SECONDS * RATE)]
    moved = [float(cv2.absdiff(one, other).mean()) for one, other in pairwise(first)]
    rest = moved[int(NEAR * len(first)) + 1 : int(AWAY * len(first)) - 1]
    assert min(moved[0], moved[-1]) > 2 * max(rest), "it comes and goes"
    assert max(rest) > 0, "no hand is quite still"
    refused = CliRunner().invoke(
        command, [*words[:-1], str(tmp_path / "Q"), "--recording", "x.avi"]
    )
    assert (refused.exit_code, "MP4" in refused.output) == (2, True)
