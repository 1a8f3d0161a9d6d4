"""How a camera is to be set up, kept as YAML: `dermedge doctor --cameras` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from runtime.capture.address import without_secrets
from runtime.errors import UsageError, missing_extra
from runtime.specs import Spec


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
    except (OSError, UnicodeError, yaml.YAMLError, ValidationError) as exc:
        raise UsageError(
            f"{path} is no profile of a camera.",
            got=without_secrets(str(exc).splitlines()[0]),
            expected="what  dermedge doctor --cameras --write FILE  writes",
        ) from exc
