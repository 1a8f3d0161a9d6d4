"""Each measure moves the way its name says, and is a number for any frame."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.acquisition import ACQUISITION
from runtime import demo
from runtime.bundle import QualityLimit
from runtime.bundle_files import load_bundle
from runtime.host_chain import HostChain
from runtime.lesion import Box, Lesion, find_lesion
from runtime.quality import MEASURES, OF_EVERY_FRAME, measure_quality
from tests.bundle_factory import picture
from tests.runtime.spoilt import MISPLACED, defocused, exchanged, hairy, moved, rimmed

WHOLE = Lesion(np.ones((4, 4), np.uint8), Box(0, 0, 640, 480), 1.0, True)


def measured(frame: np.ndarray, lesion: Lesion | None = None) -> dict[str, float]:
    return measure_quality(frame, lesion)


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([0, 128, 255, None]))
def test_every_frame_has_numbers(height: int, width: int, level: int | None) -> None:
    frame = np.full((height, width, 3), level or 0, dtype=np.uint8)
    if level is None:
        frame = np.random.default_rng(0).integers(0, 256, frame.shape, dtype=np.uint8)
    measures = measured(frame)
    assert measures.keys() == OF_EVERY_FRAME.keys()
    assert measures.pop("short_side") == min(height, width)
    assert all(0 <= value <= 1 for value in measures.values())


def test_blur_lowers_focus_step_by_step() -> None:
    sharp = picture(480, 640)
    seen = [measured(sharp)["focus"]]
    seen += [measured(cv2.GaussianBlur(sharp, (0, 0), sigma))["focus"] for sigma in (2, 4, 8)]
    assert seen == sorted(seen, reverse=True)
    assert seen[0] > 2 * seen[-1]


def test_focus_does_not_move_with_light_and_contrast() -> None:
    sharp = cv2.GaussianBlur(picture(480, 640), (0, 0), 2)
    dim = (sharp * 0.5 + 40).astype(np.uint8)
    assert measured(dim)["focus"] == pytest.approx(measured(sharp)["focus"], abs=0.06)


def test_light() -> None:
    frame = picture(480, 640)
    brighter = measured(cv2.add(frame, (40, 40, 40, 0)))
    assert brighter["exposure"] == pytest.approx(measured(frame)["exposure"] + 40 / 255, abs=0.02)
    assert measured(np.full_like(frame, 255))["bright_clipped"] == 1
    assert measured(np.zeros_like(frame))["dark_clipped"] == 1
    assert measured(frame)["dark_clipped"] == measured(frame)["bright_clipped"] == 0


def test_contrast() -> None:
    frame = picture(480, 640)
    assert measured(frame // 2 + 60)["contrast"] < 0.6 * measured(frame)["contrast"]
    assert measured(np.full_like(frame, 90))["contrast"] == 0


def test_glare_is_small_bright_and_without_colour() -> None:
    frame = picture(480, 640)
    assert measured(frame)["glare"] == 0
    spots, patch, yellow = frame.copy(), frame.copy(), frame.copy()
    for place in range(200, 440, 40):
        cv2.circle(spots, (place, 240), 6, (250, 250, 250), cv2.FILLED)
        cv2.circle(yellow, (place, 240), 6, (60, 250, 250), cv2.FILLED)
    patch[:] = 250  # an overexposed frame is not glare
    assert measured(spots, WHOLE)["glare"] > 0.001
    assert measured(yellow, WHOLE)["glare"] == 0
    assert measured(patch, WHOLE)["glare"] == 0


def test_the_dark_rim_of_the_optics_is_no_dark_picture() -> None:
    frame = picture(480, 640)
    rim = frame.copy()
    rim[:60], rim[-60:], rim[:, :60], rim[:, -60:] = 0, 0, 0, 0
    before, after = measured(frame), measured(rim)
    assert after["dark_rim"] == pytest.approx(1 - 360 * 520 / (480 * 640), abs=0.03)
    assert before["dark_rim"] == 0
    of_the_middle = before.keys() - {"dark_rim", "hair"}
    assert {name: after[name] for name in of_the_middle} == pytest.approx(
        {name: before[name] for name in of_the_middle}, abs=1e-6
    )


def test_a_dark_lesion_is_no_rim() -> None:
    assert measured(picture(480, 640, colour=(10, 10, 10)))["dark_rim"] == 0


def test_the_lesion_is_looked_at_where_it_is() -> None:
    frame = picture(480, 640)
    frame[:100, :100] = 255
    corner = Lesion(np.ones((4, 4), np.uint8), Box(0, 0, 80, 80), 0.02, True)
    assert measured(frame)["bright_clipped"] == 0
    assert measured(frame, corner)["bright_clipped"] > 0.9


def phantom(index: int) -> np.ndarray:
    from train.phantom.compose import make_phantom

    return make_phantom(3, index, (450, 600)).image


@pytest.mark.parametrize("direction", range(4))
def test_motion_is_blur_along_a_line(direction: int) -> None:
    class Along:
        def uniform(self, low: float, high: float) -> float:
            return 45.0 * direction

    frame = phantom(0)
    still, smeared = measured(frame)["motion"], measured(moved(frame, Along()))["motion"]  # type: ignore[arg-type]
    assert smeared > still + 0.2
    rng = np.random.default_rng(0)
    assert measured(defocused(frame, rng))["motion"] < smeared


def test_hair_is_long_thin_and_dark() -> None:
    from train.phantom.compose import make_phantom

    found, drawn = [], []
    for index in range(40):
        one = make_phantom(5, index, (450, 600))
        found.append(measured(one.image)["hair"])
        drawn.append(float(one.hair_mask.mean()))
    dense = np.array(drawn) > np.median(drawn)
    assert np.mean(np.array(found)[dense]) > 2 * np.mean(np.array(found)[~dense])
    bald = picture(450, 600)
    assert measured(bald)["hair"] == 0
    assert measured(hairy(bald, np.random.default_rng(0)))["hair"] > 0.3


def test_skin_has_the_colours_of_skin() -> None:
    for index in range(18):
        assert measured(phantom(index))["skin"] > 0.7
    meadow = np.full((200, 300, 3), (40, 160, 60), np.uint8)
    assert measured(meadow)["skin"] == 0
    noise = np.random.default_rng(0).normal(128, 8, (480, 640, 3)).astype(np.uint8)
    assert measured(noise)["skin"] == 0
    tan = np.full((200, 300, 3), (90, 130, 190), np.uint8)
    assert measured(np.repeat(tan.mean(2, keepdims=True), 3, 2).astype(np.uint8))["skin"] == 0
    assert measured(tan)["skin"] == 1
    assert measured(exchanged(tan, np.random.default_rng(0)))["skin"] == 0


def test_how_the_lesion_lies() -> None:
    mask = np.zeros((10, 10), np.uint8)
    mask[:5, :5] = 1
    lesion = find_lesion(mask, 480, 640, next_largest=0.2)
    measures = measured(picture(480, 640), lesion)
    assert measures.keys() == MEASURES.keys()
    assert measures["lesion_area"] == 0.25
    assert measures["lesion_at_border"] == pytest.approx(9 / (2 * np.sqrt(np.pi * 25)))
    assert measures["next_lesion"] == 0.2


@pytest.mark.parametrize("radius", [8, 25, 60])
def test_half_a_lesion_is_noticed_however_large_it_is(radius: int) -> None:
    limit = QualityLimit(**ACQUISITION["lesion_at_border"])

    def at_border(middle: int) -> float:
        mask = cv2.circle(np.zeros((160, 160), np.uint8), (middle, 80), radius, 1, cv2.FILLED)
        return measured(picture(160, 160), find_lesion(mask, 160, 160))["lesion_at_border"]

    assert at_border(80) == 0
    assert 0.42 < at_border(0) < 0.5
    assert limit.advises(at_border(0))
    assert not limit.advises(at_border(radius - 2)), "it is nearly whole"
    assert limit.excludes(at_border(-3 * radius // 4)), "the smaller part of it"


def test_what_fills_the_frame_has_no_other_outline() -> None:
    whole = np.ones((160, 160), np.uint8)
    lesion = find_lesion(whole, 160, 160)
    assert measured(picture(160, 160), lesion)["lesion_at_border"] == 1


@pytest.mark.parametrize("name", list(MISPLACED))
def test_lesions_that_lie_wrong(name: str) -> None:
    """By the demo bundle's segmenter, as a bundle's users have it."""
    spoil, meant = MISPLACED[name]
    limit = QualityLimit(**ACQUISITION[meant])
    image = phantom(1)
    with HostChain(load_bundle(demo.BUNDLE)) as chain:
        seen = chain.look(image)
        assert seen.lesion is not None
        assert not limit.advises(seen.quality[meant])
        spoilt = chain.look(spoil(image, seen.lesion.box))
    assert spoilt.hints
    assert meant not in spoilt.quality or limit.advises(spoilt.quality[meant])


def test_a_circle_in_the_dark() -> None:
    seen = measured(rimmed(phantom(1), np.random.default_rng(0)))
    assert seen["dark_rim"] > 0.5
