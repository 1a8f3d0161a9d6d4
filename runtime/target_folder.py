"""Where a bundle is written: beside its place first, and moved there when it is whole."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.bundle_files import MANIFEST, SIGNATURE, load_bundle
from runtime.errors import BundleError, UsageError


@contextmanager
def beside(out: Path) -> Iterator[Path]:
    """An empty folder to build in. It takes the place of `out` if the block ends well."""
    out = out.resolve()
    check_replaceable(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as exc:
        raise UsageError("The bundle's folder cannot be made.", got=exc.strerror or exc) from exc
    try:
        made = work / "new"
        made.mkdir()
        yield made
        _move(made, out, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def check_replaceable(out: Path) -> None:
    """Nothing but a bundle may be overwritten, and no file that does not belong to it."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    foreign = _not_of_a_bundle(out)
    if foreign is not None:
        raise UsageError(
            f"{out.name} is there already and is not a bundle that may be replaced.",
            got=foreign,
            expected="a new or empty folder, or a bundle",
            remedy="--out with another folder",
        )


def _not_of_a_bundle(out: Path) -> str | None:
    if not out.is_dir():
        return "a file"
    try:
        listed = load_bundle(out, verify=False).spec.files.keys() | {MANIFEST, SIGNATURE}
    except BundleError as exc:
        return exc.one_line
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir()}
    return f"a file of another kind in it: {min(found - listed)}" if found - listed else None


def _move(made: Path, out: Path, work: Path) -> None:
    try:
        if out.exists():
            out.rename(work / "old")
        made.rename(out)
    except OSError as exc:
        if (work / "old").exists() and not out.exists():
            (work / "old").rename(out)
        raise UsageError("The bundle cannot be moved to its place.", got=exc.strerror) from exc
