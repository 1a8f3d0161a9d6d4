"""Compiled engines on disk: a plan and a sidecar each, in a folder that only its owner may enter.

A plan is code that a GPU runs and its library trusts, so none is read that this program did not
write for this machine: the sidecar says what it belongs to, and the plan's hash is checked before
the library sees a byte. Plans appear whole by rename. One builder works at a time, which also is
what a board with 8 GB can bear; the lock is the system's, and ends with whoever held it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.backends.engine_key import PlanRecord, differences
from runtime.errors import BackendError
from runtime.whole_file import PARTIAL, write_whole

if TYPE_CHECKING:
    from runtime.backends.engine_key import EngineKey

MISSING = "there was none"
AGAIN = "dermedge build  (with the same --bundle and --backend)"
FORCED = "dermedge build --force  (with the same --bundle and --backend)"


class EngineCache:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def plan_path(self, model: str, key: EngineKey) -> Path:
        """By model, graph, batch and library: what else a plan depends on stands in its sidecar.

        So an engine of yesterday's TensorRT is found, and refused by name, and replaced.
        """
        batch = "" if key.batch == 1 else f".batch{key.batch}"
        return self.folder / f"{model}-{key.onnx[:16]}{batch}.{key.flavour}.plan"

    def batches(self, model: str, key: EngineKey) -> set[int]:
        """How many frames at once there are plans of this graph for."""
        found = set()
        for plan in self.folder.glob(f"{model}-{key.onnx[:16]}*.{key.flavour}.plan"):
            _, _, batch = plan.name.removesuffix(f".{key.flavour}.plan").partition(".batch")
            found.add(int(batch or 1))
        return found

    def fits(self, model: str, key: EngineKey, portable: bool) -> bool:
        """Whether `load` would take the plan, as far as its sidecar tells."""
        try:
            record = self._record(self.plan_path(model, key))
        except BackendError:
            return False
        return not differences(record.key, key, portable=portable, settings=False)

    def prepare(self) -> None:
        """The folder is there and ours. Closing it to readers is enough; to writers it is not:
        they may have been here before."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            refuse_others_folder(self.folder)
            if os.name == "posix":
                self.folder.chmod(0o700)
            probe = self.folder / f".writable{PARTIAL}"
            probe.write_bytes(b"x")
            probe.unlink(missing_ok=True)  # another builder's clearing up may have been first
        except OSError as exc:
            raise _unwritable(self.folder, exc) from exc

    @contextmanager
    def locked(self, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Alone in the folder. `waiting` is called if somebody else is there first."""
        self.prepare()
        try:
            import fcntl
        except ImportError:  # not on this system
            yield
            return
        handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(handle, fcntl.LOCK_EX)
            self._clean()
            yield
        finally:
            os.close(handle)

    def _clean(self) -> None:
        """Whatever is half made belongs to a build that was killed: only one works at a time."""
        for leftover in self.folder.glob(f".*{PARTIAL}"):
            with suppress(OSError):
                leftover.unlink()
        for plan in self.folder.glob("*.plan"):
            if not _sidecar(plan).exists():
                with suppress(OSError):
                    plan.unlink()

    def find(self, model: str, key: EngineKey, portable: bool) -> PlanRecord | str:
        """The engine that was asked for, or in a few words why it has to be built."""
        path = self.plan_path(model, key)
        if not path.exists():
            return MISSING
        try:
            record = self._record(path)
            self._plan(path, record)
        except BackendError as error:
            return error.what.rstrip(".")
        found = differences(record.key, key, portable=portable, settings=True)
        return found[0].what if found else record

    def load(self, model: str, key: EngineKey, portable: bool) -> tuple[bytes, PlanRecord]:
        """The plan, if it is this machine's to run. Refused by name of what differs."""
        path = self.plan_path(model, key)
        if not path.exists():
            raise BackendError(
                f"No engine of '{model}' has been built for {key.flavour} yet.",
                got=f"no {path.name} in {self.folder}",
                remedy=AGAIN,
            )
        refuse_others_folder(self.folder)
        record = self._record(path)
        found = differences(record.key, key, portable=portable, settings=False)
        if found:
            raise BackendError(
                f"The engine of '{model}' in the cache is not one for this machine: "
                f"{found[0].what}.",
                got="; ".join(item.got for item in found),
                expected="; ".join(item.expected for item in found),
                remedy=AGAIN,
            )
        return self._plan(path, record), record

    def store(self, record: PlanRecord, plan: bytes) -> Path:
        """Call it with the lock held. Until the sidecar is there, there is no engine."""
        path = self.plan_path(record.model, record.key)
        text = record.model_dump_json(by_alias=True, indent=1) + "\n"
        try:
            _sidecar(path).unlink(missing_ok=True)
            write_whole(path, plan)
            write_whole(_sidecar(path), text.encode())
        except OSError as exc:
            raise _unwritable(self.folder, exc) from exc
        return path

    def timings(self, key: EngineKey) -> bytes:
        """What the builder measured before on such a machine; nothing if it is not there."""
        try:
            return self._timings_path(key).read_bytes()
        except OSError:
            return b""

    def store_timings(self, key: EngineKey, content: bytes) -> None:
        with suppress(OSError):  # they only save time
            write_whole(self._timings_path(key), content)

    def _timings_path(self, key: EngineKey) -> Path:
        of = f"{key.flavour} {key.version} {key.home.model_dump_json()}"
        return self.folder / f"timings-{hashlib.sha256(of.encode()).hexdigest()[:16]}.cache"

    def _record(self, path: Path) -> PlanRecord:
        from pydantic import ValidationError

        sidecar = _sidecar(path)
        try:
            return PlanRecord.model_validate_json(sidecar.read_bytes())
        except (OSError, ValidationError) as exc:
            raise BackendError(
                f"{path.name} in the cache does not say where it is from.",
                got=f"no {sidecar.name}" if isinstance(exc, OSError) else "another kind of record",
                expected=f"the {sidecar.name} that dermedge build wrote with it",
                remedy=FORCED,
            ) from exc

    def _plan(self, path: Path, record: PlanRecord) -> bytes:
        try:
            content = path.read_bytes()
        except OSError as exc:
            raise BackendError(
                f"{path.name} in the cache cannot be read.", got=exc.strerror or str(exc)
            ) from exc
        digest = hashlib.sha256(content).hexdigest()
        if digest != record.plan:
            raise BackendError(
                f"{path.name} in the cache is not the plan that was built.",
                got=f"{len(content)} bytes, SHA-256 {digest}",
                expected=f"{record.bytes} bytes, SHA-256 {record.plan}",
                remedy=FORCED,
            )
        return content


def any_engine(folder: Path, flavour: str) -> bool:
    """Whether anything was ever built here for it: until then there is nothing to run."""
    return any(folder.glob(f"*.{flavour}.json"))


def _sidecar(plan: Path) -> Path:
    return plan.with_suffix(".json")


def refuse_others_folder(folder: Path) -> None:
    """What others may write to, others may have written."""
    if os.name != "posix":
        return
    facts = folder.stat()
    if facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
        raise BackendError(
            f"Engines in {folder} may have been written by somebody else.",
            got=f"owner {facts.st_uid}, mode {facts.st_mode & 0o777:03o}",
            expected=f"owner {os.geteuid()}, mode 700",
            remedy=f"chmod 700 {folder}, if all in it is yours; else remove it and build again",
        )


def _unwritable(folder: Path, error: OSError) -> BackendError:
    return BackendError(
        f"Engines cannot be kept in {folder}.",
        got=error.strerror or str(error),
        expected="a folder that can be written to",
        remedy="--cache FOLDER, or set DERMEDGE_CACHE to one",
    )
