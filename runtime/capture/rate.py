"""How often something happens."""

from __future__ import annotations

import time
from collections import deque

SECONDS, MOST = 2.0, 256  # that the rate is taken over


class Rate:
    """A second, over the last moments; it falls when nothing comes any more."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=MOST)

    def note(self) -> None:
        self._times.append(time.monotonic())

    def a_second(self) -> float:
        now = time.monotonic()
        times = list(self._times)  # as they are now: others go on noting
        late = [each for each in times if each >= now - SECONDS]
        return (len(late) - 1) / (now - late[0]) if len(late) > 1 else 0.0
