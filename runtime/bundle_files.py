"""Bundles on disk: read and verified to the last byte, and sealed when they are written.

A bundle is a folder of plain files. Whatever its bundle.json does not list, and every link, is
refused: what is hashed is then all there is.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime import whole_file
from runtime.errors import BundleError

if TYPE_CHECKING:
    from pydantic import ValidationError

    from runtime.bundle import Bundle
    from runtime.record import BundleRecord

MANIFEST = "bundle.json"
SIGNATURE = "bundle.sig"
PARTIAL = f".{MANIFEST}{whole_file.PARTIAL}"  # what a power cut while sealing can leave behind
SCHEMA = 1
MANIFEST_LIMIT = 64 * 2**20  # bytes; held-out ids are the bulk of one, a real one has kilobytes
COPY_AGAIN = "copy the bundle again from where it was made"


@dataclass(frozen=True, slots=True)
class LoadedBundle:
    path: Path
    spec: Bundle
    digest: str

    @property
    def record(self) -> BundleRecord:
        from runtime.record import BundleRecord

        return BundleRecord(name=self.spec.name, version=self.spec.version, digest=self.digest)


def load_bundle(folder: Path | str, verify: bool = True) -> LoadedBundle:
    """Read a bundle. `verify=False` leaves out hashing the files, not checking bundle.json."""
    folder = Path(folder)
    content = _read_manifest(folder)
    spec = _validated(_parsed(content, folder), folder)
    if verify:
        _verify_files(folder, spec.files)
    return LoadedBundle(folder, spec, digest_of(content, spec.files))


def seal(folder: Path | str, fields: Mapping[str, Any]) -> LoadedBundle:
    """Hash what is in the folder and write its bundle.json, whole or not at all.

    `fields` is bundle.json without `files` and without the hashes of variants, which are filled in
    here. To change a sealed bundle, change `fields_of` it and seal again. A signature of what was
    there before is removed: it would be false.
    """
    folder = Path(folder)
    files = {path: _sha256(folder / path) for path in _walk(folder)}
    complete = {"schema": SCHEMA, **fields, "files": files}
    complete["models"] = {
        name: _with_hashes(model, files) for name, model in dict(fields.get("models", {})).items()
    }
    spec = _validated(complete, folder)
    content = (spec.model_dump_json(by_alias=True, indent=1) + "\n").encode("utf-8")
    (folder / SIGNATURE).unlink(missing_ok=True)
    _write_whole(folder / MANIFEST, content)
    return LoadedBundle(folder, spec, digest_of(content, spec.files))


def fields_of(bundle: LoadedBundle) -> dict[str, Any]:
    """A bundle's fields as plain JSON values, to be changed and sealed again."""
    fields: dict[str, Any] = bundle.spec.model_dump(mode="json", by_alias=True, exclude={"files"})
    return fields


def digest_of(manifest: bytes, files: Mapping[str, str]) -> str:
    """The bundle's identity: SHA-256 over bundle.json, then every path and hash in order."""
    digest = hashlib.sha256(manifest)
    for path in sorted(files):
        digest.update(f"\0{path}\0{files[path]}".encode())
    return digest.hexdigest()


