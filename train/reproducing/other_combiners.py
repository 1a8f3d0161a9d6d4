"""Other ways to join members that a paper compares its own with, from scikit-learn.

Each is fitted on the out-of-fold predictions of all folds but one and asked about that one. None of
them is exported: they are here to be compared with.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
AVERAGE = "average"
OTHERS = (AVERAGE, "svc", "random_forest", "extra_trees", "knn", "gbdt")


def joined(how: str, members: Floats, targets: Codes, folds: Codes, seed: int) -> Floats:
    """`members` is images × members × classes; gives images × classes."""
    if how == AVERAGE:
        return members.mean(axis=1)
    flat, together = members.reshape(len(members), -1), np.zeros(members[:, 0].shape)
    for fold in np.unique(folds):
        here = folds == fold
        fitted = _estimator(how, seed).fit(flat[~here], targets[~here])
        together[np.ix_(here, fitted.classes_)] = _probabilities(fitted, flat[here])
    return together


def _estimator(how: str, seed: int) -> Any:
    from sklearn.ensemble import (
        ExtraTreesClassifier,
        GradientBoostingClassifier,
        RandomForestClassifier,
    )
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    return {
        "svc": lambda: SVC(decision_function_shape="ovr"),
        "random_forest": lambda: RandomForestClassifier(random_state=seed),
        "extra_trees": lambda: ExtraTreesClassifier(random_state=seed),
        "knn": KNeighborsClassifier,
        "gbdt": lambda: GradientBoostingClassifier(random_state=seed),
    }[how]()


def _probabilities(fitted: Any, flat: Floats) -> Floats:
    """A support vector machine has margins alone: ordered like probabilities, and with the same
    class first."""
    if hasattr(fitted, "predict_proba"):
        said: Floats = fitted.predict_proba(flat)
        return said
    margins = fitted.decision_function(flat)
    if margins.ndim == 1:
        margins = np.stack([-margins, margins], axis=1)
    sure = 1 / (1 + np.exp(-margins))
    shares: Floats = sure / sure.sum(axis=1, keepdims=True)
    return shares
