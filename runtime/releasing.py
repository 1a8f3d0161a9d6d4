"""Releasing: somebody says that a bundle may be used, and what it was when they said so.

A release is of every byte of a bundle that its gate has passed. Whatever is changed afterwards, be
it a word on its card, has not been released.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Literal

from runtime.bundle_files import fields_of, seal
from runtime.card_section import RELEASE, put_section
from runtime.errors import GateError
from runtime.gate_state import gate_state, gate_words

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.bundle_files import LoadedBundle

ReleaseState = Literal["not released", "released", "changed"]


def release(bundle: LoadedBundle) -> LoadedBundle:
    """Mark a bundle that was read and verified. One that is released already keeps its date."""
    if gate_state(bundle.spec) != "passed":
        raise GateError(
            f"{bundle.path} cannot be released.",
            got=f"gate: {gate_words(bundle.spec)}",
            expected="a gate that it has passed as it is now",
            remedy=f"dermedge gate --reference BUNDLE --candidate {bundle.path} --data DIR",
        )
    if release_state(bundle.spec) == "released":
        return bundle
    now = datetime.now(timezone.utc).replace(microsecond=0)
    lines = [f"Released on {now.date()}. `dermedge bundle show` says whether it still is that."]
    put_section(bundle.path, RELEASE, lines)
    unmarked = seal(bundle.path, fields_of(bundle) | {"released": None})
    mark = {"date": now.isoformat(), "bundle": released_digest(unmarked.spec)}
    return seal(bundle.path, fields_of(unmarked) | {"released": mark})


def released_digest(spec: Bundle) -> str:
    """SHA-256 over all of bundle.json but the release itself: every file's hash is in it."""
    fields = spec.model_dump(mode="json", by_alias=True, exclude={"released"})
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def release_state(spec: Bundle) -> ReleaseState:
    """`released` only where the gate's verdict is of the bundle as it is, too."""
    if spec.released is None:
        return "not released"
    same = spec.released.bundle == released_digest(spec)
    return "released" if same and gate_state(spec) == "passed" else "changed"


def release_words(spec: Bundle) -> str:
    """The state in one line, for people."""
    state = release_state(spec)
    if spec.released is None or state == "not released":
        return "not released"
    date = spec.released.date.date()
    return f"released on {date}" if state == "released" else f"changed since its release on {date}"
