"""A camera on the network that serves MJPEG, and can be told to fail in each of the known ways."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Literal

import cv2
import numpy as np

Way = Literal[
    "well", "stalled", "half", "garbage", "frozen", "black", "dark", "reset", "larger", "burst"
]
ALIKE = 64  # so many pictures are made; then they come again, which no two that follow do


@dataclass
class NetworkCamera:
    """`way` may be changed while it serves."""

    way: Way = "well"
    fps: float = 30.0
    url: str = ""
    sent: int = 0
    connections: int = 0
    asked: tuple[str, str | None] = ("", None)  # path and Authorization of the last request


@cache
def picture(number: int, width: int = 320, height: int = 240) -> bytes:
    """Skin with a lesion and the noise of a sensor; no two are alike."""
    rng = np.random.default_rng(number)
    image = np.full((height, width, 3), (150, 175, 220), np.uint8)
    cv2.ellipse(image, (width // 2, height // 2), (70, 50), 0, 0, 360, (50, 70, 110), -1)
    noisy = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", noisy)[1].tobytes()


@cache
def dark(number: int) -> bytes:
    """A sensor that no light reaches: nothing but its noise, which is never the same."""
    noise = np.random.default_rng(number).normal(4, 3, (240, 320, 3))
    return cv2.imencode(".jpg", np.clip(noise, 0, 255).astype(np.uint8))[1].tobytes()


BLACK = cv2.imencode(".jpg", np.zeros((240, 320, 3), np.uint8))[1].tobytes()
STILL = picture(0)


def _picture(camera: NetworkCamera) -> bytes:
    if camera.way == "frozen":
        return STILL
    if camera.way == "black":
        return BLACK
    if camera.way == "dark":
        return dark(camera.sent % ALIKE)
    if camera.way == "larger":
        return picture(camera.sent % ALIKE, 640, 480)
    made = picture(camera.sent % ALIKE)
    if camera.way == "garbage":
        return bytes(np.random.default_rng(camera.sent).integers(0, 256, len(made), dtype=np.uint8))
    return made[: len(made) // 2] if camera.way == "half" else made


def _handler(camera: NetworkCamera) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            camera.asked = (self.path, self.headers.get("Authorization"))
            if self.path != "/stream":
                self.send_error(404)
                return
            camera.connections += 1
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            with suppress(OSError):
                self._stream()

        def _stream(self) -> None:
            while True:
                time.sleep(0.0 if camera.way == "burst" else 1 / camera.fps)
                if camera.way == "stalled":
                    continue
                data = _picture(camera)
                head = f"--frame\r\nContent-Length: {len(data)}\r\n\r\n".encode()
                if camera.way == "reset":
                    self.wfile.write(head + data[: len(data) // 2])
                    camera.way = "well"
                    self.close_connection = True
                    # No orderly end: what closes now says "connection reset by peer".
                    at_once = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                    return
                self.wfile.write(head + data + b"\r\n")
                camera.sent += 1

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        self.close_request(request)  # without the polite words before it


@contextmanager
def network_camera(way: Way = "well", fps: float = 30.0, port: int = 0) -> Iterator[NetworkCamera]:
    camera = NetworkCamera(way, fps)
    server = _Server(("127.0.0.1", port), _handler(camera))
    camera.url = f"http://127.0.0.1:{server.server_port}/stream"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield camera
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
