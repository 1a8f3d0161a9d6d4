"""The cache gives back what was built for this machine, and refuses all else by name."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from runtime.backends.engine_cache import MISSING, EngineCache, any_engine
from runtime.backends.engine_key import (
    BuildSettings,
    EngineKey,
    Home,
    PlanRecord,
    differences,
    runs_portable,
    this_home,
)
from runtime.errors import BackendError
from runtime.machine import Gpu

ORIN = Home(gpu="Orin", capability="8.7", l4t="36.4.3")
PLAN = b"a plan" * 1000


def key(**changes: Any) -> EngineKey:
    fields: dict[str, Any] = {
        "onnx": "ab" * 32, "precision": "fp16", "flavour": "tensorrt", "version": "10.3.0",
        "home": ORIN,
    }  # fmt: skip
    return EngineKey.model_validate(fields | changes)


def record(of: EngineKey | None = None, plan: bytes = PLAN) -> PlanRecord:
    return PlanRecord(
        model="deep",
        file="models/deep.onnx",
        key=of or key(),
        plan=hashlib.sha256(plan).hexdigest(),
        bytes=len(plan),
        built=datetime(2026, 1, 2, tzinfo=timezone.utc),
        seconds=1.0,
        layers={"fp16": 9},
        multiplying={"conv": "fp16"},
        checked_on="network",
    )


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    made = EngineCache(tmp_path / "engines")
    with made.locked():
        made.store(record(), PLAN)
    return made


def refusal(cache: EngineCache, wanted: EngineKey, portable: bool = False) -> BackendError:
    with pytest.raises(BackendError) as caught:
        cache.load("deep", wanted, portable)
    error = caught.value
    assert error.remedy is not None
    assert "dermedge build" in error.remedy or "chmod" in error.remedy
    return error


def test_what_was_stored_comes_back(cache: EngineCache) -> None:
    assert cache.load("deep", key(), portable=False) == (PLAN, record())
    assert cache.find("deep", key(), portable=False) == record()
    assert any_engine(cache.folder, "tensorrt")
    assert not any_engine(cache.folder, "tensorrt_rtx")


def test_only_its_owner_may_enter(cache: EngineCache) -> None:
    assert cache.folder.stat().st_mode & 0o777 == 0o700
    cache.folder.chmod(0o755)
    cache.prepare()
    assert cache.folder.stat().st_mode & 0o777 == 0o700


def test_an_engine_that_was_never_built_says_how_to_build_it(tmp_path: Path) -> None:
    error = refusal(EngineCache(tmp_path), key())
    assert "No engine of 'deep'" in error.what
    assert EngineCache(tmp_path).find("deep", key(), portable=False) == MISSING


def test_a_plan_of_a_foreign_version_is_refused(cache: EngineCache) -> None:
    error = refusal(cache, key(version="10.7.0"))
    assert "another version" in error.what
    assert (error.got, error.expected) == ("10.3.0", "10.7.0")


@pytest.mark.parametrize(
    ("home", "words"),
    [
        (Home(gpu="Orin Nano", capability="8.7", l4t="36.4.3"), "another GPU"),
        (Home(gpu="Orin", capability="8.6", l4t="36.4.3"), "another GPU"),
        (Home(gpu="Orin", capability="8.7", l4t="36.5"), "another Linux for Tegra"),
    ],
)
def test_a_plan_of_a_foreign_gpu_or_system_is_refused(
    cache: EngineCache, home: Home, words: str
) -> None:
    error = refusal(cache, key(home=home))
    assert words in error.what
    assert error.got != error.expected


def test_a_truncated_plan_is_refused_before_anybody_reads_it(cache: EngineCache) -> None:
    path = cache.plan_path("deep", key())
    path.write_bytes(PLAN[:-1])
    error = refusal(cache, key())
    assert "not the plan that was built" in error.what
    assert error.got is not None
    assert error.got.startswith(f"{len(PLAN) - 1} bytes")
    assert cache.find("deep", key(), portable=False) == error.what.rstrip(".")


def test_a_plan_of_another_onnx_is_refused(cache: EngineCache) -> None:
    """As where somebody gives an old plan with its sidecar the new graph's name."""
    other = key(onnx="cd" * 32)
    old, new = cache.plan_path("deep", key()), cache.plan_path("deep", other)
    old.rename(new)
    old.with_suffix(".json").rename(new.with_suffix(".json"))
    error = refusal(cache, other)
    assert "another graph" in error.what
    assert (error.got, error.expected) == ("ab" * 32, "cd" * 32)


