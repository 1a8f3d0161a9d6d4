"""The palette is what docs/skin-tones.md says of it."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.evaluation.tone import GROUPS, LIMITS, tone_group, typology_angle
from calibration.skin.palette import nearest_tone, palette, toned
from tests.boundaries.source_tree import ROOT


def test_eighteen_tones_from_dark_to_light() -> None:
    tones = palette()
    assert "".join(tone.name for tone in tones) == "ABCDEFGHIJKLMNOPQR"
    lightness = [tone.lab[0] for tone in tones]
    assert lightness == sorted(lightness)
    steps = [
        float(np.linalg.norm(np.subtract(a.lab, b.lab)))
        for a, b in zip(tones[1:], tones, strict=False)
    ]
    assert min(steps) > 1.5, "two tones that nobody can tell apart"
    assert max(steps) < 6.5


def test_three_in_each_group_of_the_typology() -> None:
    groups = Counter(tone_group(typology_angle(*tone.lab)) for tone in palette())
    assert groups == dict.fromkeys(GROUPS, 3)


def test_they_lie_evenly_in_their_groups_and_on_the_curve_of_skin() -> None:
    ends = [-72.0, *reversed(LIMITS), 73.0]
    for place, tone in enumerate(palette()):
        lightness, red, yellow = tone.lab
        group, part = divmod(place, 3)
        low, high = ends[group], ends[group + 1]
        assert typology_angle(*tone.lab) == pytest.approx(
            low + (high - low) * (2 * part + 1) / 6, abs=0.5
        )
        assert yellow == pytest.approx(20 - 12 * ((lightness - 54) / 27) ** 2, abs=0.11)
        assert red == pytest.approx(12.5 - 7 * ((lightness - 48) / 30) ** 2, abs=0.11)


def test_the_document_has_the_same_tones() -> None:
    text = (ROOT / "docs" / "skin-tones.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| ([A-R]) \| ([\d.]+), ([\d.]+), ([\d.]+) \| (#\w{6}) \|", text, re.M)
    assert [(n, float(a), float(b), float(c), web) for n, a, b, c, web in told] == [
        (tone.name, *tone.lab, tone.web) for tone in palette()
    ]


@given(st.sampled_from(range(18)), st.floats(-0.6, 0.6), st.floats(-0.6, 0.6))
def test_the_nearest_of_what_is_almost_a_tone(place: int, light: float, red: float) -> None:
    tone = palette()[place]
    found, distance = nearest_tone((tone.lab[0] + light, tone.lab[1] + red, tone.lab[2]))
    assert found == tone
    assert distance == pytest.approx(np.hypot(light, red))
    assert toned(tone.name) == tone
    assert toned("S") is None