def _with_hashes(model: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    variants = [
        {**variant, "sha256": files.get(variant.get("file", ""), "0" * 64)}
        for variant in model.get("variants", ())
    ]
    return {**model, "variants": variants}


def _read_manifest(folder: Path) -> bytes:
    if not folder.is_dir():
        raise BundleError(
            f"{folder} is not a bundle.",
            got="a file" if folder.exists() else "nothing at that path",
            expected=f"a folder with a {MANIFEST}",
            remedy="--bundle FOLDER, or leave it out to run the demo",
        )
    path = folder / MANIFEST
    try:
        if path.is_symlink() or not path.is_file():
            raise BundleError(
                f"{folder} is not a bundle.",
                got=f"no plain file {MANIFEST} in it",
                expected=f"a folder with a {MANIFEST}",
                remedy="name the folder that holds it: dermedge export writes one",
            )
        size = path.stat().st_size
        if size > MANIFEST_LIMIT:
            raise BundleError(f"{path} is too large to be one.", got=f"{size} bytes")
        return path.read_bytes()
    except OSError as exc:
        raise BundleError(f"{path} cannot be read.", got=exc.strerror or str(exc)) from exc


def _parsed(content: bytes, folder: Path) -> dict[str, Any]:
    where = folder / MANIFEST
    try:
        fields = json.loads(
            content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as exc:
        raise BundleError(
            f"{where} is not JSON.", got=str(exc) or "nested too deeply", remedy=COPY_AGAIN
        ) from exc
    if not isinstance(fields, dict):
        raise BundleError(f"{where} is not a bundle.", got=f"JSON, but a {type(fields).__name__}")
    if fields.get("schema") != SCHEMA or isinstance(fields["schema"], bool):
        raise BundleError(
            f"{where} has another format than this dermedge reads.",
            got=f"schema {json.dumps(fields.get('schema'))}",
            expected=f"schema {SCHEMA}",
            remedy="install the dermedge that made it, or export the bundle again",
        )
    return fields


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        twice = sorted({key for key, _ in pairs if [k for k, _ in pairs].count(key) > 1})
        raise ValueError(f"the key {twice[0]!r} stands twice in one object")
    return fields


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number in JSON")


def _validated(fields: Mapping[str, Any], folder: Path) -> Bundle:
    from pydantic import ValidationError

    from runtime.bundle import Bundle

    try:
        return Bundle.model_validate(fields)
    except ValidationError as exc:
        raise BundleError(
            f"{folder / MANIFEST} does not describe a bundle.",
            got=_readable(exc),
            remedy="correct it where it was written by hand, else export the bundle again",
        ) from exc


def _readable(error: ValidationError) -> str:
    """Pydantic's findings as "chain.classify: …", one a line."""
    lines = []
    for finding in error.errors(include_url=False, include_context=False, include_input=False):
        where = ".".join(str(part) for part in finding["loc"])
        message = finding["msg"].removeprefix("Value error, ")
        lines.append(f"{where}: {message}" if where else message)
    return "\n       ".join(lines)


def _verify_files(folder: Path, files: Mapping[str, str]) -> None:
    found = set(_walk(folder))
    if unlisted := sorted(found - files.keys()):
        raise BundleError(
            f"{folder} holds files that its {MANIFEST} does not list.",
            got=_some(unlisted),
            remedy="remove them, if you know where they came from; else copy the bundle again",
        )
    if missing := sorted(files.keys() - found):
        raise BundleError(
            f"{folder} lacks files that its {MANIFEST} lists.",
            got="no " + _some(missing),
            remedy=COPY_AGAIN,
        )
    for path, expected in files.items():
        if (got := _sha256(folder / path)) != expected:
            raise BundleError(
                f"{folder / path} is not the file that the bundle was made with.",
                got=f"SHA-256 {got}",
                expected=f"SHA-256 {expected}",
                remedy=COPY_AGAIN,
            )


def _walk(folder: Path) -> list[str]:
    """Every file below the folder but the manifest and its signature, as paths inside it."""
    found: list[str] = []
    pending = [folder]
    while pending:
        try:
            entries = sorted(pending.pop().iterdir())
        except OSError as exc:
            raise BundleError(f"{folder} cannot be read.", got=exc.strerror or str(exc)) from exc
        for entry in entries:
            inside = entry.relative_to(folder).as_posix()
            mode = entry.lstat().st_mode
            if stat.S_ISDIR(mode):
                pending.append(entry)
            elif not stat.S_ISREG(mode):
                raise BundleError(
                    f"{folder} holds something that is not a plain file.",
                    got=f"{inside}, " + ("a link" if stat.S_ISLNK(mode) else "a device or pipe"),
                    expected="plain files only: a link can lead out of the bundle",
                    remedy="copy what it leads to into its place",
                )
            elif inside not in (MANIFEST, SIGNATURE, PARTIAL):
                found.append(inside)
    return sorted(found)


def _some(paths: list[str]) -> str:
    more = len(paths) - 5
    return ", ".join(paths[:5]) + (f" and {more} more" if more > 0 else "")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as exc:
        raise BundleError(f"{path} cannot be read.", got=exc.strerror or str(exc)) from exc
    return digest.hexdigest()


def _write_whole(path: Path, content: bytes) -> None:
    try:
        whole_file.write_whole(path, content)
    except OSError as exc:
        raise BundleError(f"{path} cannot be written.", got=exc.strerror or str(exc)) from exc