def test_a_plan_from_elsewhere_is_refused(cache: EngineCache) -> None:
    sidecar = cache.plan_path("deep", key()).with_suffix(".json")
    fields = json.loads(sidecar.read_text())
    for broken in ("", "[]", json.dumps(fields | {"from": "a friend"})):
        sidecar.write_text(broken)
        assert "does not say where it is from" in refusal(cache, key()).what
    sidecar.unlink()
    assert "does not say where it is from" in refusal(cache, key()).what


@pytest.mark.skipif(os.name != "posix", reason="needs file modes")
def test_a_folder_that_others_may_write_to_is_refused(cache: EngineCache) -> None:
    cache.folder.chmod(0o777)
    error = refusal(cache, key())
    assert "somebody else" in error.what
    assert "mode 777" in str(error.got)
    with pytest.raises(BackendError, match="somebody else"), cache.locked():
        pass  # nor is it built into: what is in it would be taken for ours


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "engines"):
        with (
            pytest.raises(BackendError, match="cannot be kept") as caught,
            EngineCache(folder).locked(),
        ):
            pass
        assert "DERMEDGE_CACHE" in str(caught.value.remedy)


def test_leftovers_of_a_killed_build_are_cleaned_up(cache: EngineCache) -> None:
    kept = cache.plan_path("deep", key())
    (cache.folder / f".{kept.name}.partial").write_bytes(b"half")
    (cache.folder / "other-00.tensorrt.plan").write_bytes(b"without a sidecar")
    with cache.locked():
        pass
    left = {path.name for path in cache.folder.iterdir()}
    assert left == {kept.name, kept.with_suffix(".json").name, ".lock"}


def test_an_engine_is_replaced_by_one_of_other_settings(cache: EngineCache) -> None:
    """Who builds has asked for something; who loads takes it however it was built."""
    smaller = key(settings=BuildSettings(workspace_mib=64))
    assert cache.find("deep", smaller, portable=False) == "other settings"
    with cache.locked():
        cache.store(record(smaller, b"smaller"), b"smaller")
    assert cache.load("deep", key(), portable=False)[0] == b"smaller"
    assert len(list(cache.folder.glob("*.plan"))) == 1


def test_timings_belong_to_a_machine_and_a_version(cache: EngineCache) -> None:
    cache.store_timings(key(), b"measured")
    assert cache.timings(key()) == b"measured"
    assert cache.timings(key(onnx="cd" * 32)) == b"measured"  # layers are alike across networks
    assert cache.timings(key(version="10.7.0")) == b""
    assert cache.timings(key(home=Home(gpu="Thor", capability="11.0"))) == b""


@pytest.mark.parametrize(
    ("capability", "runs"),
    [("8.0", True), ("8.9", True), ("12.0", True), ("12.1", True), ("none", True), ("8.7", False),
     ("7.5", False), ("9.0", False), ("11.0", False)],
)  # fmt: skip
def test_portable_plans_run_on_the_families_they_were_built_for(
    capability: str, runs: bool
) -> None:
    assert runs_portable(capability) is runs
    built = key(flavour="tensorrt_rtx", home=Home(gpu="none", capability="none"))
    here = key(flavour="tensorrt_rtx", home=Home(gpu="some GPU", capability=capability))
    found = differences(built, here, portable=True, settings=True)
    assert [item.what for item in found] == ([] if runs else ["a GPU it was not built for"])
    assert differences(built, here, portable=False, settings=True)[0].got == "no GPU"


def test_a_portable_plan_is_still_of_one_system(cache: EngineCache) -> None:
    desk = Home(gpu="none", capability="none")
    found = differences(key(home=desk), key(), portable=True, settings=False)
    assert "another Linux for Tegra" in [item.what for item in found]


def test_this_machine_is_told_by_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu("RTX 4090", "8.9", 24564, "12.6")
    monkeypatch.setattr("runtime.machine.gpus", lambda: [gpu])
    monkeypatch.setattr("runtime.machine.jetson", lambda: None)
    assert this_home() == Home(gpu="RTX 4090", capability="8.9")

    def none() -> list[Gpu]:
        raise OSError("libcuda.so.1")

    monkeypatch.setattr("runtime.machine.gpus", none)
    assert this_home() == Home(gpu="none", capability="none")


def test_another_builder_may_clear_up_what_this_one_tries_the_folder_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that begin at once try the folder with one file: it may be gone before it is removed."""
    write = Path.write_bytes

    def cleared(path: Path, content: bytes) -> int:
        written = write(path, content)
        path.unlink()
        return written

    monkeypatch.setattr(Path, "write_bytes", cleared)
    EngineCache(tmp_path).prepare()
