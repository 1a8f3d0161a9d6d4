"""Where the screen listens: on this machine alone, or with a token and TLS for others."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

from runtime.errors import UsageError, missing_extra
from runtime.web.policy import Policy

if TYPE_CHECKING:
    import uvicorn

    from runtime.capture.station import Station

SHORTEST_TOKEN = 20
STOP_SECONDS = 3
BACKLOG, MOST_CONNECTIONS = 64, 256  # of those at most 32 from one address


@dataclass(frozen=True, slots=True)
class Listening:
    host: str
    port: int
    token_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @property
    def scheme(self) -> str:
        return "https" if self.certificate else "http"


def parse_listening(
    given: str, token_file: Path | None, certificate: Path | None, key: Path | None
) -> Listening:
    host, colon, port = given.rpartition(":")
    host = host.strip("[]")
    if not colon or not port.isdigit() or int(port) > 65535 or not host:
        raise UsageError("--web takes a host and a port.", got=given, expected="127.0.0.1:8080")
    if (certificate is None) != (key is None):
        raise UsageError(
            "TLS takes a certificate and its key.", expected="--tls-cert and --tls-key"
        )
    listening = Listening(host, int(port), token_file, certificate, key)
    missing = [
        option
        for option, file in (("--token-file", token_file), ("--tls-cert", certificate))
        if file is None
    ]
    if missing and not _is_loopback(host):
        raise UsageError(
            f"{host} can be reached from other machines.",
            got=f"no {' and no '.join(missing)}",
            expected="a token and TLS, or 127.0.0.1",
            remedy="--token-file, --tls-cert and --tls-key; docs/threat-model.md says how",
        )
    return listening


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as exc:
        raise UsageError(f"{file} cannot be read.", got=str(exc)) from exc
    if len(token) < SHORTEST_TOKEN:
        raise UsageError(
            f"The token in {file} is too short.",
            got=f"{len(token)} characters",
            expected=f"at least {SHORTEST_TOKEN}",
            remedy=f"(umask 077; head -c 24 /dev/urandom | base64 > {file})",
        )
    return token


@contextmanager
def serving(station: Station, listening: Listening) -> Iterator[str]:
    """The screen in a thread of its own, until the block ends; its address."""
    try:
        import uvicorn

        from runtime.web.app import make_app
        from runtime.web.connections import Connection
    except ImportError as exc:
        raise missing_extra("starlette and uvicorn", "web", "The screen") from exc
    listener = _listener(listening)
    host, port = listening.host, listener.getsockname()[1]
    policy = Policy(_hosts(host, port), listening.scheme, read_token(listening.token_file))
    closing = Event()
    config = uvicorn.Config(
        make_app(station, policy, closing),
        http=Connection,
        log_config=None,
        access_log=False,  # addresses of pictures are nobody's business
        server_header=False,
        proxy_headers=False,  # anybody on this machine could name another address as his own
        lifespan="off",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=STOP_SECONDS,
        ssl_certfile=listening.certificate,
        ssl_keyfile=listening.key,
    )
    server = uvicorn.Server(config)
    failures: list[Exception] = []
    thread = Thread(target=_serve, args=(server, listener, failures), name="screen", daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    if not server.started:
        listener.close()
        raise UsageError(
            "The screen cannot be served.",
            got="; ".join(map(str, failures)) or "the server ended at once",
            remedy="look at certificate and key; docs/threat-model.md says how to make them",
        )
    try:
        shown = f"[{host}]" if ":" in host else host
        yield f"{listening.scheme}://{shown}:{port}/"
    finally:
        closing.set()  # the server itself would wait for those who look on, and then break them off
        server.should_exit = True
        thread.join(2 * STOP_SECONDS)
        listener.close()


def _serve(server: uvicorn.Server, listener: socket.socket, failures: list[Exception]) -> None:
    try:
        server.run([listener])
    except Exception as exc:  # said by the thread that waits for it
        failures.append(exc)


def _listener(listening: Listening) -> socket.socket:
    family = socket.AF_INET6 if ":" in listening.host else socket.AF_INET
    try:
        return socket.create_server(
            (listening.host, listening.port), family=family, backlog=BACKLOG
        )
    except OSError as exc:
        raise UsageError(
            f"{listening.host}:{listening.port} cannot be listened on.",
            got=exc.strerror or str(exc),
            remedy="another port, as in --web 127.0.0.1:8081; port 0 takes a free one",
        ) from exc


def _hosts(host: str, port: int) -> frozenset[str]:
    """Names under which browsers may reach it; addresses are known when somebody comes by one."""
    names = {host}
    if _is_loopback(host):
        names |= {"localhost", "127.0.0.1", "::1"}
    elif host in ("0.0.0.0", "::"):
        names |= {"localhost", socket.getfqdn()}
        names |= {socket.gethostname(), f"{socket.gethostname()}.local"}
    shown = {f"[{name}]" if ":" in name else name.lower() for name in names}
    return frozenset(f"{name}:{port}" for name in shown) | (shown if port in (80, 443) else set())
