"""Who may ask what: names, tokens, foreign pages, sizes, rates, and the headers of every answer."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from runtime.errors import UsageError
from runtime.web.policy import Policy
from runtime.web.server import Listening, parse_listening, read_token
from runtime.web.tries import MOST_PLACES, TooManyTries, Tries
from tests.runtime.web.screens import OWN, Answer, Screen, running

TOKEN = "a token that is long enough"


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    with running(tmp_path_factory.mktemp("guard")) as screen:
        screen.ready()
        yield screen


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    folder = tmp_path_factory.mktemp("locked")
    (folder / "token").write_text(TOKEN + "\n")
    certificate, key = self_signed(folder)
    listening = Listening("127.0.0.1", 0, folder / "token", certificate, key)
    with running(folder, listening) as screen:
        screen.ready()
        yield screen


def self_signed(folder: Path) -> tuple[Path, Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.timezone.utc)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.mark.parametrize("path", ["/", "/static/main.js", "/api/about", "/nowhere", "/login"])
def test_every_answer_forbids_what_our_pages_do_not_need(screen: Screen, path: str) -> None:
    headers = screen.ask(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "server" not in headers


def test_answers_about_patients_are_not_kept_by_browsers(screen: Screen) -> None:
    assert screen.ask("/api/captures").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:1", ""])
def test_another_name_is_refused(screen: Screen, host: str) -> None:
    """A foreign page may have had its name changed to our address."""
    assert screen.ask("/api/captures", headers={"Host": host}).status == 421


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {**OWN, "Origin": "https://evil.example"},
        {**OWN, "Origin": "null"},
        {**OWN, "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_foreign_page_captures_nothing(screen: Screen, headers: dict[str, str]) -> None:
    before = len(screen.ask("/api/captures").json)
    assert screen.ask("/api/captures", "POST", b"{}", headers).status == 403
    assert len(screen.ask("/api/captures").json) == before


def test_a_foreign_page_reads_nothing(screen: Screen) -> None:
    assert screen.ask("/api/captures", headers={"Sec-Fetch-Site": "cross-site"}).status == 403
    assert "access-control-allow-origin" not in screen.ask("/api/captures").headers
    assert screen.ask("/api/captures", "OPTIONS", headers=OWN).status == 405


def test_our_own_page_may(screen: Screen) -> None:
    headers = {**OWN, "Origin": screen.url, "Sec-Fetch-Site": "same-origin"}
    assert screen.ask("/api/captures", "POST", b"{}", headers).status == 201


def test_what_is_too_large_is_refused(screen: Screen) -> None:
    assert screen.ask("/api/captures", "POST", b" " * 200_000, OWN).status == 413
    lying = {**OWN, "Transfer-Encoding": "chunked"}
    chunks = b"%x\r\n" % 200_000 + b" " * 200_000 + b"\r\n0\r\n\r\n"
    assert screen.ask("/api/captures", "POST", chunks, lying).status == 413
    assert screen.ask("/api/infer", "POST", b" " * 200_000, OWN).status == 422


def test_too_many_are_refused(screen: Screen) -> None:
    statuses = [screen.ask("/api/infer", "POST", b"", OWN).status for _ in range(40)]
    assert 429 in statuses
    assert set(statuses) == {422, 429}


@pytest.mark.parametrize("path", ["/api/captures", "/api/about", "/live", "/api/export.zip"])
def test_without_the_token_nothing_is_told(locked: Screen, path: str) -> None:
    assert locked.ask(path).status == 401
    wrong = {"Authorization": "Bearer no"}
    assert locked.ask(path, headers=wrong, source="127.0.0.2").status == 401
    assert locked.ask(path, headers={"Cookie": "dermedge=no"}).status == 401
    assert locked.ask(path, headers={"Cookie": "dermedge=\x01;;="}).status == 401
    assert locked.ask(path, headers={"Cookie": "dermedge=\xe4"}).status == 401


def test_with_it_everything_is(locked: Screen) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert locked.ask("/api/about", headers=bearer).status == 200
    page = locked.ask("/", headers={"Accept": "text/html"})
    assert (page.status, page.headers["location"]) == (303, "/login")
    assert locked.ask("/login").status == 200
    assert locked.ask("/static/screen.css").status == 200
    assert locked.ask("/health").status == 200
    wrong = locked.ask("/login", "POST", b"token=wrong")
    assert (wrong.status, wrong.headers["location"]) == (303, "/login?wrong")
    right = locked.ask("/login", "POST", b"token=a+token+that+is+long+enough")
    cookie = right.headers["set-cookie"]
    assert TOKEN not in cookie
    for word in ("HttpOnly", "Secure", "SameSite=strict"):
        assert word in cookie
    kept = {"Cookie": cookie.partition(";")[0]}
    assert locked.ask("/api/captures", headers=kept).status == 200
    assert locked.ask("/api/captures", "POST", b"{}", kept).status == 403, "a cookie is not enough"
    assert locked.ask("/api/captures", "POST", b"{}", {**kept, **OWN}).status == 201


def test_guessing_by_header_is_slow(locked: Screen) -> None:
    """Once there were too many, a right one is not told from a wrong one."""
    cookie = logged_in(locked)
    guesser = "127.0.0.3"
    guess, right = ({"Authorization": f"Bearer {token}"} for token in ("guess", TOKEN))
    statuses = [locked.ask("/api/about", headers=guess, source=guesser).status for _ in range(7)]
    assert (statuses[0], statuses[-1]) == (401, 429)
    assert locked.ask("/api/about", headers=right, source=guesser).status == 429
    assert log_in(locked, TOKEN, guesser).status == 429, "nor at the door"
    assert locked.ask("/api/about", headers=right).status == 200, "the owner is elsewhere"
    assert locked.ask("/api/about", headers=cookie, source=guesser).status == 200, "or logged in"


def test_guessing_at_the_door_is_slow(locked: Screen) -> None:
    statuses = [log_in(locked, "guess", "127.0.0.4").status for _ in range(7)]
    assert (statuses[0], statuses[-1]) == (303, 429)
    assert log_in(locked, TOKEN, "127.0.0.4").status == 429
    assert log_in(locked, TOKEN).status == 303, "the owner is not locked out"


def log_in(screen: Screen, token: str, source: str = "127.0.0.1") -> Answer:
    return screen.ask("/login", "POST", urlencode({"token": token}).encode(), source=source)


def logged_in(screen: Screen) -> dict[str, str]:
    return {"Cookie": log_in(screen, TOKEN).headers["set-cookie"].partition(";")[0]}


def test_right_tokens_are_not_counted(locked: Screen) -> None:
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert {locked.ask("/api/about", headers=right).status for _ in range(8)} == {200}
    assert {log_in(locked, TOKEN).status for _ in range(8)} == {303}


def test_guesses_by_many_names_of_one_machine_are_counted_together() -> None:
    tries = Tries()
    for number in range(5):
        tries.note_wrong(f"2001:db8::{number:x}%eth0")
        tries.note_wrong("::ffff:10.0.0.9")
    for address in ("2001:db8::99", "10.0.0.9"):
        with pytest.raises(TooManyTries):
            tries.require_one(address)
    for address in ("2001:db8:0:1::1", "10.0.0.8", "", "no address"):
        tries.require_one(address)


def test_guessers_by_thousands_fill_no_memory() -> None:
    tries = Tries()
    for number in range(MOST_PLACES + 10):
        tries.note_wrong(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(tries._places) == MOST_PLACES


def test_by_an_address_of_this_machine_it_is_reached(tmp_path: Path) -> None:
    """All of 127.0.0.0/8 are; of a network card's, this machine may have none."""
    (tmp_path / "token").write_text(TOKEN + "\n")
    listening = Listening("0.0.0.0", 0, tmp_path / "token", *self_signed(tmp_path))
    with running(tmp_path, listening) as screen:
        port = int(screen.url.rpartition(":")[2])
        screen.url = f"https://127.0.0.7:{port}"
        cookie = logged_in(screen)
        assert screen.ask("/api/about", headers=cookie).status == 200
        ours = {**cookie, **OWN, "Origin": screen.url}
        screen.ready()
        assert screen.ask("/api/captures", "POST", b"{}", ours).status == 201
        for host in (f"127.0.0.8:{port}", "127.0.0.7", f"evil.example:{port}", f"10.0.0.1:{port}"):
            assert screen.ask("/api/about", headers={**cookie, "Host": host}).status == 421


