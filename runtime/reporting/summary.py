"""What a report keeps of a scan while it reads it: counters, histograms and the 200 top records.

Ten thousand records or ten million, the memory is the same.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from dataclasses import dataclass, field

from runtime.record import Result
from runtime.reporting.wording import group_of

TOP = 200
LISTED = 500
SCORE_BINS = 50
SPREAD_BINS = 25
SPREAD_LIMIT = 0.5  # no standard deviation of numbers in 0…1 is larger
TIME_STEP = 1.05  # neighbouring time bins differ by 5%, and so may a percentile read from them
UNDECIDED = ("error", "rejected", "abstained")


@dataclass
class Times:
    """Percentiles of any number of times from logarithmic bins."""

    bins: Counter[int] = field(default_factory=Counter)
    largest: float = 0.0

    def add(self, milliseconds: float) -> None:
        self.bins[round(math.log(max(milliseconds, 1e-3), TIME_STEP))] += 1
        self.largest = max(self.largest, milliseconds)

    def percentile(self, share: float) -> float:
        wanted, seen = share * self.bins.total(), 0
        for index in sorted(self.bins):
            seen += self.bins[index]
            if seen >= wanted:
                return min(float(TIME_STEP**index), self.largest)
        return self.largest


@dataclass
class Mean:
    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.total += value
        self.count += 1

    @property
    def value(self) -> float:
        return self.total / self.count if self.count else 0.0


@dataclass
class Summary:
    groups: Counter[str] = field(default_factory=Counter)
    decided_scores: list[int] = field(default_factory=lambda: [0] * SCORE_BINS)
    undecided_scores: list[int] = field(default_factory=lambda: [0] * SCORE_BINS)
    spread: Counter[tuple[int, int]] = field(default_factory=Counter)  # score bin, spread bin
    classes: Counter[str] = field(default_factory=Counter)
    times: Times = field(default_factory=Times)
    stages: dict[str, Mean] = field(default_factory=dict)
    undecided: dict[str, list[Result]] = field(default_factory=lambda: {k: [] for k in UNDECIDED})
    first: Result | None = None
    threshold: float | None = None
    scored: int = 0
    unreadable: int = 0
    _best: list[tuple[float, int, Result]] = field(default_factory=list)

    def add(self, result: Result | None) -> None:
        """Count one record; None stands for a line that is no record."""
        if result is None:
            self.unreadable += 1
            return
        self.first = self.first or result
        group = group_of(result)
        self.groups[group] += 1
        if group in UNDECIDED and len(self.undecided[group]) < LISTED:
            self.undecided[group].append(result)
        if self.threshold is None:
            self.threshold = result.threshold
        self._add_score(result)
        self._add_times(result)

    @property
    def total(self) -> int:
        return self.groups.total()

    def top(self) -> list[Result]:
        """The highest scores first; of equal scores, the one recorded first."""
        return [result for _, _, result in sorted(self._best, key=lambda best: best[:2])[::-1]]

    def listed(self) -> list[Result]:
        """Records without a decision, errors first, as many as a page can hold."""
        rows = [result for group in UNDECIDED for result in self.undecided[group]]
        return rows[:LISTED]

    def _add_score(self, result: Result) -> None:
        if result.probabilities:
            self.classes[max(result.probabilities, key=result.probabilities.__getitem__)] += 1
        if result.score is None:
            return
        self.scored += 1
        column = _bin(result.score, 1.0, SCORE_BINS)
        (self.decided_scores if result.status == "ok" else self.undecided_scores)[column] += 1
        if result.disagreement is not None:
            self.spread[column, _bin(result.disagreement, SPREAD_LIMIT, SPREAD_BINS)] += 1
        entry = (result.score, -self.total, result)  # the count is unique: results never compared
        if len(self._best) < TOP:
            heapq.heappush(self._best, entry)
        else:
            heapq.heappushpop(self._best, entry)

    def _add_times(self, result: Result) -> None:
        for stage, value in result.timing_ms.items():
            self.stages.setdefault(stage, Mean()).add(value)
        if "total" in result.timing_ms:
            self.times.add(result.timing_ms["total"])


def _bin(value: float, limit: float, bins: int) -> int:
    return min(max(int(value / limit * bins), 0), bins - 1)
