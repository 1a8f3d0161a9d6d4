"""What a bundle says of diseases that it was never shown, and of what is no skin at all.

It has no class for them, and its networks still put them into one. Whether that is dangerous
depends on what they are, so these images are in no figure; but how many of them are called
positive is told, and how many are decided when the bundle may abstain.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from calibration.intervals import share_fields
from calibration.judged import Judged


@dataclass(frozen=True, slots=True)
class Stranger:
    label: str
    n: int
    scored: int
    mean_score: float | None
    called: int | None  # at or above the threshold, whether acted on or not; None without one
    decided: int  # neither rejected nor abstained on
    likeliest: dict[str, int]  # images by the class that got the highest probability

    def as_dict(self) -> dict[str, object]:
        known = self.called is not None and self.scored
        share = share_fields(self.called or 0, self.scored) if known else None
        return {
            "label": self.label,
            "n": self.n,
            "scored": self.scored,
            "mean_score": self.mean_score,
            "called_positive": share,
            "decided": share_fields(self.decided, self.n),
            "likeliest": self.likeliest,
        }


def strangers_in(judged: Judged) -> list[Stranger]:
    """By label, the most frequent first."""
    labels = Counter(label for label in judged.table.labels if label is not None)
    found = []
    for label, count in labels.most_common():
        rows = [row for row, other in enumerate(judged.table.labels) if other == label]
        part = judged.select([judged.table.ids[row] for row in rows])
        scores = part.scores[part.scored]
        results = [j.result for j in part.judgements if j.result and j.result.score is not None]
        decisions = [
            r.score >= r.threshold
            for r in results
            if r.score is not None and r.threshold is not None
        ]
        tops = part.probabilities[part.scored].argmax(axis=1)
        likeliest = Counter(part.classes[code] for code in tops)
        found.append(
            Stranger(
                label,
                count,
                len(scores),
                round(float(np.mean(scores)), 6) if len(scores) else None,
                sum(decisions) if len(decisions) == len(scores) else None,
                part.statuses.count("ok"),
                {name: likeliest[name] for name in part.classes},
            )
        )
    return found
