"""The soak's own code, for some seconds; and what it says of runs that went wrong."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.faults.soak import FATES, KEPT, Pace, Seen, judge, started, watch
from tests.runtime.scans import bundle_at

NOT_CAPTURED = 409
DEVICE: dict[str, Any] = {
    "counts": {**dict.fromkeys(FATES, 1), "received": len(FATES), "openings": 1},
    "captures": {"p50": 30.0},
}


@pytest.mark.slow
def test_a_short_soak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = bundle_at(tmp_path / "bundle")
    with started(tmp_path, "synthetic:96x96@30", bundle) as process:
        samples, device, seen = watch(process, 20.0, Pace(look=1.0, capture=1.0))
    assert process.returncode == 0
    assert device["counts"]["received"] == sum(device["counts"][fate] for fate in FATES)
    assert seen.answers[KEPT] >= 5
    # A busy machine may at times have no picture that is new enough, and says so.
    assert seen.answers.keys() <= {KEPT, NOT_CAPTURED}
    assert seen.pictures > 20
    assert seen.broken == []
    assert judge(samples, device, seen) == int(seen.refused > 0), capsys.readouterr().out
    assert "not told by so short a run" in capsys.readouterr().out


def run(mb_an_hour: float, noise: float = 0.05, handles: float = 0.0) -> np.ndarray:
    """Half an hour, looked at every ten seconds."""
    seconds = np.arange(0.0, 1800.0, 10.0)
    memory = 290 + mb_an_hour * seconds / 3600
    memory += np.random.default_rng(1).normal(0, noise, len(seconds))
    return np.stack([seconds, memory, 40 + handles * seconds / 1800], axis=1)


def well(**changes: Any) -> Seen:
    return Seen(**{"answers": Counter({KEPT: 300}), "pictures": 1000, **changes})


@pytest.mark.parametrize(
    ("samples", "seen", "received", "ends", "says"),
    [
        (run(0.0), well(), 4, 0, "flat"),
        (run(5.0), well(), 4, 1, "it grows"),
        (run(0.5, noise=3.0), well(), 4, 0, "not told by so short a run"),
        (run(0.0, handles=9.0), well(), 4, 1, "Handles: +"),
        (run(0.0), well(), 5, 1, "unaccounted for: 1"),
        (run(0.0), well(answers=Counter({KEPT: 299, 507: 1})), 4, 1, "1 refused"),
        (run(0.0), well(answers=Counter()), 4, 1, "0 kept"),
        (run(0.0), well(pictures=0), 4, 1, "0 pictures"),
        (run(0.0), well(broken=["The live picture ended."]), 4, 1, "The live picture ended."),
    ],
)
def test_what_the_soak_says(
    capsys: pytest.CaptureFixture[str],
    samples: np.ndarray,
    seen: Seen,
    received: int,
    ends: int,
    says: str,
) -> None:
    device = {**DEVICE, "counts": {**DEVICE["counts"], "received": received}}
    assert judge(samples, device, seen) == ends
    assert says in capsys.readouterr().out
