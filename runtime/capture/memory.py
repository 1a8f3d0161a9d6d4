"""Memory that stays flat for weeks: large buffers go back to the system as soon as they are free.

glibc raises by itself the size from which it asks the system for a buffer of its own, up to 32 MB.
Frames then lie in heaps, one for each thread, with holes between them that nothing fits in.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
LARGE, HEAPS = 256 * 1024, 2


def keep_flat() -> None:
    """Early, before threads have heaps. Other C libraries have no such setting, nor need it."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE)  # naming it also ends its growing
        libc.mallopt(M_ARENA_MAX, HEAPS)
