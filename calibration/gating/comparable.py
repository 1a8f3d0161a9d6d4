"""May these two be held against each other at all? Every way to make a comparison look good that
is none is refused here, before a network runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from calibration.quantising.record import read_record
from runtime.backends.registry import choose_variant
from runtime.errors import GateError, UsageError
from runtime.host_chain import models_in_use

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.bundle_files import LoadedBundle

SYSTEM = ("recipe", "classes", "positive", "views", "quality")
DECISION = ("score", "abstain")
FITTED = ("temperature", "threshold")


def require_threshold(bundle: LoadedBundle) -> float:
    threshold = bundle.spec.decision.threshold
    if threshold is None:
        raise UsageError(
            f"{bundle.path} decides nothing: it has no threshold.",
            expected="a bundle with a fitted operating point",
            remedy=f"dermedge operate --bundle {bundle.path} --predictions RUN/oof.csv",
        )
    return threshold


def require_pair(reference: LoadedBundle, candidate: LoadedBundle) -> None:
    """A candidate is the reference in other files; all that is not a file must be the same."""
    if reference.digest == candidate.digest:
        raise UsageError(
            "Reference and candidate are the same bundle.",
            got=f"{reference.path} and {candidate.path}, both {reference.digest[:12]}",
            remedy="name the bundle that quantize wrote as --candidate",
        )
    require_threshold(reference)
    differing = _system(reference.spec, candidate.spec)
    differing += _decision(reference.spec, candidate.spec, (*DECISION, *FITTED))
    if differing:
        raise GateError(
            "The candidate is not the reference in other files, so nothing can be said about it.",
            got="; ".join(differing),
            expected="the same system, decided with the same frozen temperature and threshold",
            remedy="quantize the reference again, and leave its decision as it is",
        )


def require_twins(folds: Sequence[LoadedBundle], candidate: LoadedBundle, backend: str) -> None:
    """Bundles of one run's folds that were made as the candidate was: all but weights is alike."""
    for bundle in (candidate, *folds):
        require_threshold(bundle)
    require_alike(folds, candidate, backend)
    for fold in folds:
        if differing := _rules(candidate.spec, fold.spec):
            raise _no_twin(fold, differing)


def require_alike(folds: Sequence[LoadedBundle], bundle: LoadedBundle, backend: str) -> None:
    """The same, whatever they decide."""
    for fold in folds:
        if fold.spec.provenance.fold is None or not fold.spec.provenance.held_out:
            raise UsageError(
                f"{fold.path} is not the bundle of a fold.",
                got="no images that were held out",
                remedy="dermedge export --run RUN --fold K --out B, then operate and quantize it",
            )
        differing = _system(bundle.spec, fold.spec)
        differing += _decision(bundle.spec, fold.spec, ("score",))
        differing += _precisions(bundle.spec, fold.spec, backend)
        differing += _making(bundle, fold)
        if bundle.spec.provenance.data != fold.spec.provenance.data:
            differing.append("provenance.data: trained on other images")
        if differing:
            raise _no_twin(fold, differing)
    numbers = [fold.spec.provenance.fold for fold in folds]
    if len(set(numbers)) != len(numbers):
        raise UsageError(
            "A fold is named twice.",
            got=f"folds {', '.join(map(str, numbers))}",
            expected="one bundle for each fold",
        )


def _no_twin(fold: LoadedBundle, differing: Sequence[str]) -> GateError:
    return GateError(
        f"{fold.path} is no twin of the bundle, so it is no evidence for it.",
        got="; ".join(differing),
        expected="a fold of the same run, exported and quantized in the same way",
        remedy="export every fold and the bundle from one run with the same options",
    )


def pair_originals(
    originals: Sequence[LoadedBundle], bundles: Sequence[LoadedBundle]
) -> list[LoadedBundle | None]:
    """For each bundle what it was made from; None everywhere where no originals are named."""
    if not originals:
        return [None] * len(bundles)
    by_fold = {each.spec.provenance.fold: each for each in originals}
    wanted = [bundle.spec.provenance.fold for bundle in bundles]
    if len(by_fold) != len(originals) or by_fold.keys() != set(wanted):
        raise UsageError(
            "The originals are not those of the folds and of the candidate.",
            got=", ".join(_fold(each.spec.provenance.fold) for each in originals),
            expected=f"one each: {', '.join(map(_fold, wanted))}",
            remedy="dermedge export --run RUN [--fold K] --precision fp32 --out R, then operate",
        )
    found = [by_fold[number] for number in wanted]
    for original, bundle in zip(found, bundles, strict=True):
        require_pair(original, bundle)
        if original.spec.provenance.held_out != bundle.spec.provenance.held_out:
            raise GateError(
                f"{original.path} holds other images out than {bundle.path}.",
                expected="the same fold of the same run",
            )
    return list(found)


def _fold(number: int | None) -> str:
    return "the whole run" if number is None else f"fold {number}"


def _system(one: Bundle, other: Bundle) -> list[str]:
    found = [
        _said(name, getattr(one, name), getattr(other, name))
        for name in SYSTEM
        if getattr(one, name) != getattr(other, name)
    ]
    chains = [spec.chain.model_copy(update={"explain": None}) for spec in (one, other)]
    if chains[0] != chains[1]:
        found.append(_said("chain", *chains))
    deciding = [models_in_use(spec) for spec in (one, other)]  # heat maps decide nothing
    if deciding[0] != deciding[1]:
        return [*found, _said("models", *deciding)]
    for name in deciding[0]:
        for part in ("inputs", "outputs"):
            if getattr(one.models[name], part) != getattr(other.models[name], part):
                found.append(f"models.{name}.{part}")
    return found


def _rules(one: Bundle, other: Bundle) -> list[str]:
    """Each fold's limits are fitted on the others, as its threshold is; the rules are the same."""
    applied = [
        {name for name, limit in spec.decision.abstain if limit not in (None, False)}
        for spec in (one, other)
    ]
    return [_said("decision.abstain", *map(sorted, applied))] if applied[0] != applied[1] else []


def _decision(one: Bundle, other: Bundle, names: Sequence[str]) -> list[str]:
    return [
        _said(f"decision.{name}", getattr(one.decision, name), getattr(other.decision, name))
        for name in names
        if getattr(one.decision, name) != getattr(other.decision, name)
    ]


def _precisions(one: Bundle, other: Bundle, backend: str) -> list[str]:
    """What this engine would run of either. (Which engines are faster with a file may differ.)"""
    if one.models.keys() != other.models.keys():
        return []
    found = []
    for name in models_in_use(one):
        runs = [choose_variant(name, spec.models[name], backend).precision for spec in (one, other)]
        if runs[0] != runs[1]:
            found.append(_said(f"precision of {name} with {backend}", *runs))
    return found


def _making(one: LoadedBundle, other: LoadedBundle) -> list[str]:
    """How 8 bits were made: by the same orders, though on other images."""
    orders = [record and record.orders for record in (read_record(one), read_record(other))]
    if orders[0] == orders[1]:
        return []
    if None in orders:
        return [_said("calibration.json", *("there" if o else "none" for o in orders))]
    first, second = (order or {} for order in orders)
    return [_said(name, first[name], second[name]) for name in first if first[name] != second[name]]


def _said(name: str, one: Any, other: Any) -> str:
    """Both values where they fit on a line; else only what differs."""
    text = f"{name}: {one} and {other}"
    return text if len(text) <= 160 else name
