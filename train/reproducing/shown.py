"""Figures as they are printed in a table."""

from __future__ import annotations

import numpy as np


def with_interval(value: float, low: float, high: float) -> str:
    return f"{value:.3f} ({low:.3f}–{high:.3f})"


def per_cent_with_interval(value: float, low: float, high: float) -> str:
    return f"{100 * value:.1f} ({100 * low:.1f}–{100 * high:.1f})"


def spread(values: list[float]) -> str:
    """Mean and deviation over the folds, in per cent."""
    numbers = 100 * np.asarray(values)
    deviation = float(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0
    return f"{numbers.mean():.2f}±{deviation:.2f}"


def change_with_interval(value: float, low: float, high: float) -> str:
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
