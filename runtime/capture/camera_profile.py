"""How a camera is to be set up, kept as YAML: `dermedge doctor --cameras` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from runtime.capture.address import without_secrets
from runtime.errors import UsageError, missing_extra
from runtime.specs import Spec

REMEDY = "write one with  dermedge doctor --cameras --write FILE  and change that"
LONGEST = 80  # characters of a value that are shown


class Profile(Spec):
    """What is left out is as the camera has it."""

    schema_number: Annotated[int, Field(alias="schema")] = 1
    device: str = ""  # as --camera takes it; an address with a password is safe here
    format: Annotated[str, Field(pattern=r"^[A-Z0-9]{4}$")] | None = None
    size: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]] | None = None
    fps: Annotated[float, Field(gt=0)] | None = None
    controls: dict[str, int] = {}  # by the names that the camera gives them
    polarisation: str | None = None  # as it was set by hand; it stands in the records
    pixels_per_mm: Annotated[float, Field(gt=0)] | None = None

    def to_yaml(self) -> str:
        try:
            import yaml
        except ImportError as exc:
            raise missing_extra("pyyaml", "camera", "A camera's profile") from exc
        fields = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return str(yaml.safe_dump(fields, sort_keys=False))


def read_profile(path: Path) -> Profile:
    try:
        import yaml
    except ImportError as exc:
        raise missing_extra("pyyaml", "camera", "A camera's profile") from exc
    try:
        return Profile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as exc:
        problems = [(_field(each), each) for each in exc.errors(include_url=False)]
        raise UsageError(
            f"{path} is no profile of a camera.",
            got="; ".join(f"{field}: {_shown(each)}" for field, each in problems),
            expected="; ".join(f"{field}: {_wanted(each)}" for field, each in problems),
            remedy=REMEDY,
        ) from exc
    except (OSError, UnicodeError, yaml.YAMLError) as exc:
        raise UsageError(
            f"{path} is no profile of a camera.",
            got=_unreadable(exc),
            expected="YAML with the fields of a profile",
            remedy=REMEDY,
        ) from exc


def _field(problem: Mapping[str, Any]) -> str:
    return ".".join(map(str, problem["loc"])) or "the file"


def _shown(problem: Mapping[str, Any]) -> str:
    """The value, where it cannot be a password: an address has one, and so may what is unknown."""
    field = next(iter(problem["loc"]), "")
    if field not in Profile.model_fields or field == "device":
        return f"something of the type {type(problem['input']).__name__}"
    shown = ascii(problem["input"])
    return shown if len(shown) <= LONGEST else shown[:LONGEST] + "…"


def _unreadable(error: Exception) -> str:
    """Without the lines that YAML's own words would quote: they may hold a password."""
    mark = getattr(error, "problem_mark", None)
    where = "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"
    return without_secrets(str(getattr(error, "problem", None) or error).splitlines()[0]) + where


def _wanted(problem: Mapping[str, Any]) -> str:
    if problem["type"] == "extra_forbidden" and len(problem["loc"]) == 1:
        names = (field.alias or name for name, field in Profile.model_fields.items())
        return "no such field; there are " + ", ".join(names)
    if problem["type"] == "model_type":
        return "fields and their values"
    return str(problem["msg"])
