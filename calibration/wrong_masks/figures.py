"""What becomes of decisions and scores where the chain is given another mask than its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from calibration.evaluation.bootstrap import Bootstrap, Estimate, Family
from calibration.evaluation.ranking import Ranking, area
from calibration.wrong_masks.changes import OWN
from runtime.reporting.wording import plain

if TYPE_CHECKING:
    from calibration.evaluation.cases import Cases
    from calibration.judged import Judged
    from runtime.bundle import QualityLimit
    from runtime.record import Result

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
Limits = Mapping[str, "QualityLimit"]

NOTHING = Estimate(None, None, None, 0)


@dataclass(frozen=True, slots=True)
class Turned:
    """Of `decided` images that are decided with both masks, how many otherwise than before."""

    to_refer: int
    away: int
    positives_away: int
    decided: int


@dataclass(frozen=True, slots=True)
class MaskRow:
    name: str
    statuses: dict[str, int]
    why: dict[str, int]  # why images are not decided: one can have several reasons
    auc: Estimate
    difference: Estimate  # from the own mask's AUC, on the same images
    turned: Turned
    median_move: float | None  # of the score, up or down

    @property
    def images(self) -> int:
        return sum(self.statuses.values())

    def as_dict(self) -> dict[str, object]:
        turned, move = self.turned, self.median_move
        return {
            "mask": self.name,
            "n": self.images,
            "statuses": self.statuses,
            "why": self.why,
            "auc": self.auc.as_dict(),
            "difference": self.difference.as_dict(),
            "turned": {
                "to_refer": turned.to_refer,
                "away": turned.away,
                "positives_away": turned.positives_away,
                "n": turned.decided,
            },
            "median_move": None if move is None else round(move, 6),
        }


@dataclass(frozen=True, slots=True)
class WrongMasks:
    """The first row is the own mask's. The others may lack images, which no mask was drawn for."""

    rows: tuple[MaskRow, ...]
    positives: int

    @property
    def own(self) -> MaskRow:
        return self.rows[0]

    def as_dict(self) -> dict[str, object]:
        rows = [row.as_dict() for row in self.rows]
        return {"images": self.own.images, "positives": self.positives, "rows": rows}


def compare(
    cases: Cases, bootstrap: Bootstrap, rejudged: Mapping[str, Judged], limits: Limits
) -> WrongMasks:
    """`rejudged` by the name of the mask, `OWN` among them; their images are among the cases."""
    place = {name: row for row, name in enumerate(cases.judged.table.ids)}
    rows = []
    for name, judged in rejudged.items():
        ids = judged.table.ids
        own = rejudged[OWN].select(ids)
        rows.append(_row(name, own, judged, np.array([place[i] for i in ids]), bootstrap, limits))
    return WrongMasks(tuple(rows), int(rejudged[OWN].malignant.sum()))


def _row(
    name: str, own: Judged, wrong: Judged, places: Rows, bootstrap: Bootstrap, limits: Limits
) -> MaskRow:
    reasons = (why for one in wrong.judgements for why in _why(one.result, limits))
    both = own.scored & wrong.scored
    areas, move = {"auc": NOTHING, "difference": NOTHING}, None
    if both.any():
        pair = own.scores[both], wrong.scores[both]
        areas = bootstrap.estimate(_paired_areas(places[both], own.malignant[both], *pair))
        move = float(np.median(np.abs(pair[1] - pair[0])))
    return MaskRow(
        name=name,
        statuses=dict(Counter(wrong.statuses)),
        why=dict(Counter(reasons).most_common()),
        turned=_turned(own, wrong),
        median_move=move,
        **areas,
    )


def _paired_areas(rows: Rows, positive: Flags, own: Floats, wrong: Floats) -> Family:
    rankings = Ranking(positive, own), Ranking(positive, wrong)

    def of(weights: Floats) -> dict[str, Floats]:
        before, after = (area(*ranking.rates(weights)) for ranking in rankings)
        return {"auc": after, "difference": after - before}

    return Family(rows, {"auc": len(rows), "difference": len(rows)}, of)


def _why(result: Result | None, limits: Limits) -> list[str]:
    """Reasons without their numbers, so that images can share one."""
    if result is None or result.status == "ok":
        return []
    if result.status == "rejected":
        measured = result.quality
        return [plain(k) for k, v in limits.items() if k in measured and v.excludes(measured[k])]
    return [reason.partition(":")[0] for reason in (result.reason or "").split("; ")]


def _turned(own: Judged, wrong: Judged) -> Turned:
    change = _referrals(wrong) - _referrals(own)  # NaN where one of the two is no decision
    away = change == -1
    return Turned(
        to_refer=int((change == 1).sum()),
        away=int(away.sum()),
        positives_away=int((away & own.malignant).sum()),
        decided=int(np.isfinite(change).sum()),
    )


def _referrals(judged: Judged) -> Floats:
    results = (judgement.result for judgement in judged.judgements)
    return np.array([np.nan if r is None or r.refer is None else float(r.refer) for r in results])
