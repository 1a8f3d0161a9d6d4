"""Everything an evaluation found: what the JSON holds, and what page and terminal show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from calibration.evaluation.acquisition import Outside, outside_limits
from calibration.evaluation.bootstrap import LEVEL, Bootstrap, Estimate, groups_of
from calibration.evaluation.cases import Cases
from calibration.evaluation.families import (
    LEAST_SENSITIVITY,
    WANTED_SENSITIVITY,
    WANTED_SPECIFICITY,
    bins_for,
    calibration_figures,
    class_areas,
    decision_figures,
    mask_figures,
    ranking_figures,
    share_of,
)
from calibration.evaluation.masks import FAIR_JACCARD
from calibration.evaluation.prevalence import PREVALENCES, widened
from calibration.evaluation.risk import Risk, risk_of
from calibration.evaluation.strangers import Stranger, strangers_in
from calibration.evaluation.subgroups import FLOOR, Group, subgroups
from calibration.skin.by_tone import by_tone
from calibration.wrong_masks.figures import compare

if TYPE_CHECKING:
    from calibration.evaluation.leaks import Leaks
    from calibration.evaluation.masks import MaskScores
    from calibration.evaluation.selection import Selection
    from calibration.judged import Judged
    from calibration.skin.by_tone import ByTone
    from calibration.skin.telling import Told
    from calibration.wrong_masks.figures import WrongMasks
    from runtime.bundle_files import LoadedBundle
    from runtime.record import BackendRecord

SCHEMA = 1
FEW = 30  # positives: below it intervals span a quarter of the scale


@dataclass(frozen=True)
class Evaluation:
    bundles: tuple[LoadedBundle, ...]
    selection: Selection
    leaks: Leaks
    judged: Judged
    cases: Cases
    bootstrap: Bootstrap
    figures: dict[str, Estimate]
    groups: dict[str, list[Group]]
    strangers: list[Stranger]
    created: str
    tones: ByTone | None = None  # where it was asked for, as below
    wrong_masks: WrongMasks | None = None

    @property
    def pooled(self) -> bool:
        return len(self.bundles) > 1

    @property
    def shown(self) -> dict[str, Estimate]:
        """Figures for a list: without those that another one repeats, or a table of its own has."""
        score = self.judged.score
        repeated = f"auc.{score}" if self.judged.positive == (score,) else None
        return {k: v for k, v in self.figures.items() if "@" not in k and k != repeated}

    @cached_property
    def confusion(self) -> npt.NDArray[np.int64]:
        """Images by label (rows) and by the class that got the highest probability (columns)."""
        cases, classes = self.cases, len(self.judged.classes)
        said = cases.judged.probabilities[cases.rows].argmax(axis=1)
        matrix = np.zeros((classes, classes), dtype=np.int64)
        np.add.at(matrix, (cases.targets[cases.rows], said), 1)
        return matrix

    @cached_property
    def decisions(self) -> npt.NDArray[np.int64] | None:
        """Positives and others (rows), at or above the threshold and below (columns)."""
        if not self.cases.decides:
            return None
        rows = self.cases.rows
        positive, called = self.cases.malignant[rows], self.cases.called[rows]
        cells = [[(a & b).sum() for b in (called, ~called)] for a in (positive, ~positive)]
        return np.array(cells, dtype=np.int64)

    @cached_property
    def outcomes(self) -> dict[str, dict[str, int]]:
        """What a user would have seen, by label."""
        pairs = Counter(zip(self.cases.judged.table.labels, self.cases.outcomes, strict=True))
        kinds = sorted(set(self.cases.outcomes))
        return {name: {kind: pairs[name, kind] for kind in kinds} for name in self.judged.classes}

    @cached_property
    def backends(self) -> list[BackendRecord]:
        """What ran the networks, and in which precision; each way once."""
        found: list[BackendRecord] = []
        for judgement in self.judged.judgements:
            backend = judgement.result.backend if judgement.result is not None else None
            if backend is not None and backend not in found:
                found.append(backend)
        return found

    @cached_property
    def acquisition(self) -> list[Outside]:
        limits = self.bundles[0].spec.quality
        return outside_limits(self.cases.judged, self.cases.malignant, limits)

    @cached_property
    def warnings(self) -> list[str]:
        found = self.leaks.warnings(len(self.selection.table)) + self.leaks.notes
        counts = self.selection.known.counts()
        absent = [name for name, count in counts.items() if not count]
        if absent:
            found.append(f"No image is labelled {', '.join(absent)}: no AUC, and not in the mean.")
        if not self.cases.decides:
            found.append(
                "There is no threshold to hold the scores against: figures that need one are "
                "left out. `dermedge operate` fits it."
            )
        few = int(self.cases.malignant.sum())
        if few < FEW:
            found.append(f"Only {few} positive images: look at the intervals, not at the values.")
        missing = len(self.cases) - len(self.cases.rows)
        if missing:
            found.append(f"{missing:,} images have no score and are in no figure of scores.")
        return found

    def as_dict(self) -> dict[str, Any]:
        known = self.selection.known
        return {
            "schema": SCHEMA,
            "created": self.created,
            "bundles": [_bundle_facts(bundle) for bundle in self.bundles],
            "backends": [backend.model_dump() for backend in self.backends],
            "data": {
                "name": self.selection.table.name,
                "digest": self.selection.table.digest,
                "images_digest": self.selection.table.images_digest,
                "images": len(self.selection.table),
                "held_out_only": self.selection.held_out,
                "classes": known.counts(),
                "left_out": self.selection.left_out,
            },
            "warnings": self.warnings,
            "leakage": self.leaks.as_dict(),
            "metrics": {
                name: value.as_dict() for name, value in self.figures.items() if "@" not in name
            },
            "by_prevalence": [self._at_prevalence(share) for share in PREVALENCES]
            if self.cases.decides
            else [],
            "confusion": {
                "classes": list(self.judged.classes),
                "likeliest": self.confusion.tolist(),
                "decisions": None if self.decisions is None else self.decisions.tolist(),
            },
            "outcomes": self.outcomes,
            "risk_by_coverage": None if self.risk is None else self.risk.as_dict(),
            "acquisition": [row.as_dict() for row in self.acquisition],
            "subgroups": {k: [g.as_dict() for g in groups] for k, groups in self.groups.items()},
            "other_classes": [stranger.as_dict() for stranger in self.strangers],
            **({} if self.tones is None else {"tones": self.tones.as_dict()}),
            **({} if self.wrong_masks is None else {"wrong_masks": self.wrong_masks.as_dict()}),
            "method": self.method,
            "predictions": "predictions.csv",
        }

    @cached_property
    def risk(self) -> Risk | None:
        return risk_of(self.cases)

    @property
    def method(self) -> dict[str, float | int | str]:
        return {
            "interval": "percentile bootstrap, centred for ece; Wilson where a share is 0 or 1",
            "level": LEVEL,
            "resamples": self.bootstrap.resamples,
            "seed": self.bootstrap.seed,
            "groups": self.bootstrap.groups,
            "ece_bins": bins_for(len(self.cases.rows)),
            "ece_binning": "equal mass",
            "partial_auc_least_sensitivity": LEAST_SENSITIVITY,
            "specificity_at_sensitivity": WANTED_SENSITIVITY,
            "sensitivity_at_specificity": WANTED_SPECIFICITY,
            "jaccard_failed_below": FAIR_JACCARD,
            "subgroup_floor": FLOOR,
        }

    def _at_prevalence(self, share: float) -> dict[str, object]:
        values = {kind: self.figures[f"{kind}@{share:g}"].as_dict() for kind in ("ppv", "npv")}
        return {"prevalence": share, **values}


def evaluation_of(
    judged: Judged,
    masks: MaskScores,
    bundles: Sequence[LoadedBundle],
    selection: Selection,
    leaks: Leaks,
    told: Mapping[str, Told] | None = None,
    rejudged: Mapping[str, Judged] | None = None,
) -> Evaluation:
    """`told`: the tone of each image by its name, where figures by tone are asked for. `rejudged`:
    by the name of a mask, where images were judged with wrong ones."""
    place = {name: row for row, name in enumerate(judged.table.ids)}
    known = selection.known.ids
    cases = Cases(judged.select(known), masks.select([place[name] for name in known]))
    bootstrap = Bootstrap(groups_of(cases.judged.table))
    return Evaluation(
        bundles=tuple(bundles),
        selection=selection,
        leaks=leaks,
        judged=judged,
        cases=cases,
        bootstrap=bootstrap,
        figures=figures_of(cases, bootstrap),
        groups=subgroups(cases, bootstrap),
        strangers=strangers_in(judged.select(selection.strangers.ids)),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        tones=None if told is None else by_tone(cases, told),
        wrong_masks=None
        if rejudged is None
        else compare(cases, bootstrap, rejudged, bundles[0].spec.quality),
    )


def figures_of(cases: Cases, bootstrap: Bootstrap) -> dict[str, Estimate]:
    rows, judged = cases.rows, cases.judged
    every = np.arange(len(cases))
    families = []
    if len(rows):
        positive, scores = cases.malignant[rows], cases.scores[rows]
        probabilities = judged.probabilities[rows]
        families = [
            ranking_figures(rows, positive, scores),
            class_areas(rows, cases.targets[rows], probabilities, judged.classes),
            calibration_figures(rows, cases.is_scored_class[rows], scores),
        ]
        if cases.decides:
            families.append(decision_figures(rows, positive, cases.called[rows]))
    outcomes = np.array(cases.outcomes)
    families += [
        share_of(every, "abstention_rate", outcomes == "abstained"),
        share_of(every, "undecided_rate", ~cases.decided),
    ]
    outlined = np.flatnonzero(np.isfinite(cases.masks.jaccard))
    if len(outlined):
        dice, jaccard = cases.masks.dice[outlined], cases.masks.jaccard[outlined]
        families.append(mask_figures(outlined, dice, jaccard))
    figures: dict[str, Estimate] = {}
    for family in families:
        figures |= bootstrap.estimate(family)
    return widened(figures) if "sensitivity" in figures else figures


def _bundle_facts(bundle: LoadedBundle) -> dict[str, Any]:
    spec = bundle.spec
    return {
        "name": spec.name,
        "version": spec.version,
        "digest": bundle.digest,
        "fold": spec.provenance.fold,
        "classes": list(spec.classes),
        "positive": list(spec.positive),
        "score": spec.decision.score,
        "threshold": spec.decision.threshold,
        "temperature": spec.decision.temperature,
    }
