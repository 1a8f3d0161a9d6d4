"""What machine this is: the facts that stand beside every measured figure.

Only the standard library is used: this has to work where nothing else does.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# What an engine's speed at low precision hangs on; other flags are noise.
TELLING_FLAGS = (
    "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16",
    "asimddp", "i8mm", "bf16",
)  # fmt: skip
JETPACK = {35: "5", 36: "6", 38: "7", 39: "7"}
"""JetPack's generation by the major number of its Linux for Tegra."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """What the NVIDIA driver says of a device, asked without any CUDA library but its own."""

    name: str
    capability: str
    memory_mib: int
    driver_cuda: str  # the newest CUDA the driver can run


def facts() -> dict[str, object]:
    """Plain values for a JSON record. What does not exist here is left out."""
    model, flags = cpu()
    found: dict[str, object] = {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "cpu": model,
        "cores": usable_cores(),
        "cpu_flags": flags,
        "memory_mib": memory_mib(),
    }
    if board := jetson():
        found["jetson"] = board
        found["power_mode"] = power_mode()
    with suppress(OSError):
        found["gpus"] = [gpu.name for gpu in gpus()]
    return found


def usable_cores() -> int:
    """The cores this process may run on, which a container can have fewer of than the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu() -> tuple[str, list[str]]:
    """The processor's name, and those of its abilities that decide how fast engines are."""
    return parse_cpuinfo(_text("/proc/cpuinfo"))


def parse_cpuinfo(text: str) -> tuple[str, list[str]]:
    values = dict(re.findall(r"^([^:\n]+?)\s*:[ \t]*(.*)$", text, re.MULTILINE))
    name = values.get("model name") or platform.processor() or platform.machine()
    flags = set((values.get("flags") or values.get("Features") or "").split())
    return name, [flag for flag in TELLING_FLAGS if flag in flags]


def memory_mib() -> int | None:
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20


def peak_memory_mib() -> float | None:
    """The most memory this process has held so far."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, kilobytes here


def jetson() -> dict[str, str] | None:
    """The board, its Linux for Tegra and JetPack generation; None on any other machine."""
    release = parse_tegra_release(_text("/etc/nv_tegra_release"))
    if release is None:
        return None
    board = _text("/proc/device-tree/model").strip("\0\n ")
    generation = JETPACK.get(int(release.partition(".")[0]), "unknown")
    return {"board": board or "unknown", "l4t": release, "jetpack": generation}


def parse_tegra_release(text: str) -> str | None:
    """`# R36 (release), REVISION: 4.3, …` is L4T 36.4.3."""
    match = re.search(r"R(\d+) \(release\), REVISION: (\d+(?:\.\d+)*)", text)
    return f"{match[1]}.{match[2]}" if match else None


def power_mode() -> str | None:
    if not shutil.which("nvpmodel"):
        return None
    try:
        done = subprocess.run(
            ["nvpmodel", "-q"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"Power Mode: *(\S+)", done.stdout)
    return match[1] if match else None


def gpus() -> list[Gpu]:
    """The devices of the NVIDIA driver. OSError says what keeps it from answering."""
    driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    _check(driver.cuInit(0), "cuInit")
    version, count = ctypes.c_int(), ctypes.c_int()
    _check(driver.cuDriverGetVersion(ctypes.byref(version)), "cuDriverGetVersion")
    _check(driver.cuDeviceGetCount(ctypes.byref(count)), "cuDeviceGetCount")
    cuda = f"{version.value // 1000}.{version.value % 1000 // 10}"
    return [_gpu(driver, index, cuda) for index in range(count.value)]


def _gpu(driver: ctypes.CDLL, index: int, cuda: str) -> Gpu:
    device, memory = ctypes.c_int(), ctypes.c_size_t()
    name = ctypes.create_string_buffer(256)
    _check(driver.cuDeviceGet(ctypes.byref(device), index), "cuDeviceGet")
    _check(driver.cuDeviceGetName(name, len(name), device), "cuDeviceGetName")
    _check(driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device), "cuDeviceTotalMem")
    parts = []
    for attribute in (75, 76):  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
        value = ctypes.c_int()
        status = driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        _check(status, "cuDeviceGetAttribute")
        parts.append(str(value.value))
    return Gpu(name.value.decode(errors="replace"), ".".join(parts), memory.value >> 20, cuda)


def _check(status: int, call: str) -> None:
    if status != 0:
        raise OSError(f"{call} of the NVIDIA driver failed with status {status}")


def nvcc() -> str | None:
    """CUDA's compiler, also where its folder is not on PATH, as on a Jetson."""
    return shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")


def cache_folder() -> Path:
    """Where what is made for this machine is kept, such as compiled engines."""
    if chosen := os.environ.get("DERMEDGE_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "dermedge"


def engine_folder(cache: Path | None = None) -> Path:
    """Compiled engines, in the cache folder that was named or in the usual one."""
    return (cache or cache_folder()) / "engines"


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
