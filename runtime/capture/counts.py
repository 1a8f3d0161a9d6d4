"""What became of a camera's frames."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Fate = Literal["waiting", "frozen", "black", "damaged"]
"""Of a frame when word of it comes; one that waits is looked at, or passed over for a newer one."""


@dataclass(slots=True)
class Counts:
    """Frames since the start. Each is counted where its fate is known, and none is a remainder.

    So that `received`, which is the reader's own count, is a check of the others: it is their sum.
    """

    received: int = 0
    good: int = 0  # looked at, and nothing to do better
    poor: int = 0  # looked at: there was a hint
    frozen: int = 0
    black: int = 0
    damaged: int = 0
    unread: int = 0  # came faster than they could be read or taken
    passed: int = 0  # taken, and a newer one was there before they were looked at
    waiting: int = 0  # taken, and not looked at yet
    openings: int = 0  # of the camera

    @property
    def rejected(self) -> int:
        return self.poor + self.frozen + self.black + self.damaged

    @property
    def dropped(self) -> int:
        return self.unread + self.passed

    @property
    def given(self) -> int:
        """As the newest one, to whoever wanted it."""
        return self.good + self.poor + self.passed + self.waiting

    @property
    def unaccounted(self) -> int:
        """0, or the books are wrong."""
        return self.received - self.good - self.rejected - self.dropped - self.waiting

    def as_facts(self) -> dict[str, int]:
        return asdict(self) | {"rejected": self.rejected, "dropped": self.dropped}

    def note(self, received: int, unread: int, fate: Fate) -> None:
        """One more of this fate: the last that was received. So many before it were not read."""
        self.received = received
        self.unread += unread
        setattr(self, fate, getattr(self, fate) + 1)

    def note_passed(self) -> None:
        self.waiting -= 1
        self.passed += 1

    def note_look(self, good: bool) -> None:
        self.waiting -= 1
        if good:
            self.good += 1
        else:
            self.poor += 1
