"""The kernels, compiled by nvcc for the GPU that is here, once, and kept.

    python -m runtime.device.compiling

makes one file for every architecture that this nvcc knows, to be taken to machines of the same
CUDA generation that have no nvcc: put it where the error message of such a machine says.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
from pathlib import Path

import click

from runtime.backends.engine_cache import refuse_others_folder
from runtime.errors import BackendError
from runtime.machine import cache_folder, nvcc
from runtime.whole_file import write_whole

SOURCES = Path(__file__).parent / "kernels"
UNIT = SOURCES / "kernels.cu"
ARCHITECTURES = (75, 80, 86, 87, 89, 90, 100, 110, 120)
BEFORE_13 = {110: 101}  # Thor, as CUDA 12 called it
OPTIONS = ("-O3", "-std=c++14")

Capability = tuple[int, ...]


def compiled_kernels(capability: Capability, driver: str) -> tuple[bytes, Path]:
    """What the driver can load, and where it lies: from the cache, from nvcc, or brought along."""
    folder = cache_folder() / "kernels"
    if folder.exists():
        refuse_others_folder(folder)
    kept = folder / f"{fingerprint()}-sm_{_number(capability)}-{driver}.cubin"
    if kept.is_file():
        return kept.read_bytes(), kept
    prebuilt = folder / prebuilt_name()
    if nvcc() is None and prebuilt.is_file():
        return prebuilt.read_bytes(), prebuilt
    image = compile_kernels([_number(capability)], prebuilt)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(kept, image)
    return image, kept


def fingerprint() -> str:
    """Of the sources and of how they are compiled: a change of either is compiled anew."""
    digest = hashlib.sha256(" ".join(OPTIONS).encode())
    for source in sorted(SOURCES.glob("*.cu*")):
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()[:16]


def compile_kernels(numbers: list[int], prebuilt: Path | None = None) -> bytes:
    """A cubin for one architecture, or one file for several, the last of them also as PTX."""
    compiler = nvcc()
    if compiler is None:
        raise BackendError(
            "The kernels have to be compiled for this GPU, and there is no compiler for them.",
            got="no nvcc on PATH or in /usr/local/cuda/bin",
            expected="NVIDIA's nvcc, of JetPack or of the CUDA toolkit",
            remedy="install CUDA's nvcc"
            + (f", or put the file made elsewhere at {prebuilt}" if prebuilt else ""),
        )
    if len(numbers) == 1:
        kind = ["-cubin", f"-arch=sm_{numbers[0]}"]
    else:
        kind = ["-fatbin", "--threads", "0", *_several(numbers)]
    with tempfile.TemporaryDirectory(prefix="dermedge-kernels-") as folder:
        made = Path(folder) / "made"
        words = [compiler, *OPTIONS, *kind, "-o", str(made), str(UNIT)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BackendError(
                "nvcc cannot compile the kernels.",
                got=_telling(done.stderr or done.stdout),
                expected=f"an nvcc that knows sm_{', sm_'.join(map(str, numbers))}",
                remedy="use the nvcc of the CUDA toolkit that belongs to the driver",
            )
        return made.read_bytes()


def prebuilt_name() -> str:
    """Of the sources that it was made of: another version's would compute rubbish."""
    return f"kernels-{fingerprint()}.fatbin"


def known_architectures() -> list[int]:
    """Of those wanted, what this nvcc knows, as it names them: older ones know fewer."""
    words = [nvcc() or "nvcc", "--list-gpu-arch"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    known = {int(number) for number in re.findall(r"compute_(\d+)\b", said)}
    both = [(number, BEFORE_13.get(number, number)) for number in ARCHITECTURES]
    return [next(n for n in names if n in known) for names in both if known & set(names)]


def _several(numbers: list[int]) -> list[str]:
    words = [f"-gencode=arch=compute_{number},code=sm_{number}" for number in numbers]
    return [*words, f"-gencode=arch=compute_{numbers[-1]},code=compute_{numbers[-1]}"]


def _number(capability: Capability) -> int:
    major, minor = capability
    return 10 * major + minor


def _telling(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "-")


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), help="Default: the name it is looked for by."
)
def main(out: Path | None) -> None:
    out = out or Path(prebuilt_name())
    numbers = known_architectures()
    write_whole(out, compile_kernels(numbers))
    print(f"{out}: sm_{', sm_'.join(map(str, numbers))}, {out.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
