"""What was captured goes into the session store: the picture as it was judged, and its record."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import cv2

from runtime.errors import DermedgeError

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.capture.loop import Captured
    from runtime.store.store import Store

FIELDS = ("age", "sex", "site")  # of a patient, that networks may be told of; an id never is
PACKING = [cv2.IMWRITE_PNG_COMPRESSION, 1]  # lossless; packing it harder would keep people waiting


class Keeper:
    """Of one session."""

    def __init__(self, store: Store, session: str, camera: str) -> None:
        self._store, self._session, self._camera = store, session, camera

    def keep(self, captured: Captured, patient: Mapping[str, object]) -> int:
        """The number of the capture, once it is on the disk."""
        done, packed = cv2.imencode(".png", captured.frame, PACKING)
        if not done:
            raise DermedgeError("The picture cannot be packed.", got=str(captured.frame.shape))
        picture = packed.tobytes()
        record = captured.analysis.result.model_copy(
            update={
                "time": datetime.now(timezone.utc).isoformat(),
                "source": self._camera,
                "sha256": hashlib.sha256(picture).hexdigest(),
            }
        )
        return self._store.add(self._session, picture, record, patient)


def metadata_of(patient: Mapping[str, object], bundle: Bundle) -> dict[str, object]:
    """What the networks get of a patient; refused here, before a picture is taken for nothing."""
    spec = bundle.chain.metadata
    names = FIELDS if spec is None else [field.name for field in spec.fields]
    metadata = {name: patient[name] for name in names if patient.get(name) not in (None, "")}
    if spec is not None:
        spec.encode(metadata)
    return metadata
