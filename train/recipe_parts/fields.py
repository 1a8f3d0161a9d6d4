"""What several parts of a recipe are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
# Becomes a folder of the run, a file of the bundle and a column of oof.csv.
Plain = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,59}$")]


def kind_or(default: str) -> Callable[[Any], str]:
    """Which of several kinds a part is of, where the most usual need not be named."""

    def kind(fields: Any) -> str:
        found = fields.get("kind", default) if isinstance(fields, dict) else fields.kind
        return str(found)

    return kind
