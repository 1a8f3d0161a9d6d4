"""Whether the gate's verdict in a bundle is of the bundle as it is now.

A verdict is of files and of the decision made with them. Whoever changes a network, a threshold
or a rule afterwards has another system, which nobody has judged.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from runtime.bundle import Bundle

GateState = Literal["never gated", "passed", "refused", "stale"]

JUDGED = {"classes", "positive", "models", "views", "chain", "decision", "quality"}
NOT_ACTED_ON = ("threshold_interval", "operating_point", "coverage")


def judged_digest(spec: Bundle) -> str:
    """SHA-256 over all that a decision depends on: every model file's hash, and how they are used.

    Names, card and golden images are not among it: they change no decision.
    """
    fields = spec.model_dump(mode="json", by_alias=True, include=JUDGED)
    for name in NOT_ACTED_ON:
        fields["decision"].pop(name)
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def gate_state(spec: Bundle) -> GateState:
    """Only `passed` may be released: runtime/releasing.py refuses the others."""
    result = spec.gate.result
    if result is None:
        return "never gated"
    if result.judged != judged_digest(spec):
        return "stale"
    return "passed" if result.passed else "refused"


def gate_words(spec: Bundle) -> str:
    """The state in one line, for people."""
    state, result = gate_state(spec), spec.gate.result
    if result is None:
        return state
    if state == "stale":
        had = "passed" if result.passed else "refused"
        return f"not judged as it is now; {had} with other files or another decision"
    folds = result.report.get("folds")
    against = f"{folds} fold twins" if folds else f"the bundle {result.reference[:12]}"
    before = result.report.get("refused_before")
    again = f", after being refused {before} times" if state == "passed" and before else ""
    why = "" if state == "passed" else f" ({result.report.get('why')})"
    return f"{state}, against {against}{again}{why}"


def gate_note(spec: Bundle) -> str | None:
    """What whoever uses the bundle must be told of its verdict, in one line.

    A bundle that was never gated has no verdict that could mislead.
    """
    if gate_state(spec) not in ("stale", "refused"):
        return None
    from runtime.decode import printable

    return printable(f"note: the gate's verdict on {spec.name} {spec.version}: {gate_words(spec)}")