@pytest.mark.parametrize(
    ("server", "scheme", "name"),
    [
        (("192.168.1.5", 8443), "https", "192.168.1.5:8443"),
        (("192.168.1.5", 443), "https", "192.168.1.5"),
        (("::ffff:192.168.1.5", 8443), "https", "192.168.1.5:8443"),
        (("fe80::1%eth0", 80), "http", "[fe80::1]"),
    ],
)
def test_addresses_as_browsers_write_them(server: tuple[str, int], scheme: str, name: str) -> None:
    assert name in Policy(frozenset(), scheme).names(server)
    assert Policy(frozenset({"a:1"})).names(None) == {"a:1"}


def test_a_certificate_that_is_none_is_said(tmp_path: Path) -> None:
    for name in ("token", "cert.pem", "key.pem"):
        (tmp_path / name).write_text(TOKEN)
    files = [tmp_path / name for name in ("token", "cert.pem", "key.pem")]
    with (
        pytest.raises(UsageError, match="cannot be served"),
        running(tmp_path, Listening("127.0.0.1", 0, *files)),
    ):
        pass


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("8080", "a host and a port"),
        (":8080", "a host and a port"),
        ("localhost:http", "a host and a port"),
        ("localhost:99999", "a host and a port"),
        ("0.0.0.0:8080", "can be reached from other machines"),
        ("[::]:8080", "can be reached from other machines"),
        ("192.168.1.5:8080", "can be reached from other machines"),
        ("device.local:8080", "can be reached from other machines"),
    ],
)
def test_where_it_may_not_listen(given: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_listening(given, None, None, None)


def test_where_it_may_listen(tmp_path: Path) -> None:
    for given in ("127.0.0.1:0", "localhost:8080", "[::1]:8080"):
        assert parse_listening(given, None, None, None).scheme == "http"
    certificate, key = self_signed(tmp_path)
    listening = parse_listening("0.0.0.0:8443", tmp_path / "token", certificate, key)
    assert (listening.host, listening.scheme) == ("0.0.0.0", "https")
    with pytest.raises(UsageError) as caught:
        parse_listening("0.0.0.0:8443", None, certificate, key)
    assert "no --token-file" in str(caught.value)
    with pytest.raises(UsageError, match="certificate and its key"):
        parse_listening("0.0.0.0:8443", tmp_path / "token", certificate, None)


def test_a_token_is_long(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("short")
    with pytest.raises(UsageError, match="too short"):
        read_token(tmp_path / "token")
    with pytest.raises(UsageError, match="cannot be read"):
        read_token(tmp_path / "none")
    assert read_token(None) is None
