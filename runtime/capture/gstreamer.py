"""Any GStreamer pipeline, and with it the CSI cameras of a Jetson.

The pipeline runs in `gst-launch-1.0`, whether or not OpenCV was built with GStreamer: one way that
is tested everywhere, and a plugin that crashes takes only that process along. It writes raw
pictures to one pipe; their size it tells on its standard output, before the first of them.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence

import numpy as np

from runtime.capture.address import Address
from runtime.capture.source import Place, Source, SourceLost
from runtime.child_process import end_with_parent
from runtime.preprocess import Image

PROGRAM = "gst-launch-1.0"
SINK = (
    "! queue leaky=downstream max-size-buffers=2 max-size-bytes=0 max-size-time=0 "
    "! videoconvert ! video/x-raw,format=BGR ! fdsink name=dermedge sync=false fd={}"
)
CSI = (
    "nvarguscamerasrc sensor-id={} ! video/x-raw(memory:NVMM),format=NV12 "
    "! nvvidconv ! video/x-raw,format=BGRx"
)
CAPS = re.compile(
    rb"GstFdSink:dermedge.*caps = video/x-raw.*width=\(int\)(\d+), height=\(int\)(\d+)"
)
START_SECONDS, SILENCE_SECONDS = 10.0, 5.0
# Once in a hundred starts GStreamer 1.22 never says the size, though pictures come.
MUTE_SECONDS = 2.0


class GStreamer(Source):
    def __init__(self, address: Address) -> None:
        self.name = address.name
        pipeline = CSI.format(address.where) if address.kind == "csi" else address.where
        program = shutil.which(PROGRAM)
        if program is None:
            raise SourceLost(
                f"{self.name} needs GStreamer, which is not installed.",
                got=f"no {PROGRAM}",
                remedy="apt-get install gstreamer1.0-tools gstreamer1.0-plugins-good",
            )
        self._pictures, theirs = os.pipe()
        words = shlex.split(f"{pipeline} {SINK.format(theirs)}")
        try:
            self._process = subprocess.Popen(
                [program, "-v", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs,),
                start_new_session=True,
                # Where this reader is killed, nobody calls close. It has no other thread.
                preexec_fn=end_with_parent,  # noqa: PLW1509
            )
        finally:
            os.close(theirs)
        try:
            self.width, self.height = self._wait_for_size()
        except BaseException:
            self.close()
            raise
        self.what = f"GStreamer, {self.width} × {self.height}"
        self._row = -(-self.width * 3 // 4) * 4  # GStreamer's rows begin at multiples of 4 bytes

    def _wait_for_size(self) -> tuple[int, int]:
        said = bytearray()
        deadline, mute = time.monotonic() + START_SECONDS, None
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        while (now := time.monotonic()) < deadline:
            if mute is None and select.select([self._pictures], [], [], 0)[0]:
                mute = now + MUTE_SECONDS
            if mute is not None and now > mute:
                raise SourceLost(
                    f"The pipeline {self.name} sends pictures, but does not say of what size.",
                    got=_last_error(said),
                )
            ready, _, _ = select.select([output], [], [], 0.1)
            data = os.read(output, 1 << 16) if ready else None
            if data == b"":
                break
            said += data or b""
            if found := CAPS.search(said):
                return int(found[1]), int(found[2])
        raise SourceLost(f"The pipeline {self.name} gives no pictures.", got=_last_error(said))

    def read(self, place: Place) -> Image:
        self._drain_words()
        target = place(self.height, self.width)
        if self._row == self.width * 3:
            self._fill(target.reshape(-1).data)
            return target
        rows = np.empty(self._row * self.height, np.uint8)
        self._fill(rows.data)
        np.copyto(
            target,
            rows.reshape(self.height, self._row)[:, : self.width * 3].reshape(target.shape),
        )
        return target

    def _fill(self, into: memoryview) -> None:
        filled = 0
        while filled < len(into):
            ready, _, _ = select.select([self._pictures], [], [], SILENCE_SECONDS)
            if not ready:
                raise SourceLost(f"The pipeline {self.name} has fallen silent.")
            got = os.readv(self._pictures, [into[filled:]])
            if got == 0:
                raise SourceLost(f"The pipeline {self.name} has ended.", got=self._last_words())
            filled += got

    def _drain_words(self) -> None:
        """A pipe that nobody empties would stop the pipeline. A size that changes ends it."""
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        while select.select([output], [], [], 0)[0]:
            data = os.read(output, 1 << 16)
            if not data:
                return
            sizes: Sequence[tuple[bytes, bytes]] = CAPS.findall(data)
            if any((int(w), int(h)) != (self.width, self.height) for w, h in sizes):
                raise SourceLost(f"The pipeline {self.name} changed the size of its pictures.")

    def _last_words(self) -> str:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], 1.0)[0]:
            return "no reason"
        return _last_error(os.read(self._process.stdout.fileno(), 1 << 16))

    def close(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        os.close(self._pictures)


def _last_error(said: bytes | bytearray) -> str:
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines()]
    errors = [line for line in lines if line.startswith(("ERROR", "WARNING: erroneous"))]
    return (errors or [line for line in lines if line] or ["no reason"])[-1]
