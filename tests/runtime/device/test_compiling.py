"""The kernels through NVIDIA's own compiler, for every architecture, and where they are kept."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from runtime.device import compiling
from runtime.device.compiling import (
    ARCHITECTURES,
    compile_kernels,
    compiled_kernels,
    known_architectures,
)
from runtime.device.kernels import SIGNATURES
from runtime.errors import BackendError
from runtime.machine import nvcc

needs_nvcc = pytest.mark.skipif(nvcc() is None, reason="needs NVIDIA's nvcc")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DERMEDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "kernels"


@needs_nvcc
@pytest.mark.slow
def test_every_architecture(tmp_path: Path) -> None:
    """Each alone would do on its machine; together they are what is taken elsewhere."""
    numbers = known_architectures()
    assert len(numbers) == len(ARCHITECTURES)
    made = compile_kernels(numbers)
    words = [nvcc() or "nvcc", "-Werror=all-warnings", *compiling.OPTIONS, "-cubin", "-o"]
    subprocess.run([*words, str(tmp_path / "made"), str(compiling.UNIT)], check=True)
    for number in numbers:
        assert f"sm_{number}".encode() in made or number == numbers[-1]
    assert all(name.encode() in made for name in SIGNATURES)


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("compute_72 compute_75 compute_80 compute_86 compute_87", [75, 80, 86, 87]),  # CUDA 11.4
        (
            "compute_75 compute_80 compute_86 compute_87 compute_89 compute_90 compute_100 "
            "compute_101 compute_120",
            [75, 80, 86, 87, 89, 90, 100, 101, 120],  # 12.8
        ),
    ],
)
def test_an_older_compiler_is_asked_for_what_it_knows(
    monkeypatch: pytest.MonkeyPatch, told: str, found: list[int]
) -> None:
    def listed(words: list[str], **how: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(words, 0, told.replace(" ", "\n"), "")

    monkeypatch.setattr(compiling.subprocess, "run", listed)
    assert known_architectures() == found


@needs_nvcc
def test_once_compiled_they_are_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, origin = compiled_kernels((8, 7), "13000")
    assert image[:4] == b"\x7fELF"
    assert origin.parent == cache
    assert cache.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(compiling, "nvcc", lambda: None)
    assert compiled_kernels((8, 7), "13000") == (image, origin)
    with pytest.raises(BackendError, match="compiler"):  # another GPU, or another driver
        compiled_kernels((8, 7), "13010")


def test_without_a_compiler_a_file_from_elsewhere_does(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "nvcc", lambda: None)
    with pytest.raises(BackendError) as caught:
        compiled_kernels((8, 7), "13000")
    brought = cache / compiling.prebuilt_name()
    assert str(brought) in str(caught.value.remedy)
    assert "nvcc" in str(caught.value.expected)
    cache.mkdir(parents=True, mode=0o700)
    (cache / "kernels-0123456789abcdef.fatbin").write_bytes(b"of another version")
    with pytest.raises(BackendError):
        compiled_kernels((8, 7), "13000")
    brought.write_bytes(b"brought along")
    assert compiled_kernels((8, 7), "13000") == (b"brought along", brought)


def test_what_others_can_write_to_is_not_loaded(cache: Path) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    (cache / compiling.prebuilt_name()).write_bytes(b"somebody's")
    with pytest.raises(BackendError, match="somebody else"):
        compiled_kernels((8, 7), "13000")


def test_what_the_compiler_says_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(words: list[str], **how: object) -> subprocess.CompletedProcess[str]:
        said = "nvcc fatal   : Unsupported gpu architecture 'compute_87'\n"
        return subprocess.CompletedProcess(words, 1, "", said)

    monkeypatch.setattr(compiling, "nvcc", lambda: "/usr/bin/nvcc")
    monkeypatch.setattr(compiling.subprocess, "run", refuse)
    with pytest.raises(BackendError) as caught:
        compiled_kernels((8, 7), "13000")
    assert "Unsupported gpu architecture" in str(caught.value.got)
    assert "sm_87" in str(caught.value.expected)


def test_a_change_of_the_sources_is_compiled_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = compiling.fingerprint()
    assert before == compiling.fingerprint()
    shutil.copytree(compiling.SOURCES, tmp_path / "kernels")
    monkeypatch.setattr(compiling, "SOURCES", tmp_path / "kernels")
    assert compiling.fingerprint() == before
    with (tmp_path / "kernels" / "lesion.cu").open("a") as file:
        file.write("// another\n")
    assert compiling.fingerprint() != before
