"""The kernels by name, and how many threads each is started with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.device.compiling import compiled_kernels

if TYPE_CHECKING:
    from runtime.device.driver import Cuda

BLOCK = 128  # threads: small enough that a little network's input still fills every processor

SIGNATURES = {  # as struct has it: P an address, i an int, f a float
    "clear_states": "Pi",
    "fill_targets": "PPPPPPii",
    "threshold_mask": "PiifPPP",
    "join_lesion": "Pii",
    "count_areas": "PPi",
    "choose_lesion": "PPiP",
    "spread_outside": "PPiP",
    "join_outside": "Pii",
    "settle_mask": "PPPiiiPP",
    "place_boxes": "PPiiPiPP",
    "clear_broken": "Pi",
    "find_broken": "PiP",
    "stack_members": "PiP",
}


class Kernels:
    """Loaded on a GPU. A call puts one launch on a stream: threads × rows × frames."""

    def __init__(self, cuda: Cuda) -> None:
        image, origin = compiled_kernels(cuda.capability, cuda.driver_version)
        self._cuda = cuda
        self._module = cuda.load(image, origin)
        self._functions = {
            name: cuda.kernel(self._module, name, types) for name, types in SIGNATURES.items()
        }

    def __call__(
        self, name: str, stream: Any, *given: float, threads: int, rows: int = 1, frames: int = 1
    ) -> None:
        grid = (-(-threads // BLOCK), rows, frames)
        self._cuda.launch(self._functions[name], grid, BLOCK, stream, *given)
