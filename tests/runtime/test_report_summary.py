"""What a report keeps of a scan, how it words it, and whether its colours can be read."""

from __future__ import annotations

import re
from importlib import resources

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.record import Result
from runtime.reporting.summary import TOP, Summary
from runtime.reporting.wording import score_and_threshold


def record(index: int, **fields: object) -> Result:
    return Result.model_validate({"status": "ok", "source": f"{index}.jpg", **fields})


def test_the_highest_scores_come_first_and_ties_in_the_order_of_the_scan() -> None:
    summary = Summary()
    scores = np.random.default_rng(3).permutation(np.repeat(np.linspace(0, 1, 300), 2))
    results = [record(index, score=float(score)) for index, score in enumerate(scores)]
    for result in results:
        summary.add(result)
    wanted = sorted(results, key=lambda result: -(result.score or 0))[:TOP]  # sorted is stable
    assert [result.source for result in summary.top()] == [result.source for result in wanted]


def test_percentiles_are_within_the_width_of_a_bin() -> None:
    summary = Summary()
    values = np.random.default_rng(1).gamma(4.0, 12.0, 5000) + 1
    for index, value in enumerate(values):
        summary.add(record(index, timing_ms={"total": float(value)}))
    for share in (0.5, 0.95):
        assert summary.times.percentile(share) == pytest.approx(
            np.quantile(values, share), rel=0.05
        )
    assert summary.times.largest == values.max()


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_score_below_the_threshold_never_reads_like_it(score: float, threshold: float) -> None:
    shown, limit = score_and_threshold(score, threshold)
    assert float(shown) == pytest.approx(score, abs=6e-4)
    if abs(score - threshold) > 1e-8:
        assert shown != limit


def luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_has_enough_contrast(scheme: int) -> None:
    style = (resources.files("runtime.reporting") / "style.css").read_text(encoding="utf-8")
    palettes = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", palettes[scheme]))
    pairs = [(text, ground) for text in ("ink", "soft", "accent")
             for ground in ("paper", "sheet", "wash")]  # fmt: skip
    for text, ground in [*pairs, ("on-accent", "accent")]:
        low, high = sorted((luminance(colours[text]), luminance(colours[ground])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)
