"""`dermedge build` with NVIDIA's own builder: built once, found again, killed, refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from runtime import build, build_process
from runtime.backends.engine_cache import EngineCache
from runtime.build_process import build_engine
from runtime.build_worker import Job
from runtime.bundle_files import LoadedBundle, seal
from runtime.child_process import same_source
from runtime.errors import BackendError
from tests.boundaries.source_tree import ROOT
from tests.bundle_factory import bundle_fields, make_bundle, write_models
from tests.runtime.capture.waiting import until

pytestmark = pytest.mark.usefixtures("rtx")


@pytest.fixture(scope="module")
def rtx() -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: pip install 'dermedge[rtx]'")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def run(bundle: Path, cache: Path, *options: str) -> Result:
    words = ["--bundle", str(bundle), "--backend", "tensorrt_rtx", "--cache", str(cache), *options]
    return CliRunner(env={"COLUMNS": "200"}).invoke(build.command, words)


def job(bundle: LoadedBundle, cache: Path, model: str = "segmenter", **others: Any) -> Job:
    return Job(bundle=bundle.path, model=model, backend="tensorrt_rtx", cache=cache, **others)


def plans(folder: Path) -> dict[str, float]:
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.plan")}


def test_every_engine_of_a_bundle_is_built_and_then_found(
    sealed: LoadedBundle, cache: Path
) -> None:
    done = run(sealed.path, cache)
    assert done.exit_code == 0, done.output
    for name in sealed.spec.models:
        (line,) = [line for line in done.stdout.splitlines() if line.startswith(f"{name} ")]
        assert "fp32" in line
        assert line.rstrip().endswith("built")
    built = plans(cache)
    assert len(built) == len(sealed.spec.models)
    again = run(sealed.path, cache)
    assert again.stdout.count("from cache") == len(built)
    assert plans(cache) == built


def test_models_settings_and_force(sealed: LoadedBundle, cache: Path) -> None:
    assert run(sealed.path, cache, "--models", "ensemble").exit_code == 0
    (first,) = plans(cache).items()
    other = run(sealed.path, cache, "--models", "ensemble", "--workspace", "64")
    assert "built again: other settings" in other.stdout
    assert (
        "from cache" in run(sealed.path, cache, "--models", "ensemble", "--workspace", "64").stdout
    )
    forced = run(sealed.path, cache, "--models", "ensemble", "--workspace", "64", "--force")
    assert "built again: --force" in forced.stdout
    (last,) = plans(cache).items()
    assert (first[0], first[1] < last[1]) == (last[0], True)


def test_a_damaged_plan_is_built_again(sealed: LoadedBundle, cache: Path) -> None:
    build_engine(job(sealed, cache))
    (path,) = cache.glob("*.plan")
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    outcome = build_engine(job(sealed, cache))
    assert outcome.why is not None
    assert "not the plan that was built" in outcome.why
    assert path.stat().st_size == outcome.record.bytes


def test_a_plan_of_another_version_is_built_again(sealed: LoadedBundle, cache: Path) -> None:
    build_engine(job(sealed, cache))
    (path,) = cache.glob("*.json")
    fields = json.loads(path.read_text())
    fields["key"]["version"] = "1.0.0"
    path.write_text(json.dumps(fields))
    assert build_engine(job(sealed, cache)).why == "another version of the library"


def test_another_precision_than_the_file_says_ends_with_4(tmp_path: Path, cache: Path) -> None:
    fields = bundle_fields()
    fields["models"]["member_a"]["variants"][0]["precision"] = "fp16"  # its weights are fp32
    write_models(tmp_path / "b")
    seal(tmp_path / "b", fields)
    done = run(tmp_path / "b", cache)
    assert done.exit_code == 4
    assert "another precision" in done.output
    assert "member_a" in done.output
    assert not any("member_a" in name for name in plans(cache))


def test_a_graph_that_is_refused_ends_with_the_parsers_words(tmp_path: Path, cache: Path) -> None:
    write_models(tmp_path / "b")
    (tmp_path / "b" / "models" / "segmenter.onnx").write_bytes(b"no graph")
    seal(tmp_path / "b", bundle_fields())
    done = run(tmp_path / "b", cache)
    assert done.exit_code == 4
    assert "cannot parse models/segmenter.onnx" in done.output
    assert "Failed to parse" in done.output


def test_a_cache_that_cannot_be_written_ends_with_4(sealed: LoadedBundle, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = run(sealed.path, tmp_path / "file")
    assert done.exit_code == 4
    assert "Engines cannot be kept" in done.output
    assert "DERMEDGE_CACHE" in done.output


def test_a_cache_in_a_folder_that_may_only_be_read_ends_with_4(
    sealed: LoadedBundle, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    with only_readable(folder):
        done = run(sealed.path, folder / "engines")
    assert done.exit_code == 4
    assert "Engines cannot be kept" in done.output
    assert list(folder.iterdir()) == []


@contextmanager
def only_readable(folder: Path) -> Iterator[None]:
    """Permission bits do not hold root up, the file system's own mark does, where it has one."""
    closing, opening = ["chmod", "500"], ["chmod", "700"]
    if os.geteuid() == 0:
        closing, opening = ["chattr", "+i"], ["chattr", "-i"]
    there = shutil.which(closing[0]) is not None
    if not there or subprocess.run([*closing, folder], check=False).returncode:
        pytest.skip("root may write everywhere here: no chattr, or a file system without marks")
    try:
        yield
    finally:
        subprocess.run([*opening, folder], check=True)


