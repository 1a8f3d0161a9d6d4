"""Files that are there whole or not at all, whenever a process is killed or a disk is full."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

PARTIAL = ".partial"  # what a power cut may leave has this ending, and begins with a dot


@contextmanager
def appearing_whole(
    path: Path, opener: Callable[[str, int], int] | None = None
) -> Iterator[IO[bytes]]:
    """A file that has its name, in place of what had it, only once all of it is on the disk."""
    partial = path.with_name(f".{path.name}{PARTIAL}")
    try:
        partial.unlink(missing_ok=True)  # of one that was killed, and never somebody else's
        with open(partial, "xb", opener=opener) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def write_whole(path: Path, content: bytes) -> None:
    with appearing_whole(path) as file:
        file.write(content)
