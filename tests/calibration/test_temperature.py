"""A temperature that is put in is found again, and no order of scores changes by it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.temperature import (
    calibration_error,
    fit_temperature,
    negative_log_likelihood,
)
from runtime.decision import softmax, temper


def overconfident(temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from true probabilities, and what a network says that sharpens them."""
    rng = np.random.default_rng(seed)
    true = softmax(rng.normal(0, 1.5, (4000, 3)))
    targets = (rng.random((4000, 1)) > np.cumsum(true, axis=1)).sum(axis=1)
    return temper(true, 1 / temperature), targets


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7, 3.0])
def test_a_known_temperature_is_found(temperature: float) -> None:
    probabilities, targets = overconfident(temperature)
    fitted = fit_temperature(probabilities, targets)
    assert fitted == pytest.approx(temperature, rel=0.08)
    after = temper(probabilities, fitted)
    best = negative_log_likelihood(after, targets)
    assert best <= negative_log_likelihood(probabilities, targets) + 1e-9
    for other in (fitted * 1.1, fitted / 1.1):
        assert best <= negative_log_likelihood(temper(probabilities, other), targets)
    assert calibration_error(after[:, 0], targets == 0) < 0.03
    if temperature in (0.5, 3.0):
        assert calibration_error(probabilities[:, 0], targets == 0) > 0.05


@given(st.lists(st.floats(1e-6, 1 - 1e-6), min_size=2, max_size=40), st.floats(0.1, 10))
def test_of_two_classes_no_order_changes(scores: list[float], temperature: float) -> None:
    """So the area under the ROC curve is what it was, and a threshold only moves."""
    ordered = np.sort(np.array(scores))
    tempered = temper(np.stack([ordered, 1 - ordered], axis=1), temperature)
    assert np.all(np.diff(tempered[:, 0]) >= -1e-12)
    np.testing.assert_allclose(tempered.sum(axis=1), 1)
    assert np.all((tempered[:, 0] >= 0.5 - 1e-9) == (ordered >= 0.5 - 1e-9))


def test_the_likelihood_of_what_was_called_impossible_is_finite() -> None:
    loss = negative_log_likelihood(np.array([[0.0, 1.0]]), np.array([0]))
    assert 100 < loss < np.inf


def test_calibration_error_by_hand() -> None:
    said = np.array([0.1] * 10 + [0.9] * 10)
    came = np.array([True] * 1 + [False] * 9 + [True] * 5 + [False] * 5)
    assert calibration_error(said, came) == pytest.approx((10 * 0.0 + 10 * 0.4) / 20)
    assert calibration_error(np.array([1.0]), np.array([True])) == 0