def worker(job: Job) -> subprocess.Popen[str]:
    made = subprocess.Popen(
        [sys.executable, "-m", "runtime.build_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )
    assert made.stdin is not None
    made.stdin.write(job.model_dump_json())
    made.stdin.close()
    made.stdin = None
    return made


def last_line(output: str) -> dict[str, Any]:
    return json.loads(output.splitlines()[-1])


def test_two_builders_at_once_build_once(sealed: LoadedBundle, cache: Path) -> None:
    """Both are held up by a third until both have said that they wait: neither can be done before
    the other has begun. Then one builds, and the other finds what it built."""
    with EngineCache(cache).locked():
        two = [worker(job(sealed, cache)) for _ in range(2)]
        for process in two:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline()) == {"waiting": True}
        assert [process.poll() for process in two] == [None, None]
        assert plans(cache) == {}
    told = [process.communicate(timeout=120)[0].splitlines() for process in two]
    said = [json.loads(lines[-1]) for lines in told]
    assert sorted(message["why"] or "" for message in said) == ["", "there was none"]
    assert said[0]["done"] == said[1]["done"]
    built = [any("phase" in json.loads(line) for line in lines) for lines in told]
    assert built == [message["why"] is not None for message in said]  # one of them alone
    assert len(plans(cache)) == 1


def test_killed_half_way_and_the_next_one_works(
    sealed: LoadedBundle, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL while it holds the lock and has written half of a plan."""
    stuck = subprocess.Popen(
        [sys.executable, "-c", HALF_WAY, str(cache)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert stuck.stdout is not None
    assert stuck.stdout.readline() == "half way\n"
    assert len(list(cache.glob(".*.partial"))) == 1
    waiting = worker(job(sealed, cache))
    assert waiting.stdout is not None
    assert json.loads(waiting.stdout.readline()) == {"waiting": True}
    stuck.send_signal(signal.SIGKILL)
    stuck.communicate(timeout=60)
    assert last_line(waiting.communicate(timeout=120)[0])["why"] == "there was none"
    assert list(cache.glob(".*.partial")) == []
    assert build_engine(job(sealed, cache)).why is None


HALF_WAY = """
import sys, time
from contextlib import contextmanager
from pathlib import Path
from runtime.backends.engine_cache import EngineCache
cache = EngineCache(Path(sys.argv[1]))
with cache.locked():
    (cache.folder / ".segmenter-00.tensorrt_rtx.plan.partial").write_bytes(b"half")
    print("half way", flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
def test_killed_at_any_moment_and_the_next_one_works(
    sealed: LoadedBundle, cache: Path, fault_rounds: int
) -> None:
    for number in range(fault_rounds):
        process = worker(job(sealed, cache, force=True))
        time.sleep(0.3 + 0.3 * number / fault_rounds)
        process.kill()
        process.communicate(timeout=60)
        outcome = build_engine(job(sealed, cache))
        (path,) = cache.glob("*.plan")
        assert path.stat().st_size == outcome.record.bytes


def test_a_worker_that_dies_is_a_message(
    sealed: LoadedBundle, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for code, words in (
        ("import sys; print('out of luck', file=sys.stderr); sys.exit(7)", "status 7: out of luck"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
    ):
        program = [sys.executable, "-c", code]
        monkeypatch.setattr(build_process, "PROGRAM", program)
        with pytest.raises(BackendError, match="ended before it was done") as caught:
            build_engine(job(sealed, cache))
        assert words in str(caught.value.got)
        assert "--workspace" in str(caught.value.remedy)


def test_a_worker_that_dies_before_it_has_its_job(
    sealed: LoadedBundle, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, dead = job(sealed, cache), cache.parent / "dead"
    real = type(asked).model_dump_json

    def late(self: Job) -> str:
        until(dead.exists, "the worker lives on")
        time.sleep(0.2)  # it ends right after that
        return real(self)

    code = f"import os; open({str(dead)!r}, 'w').close(); os._exit(7)"
    monkeypatch.setattr(build_process, "PROGRAM", [sys.executable, "-c", code])
    monkeypatch.setattr(type(asked), "model_dump_json", late)
    with pytest.raises(BackendError, match="ended before it was done"):
        build_engine(asked)


def test_progress_reaches_the_caller(sealed: LoadedBundle, cache: Path) -> None:
    told: list[tuple[str, float | None]] = []
    build_engine(job(sealed, cache), lambda phase, share: told.append((phase, share)))
    assert told
    assert all(share is None or 0 <= share <= 1 for _, share in told)


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--models", "nobody"], 2, "no model 'nobody'"),
        (["--calibration", "nowhere"], 2, "not a folder"),
        (["--backend", "onnxruntime"], 2, "onnxruntime"),
        (["--backend", "openvino", "--workspace", "9"], 2, "--workspace is for TensorRT"),
        (["--workspace", "0"], 2, "workspace"),
        (["--dla", "0", "--models", "segmenter"], 4, "DLA"),
    ],
)
def test_bad_usage(
    sealed: LoadedBundle, cache: Path, options: list[str], code: int, told: str
) -> None:
    done = run(sealed.path, cache, *options)
    assert done.exit_code == code, done.output
    assert told in done.output


def test_auto_takes_what_can_build_here(monkeypatch: pytest.MonkeyPatch) -> None:
    from runtime.backends import registry

    monkeypatch.setattr(registry, "why_no_gpu", lambda: "no driver")
    assert build.choose_compiler("auto") == "tensorrt_rtx"
    monkeypatch.setattr(registry, "find_spec", lambda name: object())
    monkeypatch.setattr(registry, "why_no_gpu", lambda: None)
    assert build.choose_compiler("auto") == "tensorrt"
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    with pytest.raises(BackendError, match="No engine can be built here") as caught:
        build.choose_compiler("auto")
    assert "dermedge[rtx]" in str(caught.value.remedy)


def test_ranges_are_found_by_the_models_name(tmp_path: Path) -> None:
    (tmp_path / "deep.cache").write_text("TRT-EntropyCalibration2\n")
    assert build._ranges(tmp_path, "deep") == (tmp_path / "deep.cache").resolve()
    assert build._ranges(tmp_path, "other") is None
    assert build._ranges(None, "deep") is None


def test_the_worker_runs_the_source_of_its_parent() -> None:
    assert same_source()["PYTHONPATH"].split(os.pathsep)[0] == str(ROOT)


def test_the_command_says_how_its_engines_are_run(sealed: LoadedBundle, cache: Path) -> None:
    words = "dermedge infer --backend tensorrt_rtx --precision fp32"
    assert words in run(sealed.path, cache, "--precision", "fp32").stdout
    assert "dermedge infer" not in run(sealed.path, cache).stdout


def test_engines_that_no_chain_here_runs_are_told(tmp_path: Path, cache: Path) -> None:
    fields = bundle_fields()
    fields["chain"]["purify"] = {"method": "classical"}
    done = run(make_bundle(tmp_path / "bundle", fields).path, cache, "--models", "ensemble")
    assert "infer runs it with --backend openvino" in done.stderr


def test_a_build_that_nobody_listens_to_any_more_is_stopped() -> None:
    from runtime.build_worker import _reporter

    def gone(message: dict[str, object]) -> None:
        raise BrokenPipeError

    assert _reporter(gone)("Building", 0.5) is False
    told: list[dict[str, object]] = []
    step = _reporter(told.append)
    assert step("Building", 0.5)
    assert step("Building", 0.6)  # too soon after the last to be told
    assert told == [{"phase": "Building", "share": 0.5}]


def test_a_board_keeps_memory_for_its_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.machine.memory_mib", lambda: 7620)
    monkeypatch.setattr("runtime.machine.jetson", lambda: None)
    assert build.usual_workspace() is None
    board = {"board": "NVIDIA Jetson Orin Nano", "l4t": "36.4.3", "jetpack": "6"}
    monkeypatch.setattr("runtime.machine.jetson", lambda: board)
    assert build.usual_workspace() == 1905
