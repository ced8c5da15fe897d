"""How a failed fetch is described: the cause of each kind of failure, over real sockets, on one printable line without secrets."""

import datetime
import ipaddress
import socket
import ssl
import string
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from tests.servers import FAULTS, KEYS, Handler, LiveIssuer, serving, until_shut

from resource_server.errors import Unavailable
from resource_server.keys.fetch_outcome import (
    MAX_OUTCOME_CHARACTERS,
    failure_outcome,
    printable,
    seconds_text,
    shown_address,
)
from resource_server.keys.http import fetch

HOUR = datetime.timedelta(hours=1)


def outcome(url: str, seconds: float = 5) -> str:
    with pytest.raises(Unavailable) as caught:
        fetch(url, seconds=seconds)
    return caught.value.outcome


# The name of a fault in tests/servers.py -> the outcome. Faults of a document are found later, by its reader.
OUTCOMES = {
    "404": "answered 404",
    "429 with seconds": "answered 429",
    "500": "answered 500",
    "a redirect": "answered 302, and redirects are not followed",
    "304 without having been asked": "answered 304",
    "a truncated body": "answer ended early",
    "ten megabytes": "larger than 256 KiB",
    "a connection that is reset": "connection reset",
}


@pytest.mark.parametrize(("fault", "expected"), OUTCOMES.items(), ids=OUTCOMES)
def test_a_server_that_fails(fault: str, expected: str) -> None:
    with LiveIssuer() as issuer:
        issuer.fault, reason = FAULTS[fault]
        with pytest.raises(Unavailable) as caught:
            fetch(issuer.address + KEYS, seconds=5)
        assert (caught.value.reason, caught.value.outcome) == (reason, expected)


ANSWERS: dict[str, tuple[Handler, str]] = {
    "no answer": (lambda connection: None, "connection closed without an answer"),
    "not HTTP": (lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n"), "not an HTTP answer"),
    "a bad chunk": (
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        "answer ended early",
    ),
    "endless headers": (
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"),
        "not an HTTP answer",
    ),
}


@pytest.mark.parametrize(("handler", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_is_none(handler: Handler, expected: str) -> None:
    with serving(handler) as server:
        assert outcome(server.url()) == expected


def test_a_connection_is_refused(free_port: Callable[[], int]) -> None:
    assert outcome(f"http://127.0.0.1:{free_port()}/") == "connection refused"


@pytest.mark.parametrize(("seconds", "expected"), [(0.3, "timed out after 0.3 s"), (1, "timed out after 1 s")])
def test_a_server_that_hangs(seconds: float, expected: str) -> None:
    with serving(until_shut) as server:
        assert outcome(server.url(), seconds) == expected


def test_an_address_of_this_machine_behind_a_public_issuer() -> None:
    with serving(until_shut) as server, pytest.raises(Unavailable) as caught:
        fetch(server.url(), seconds=5, public=True)
    assert caught.value.outcome == "leads to this machine or its link"


def test_a_name_that_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    # The resolver itself fails, without asking a server: it may not look the name up.
    numeric = partial(socket.getaddrinfo, flags=socket.AI_NUMERICHOST)
    monkeypatch.setattr(
        "urllib3.util.connection.socket.getaddrinfo", lambda host, port, **_: numeric("localhost", port)
    )
    assert outcome("https://localhost/") == "host name not found (Name or service not known)"


def tls(folder: Path, *, until: datetime.timedelta = HOUR, name: str = "127.0.0.1") -> ssl.SSLContext:
    """A server's TLS settings, whose certificate is in `server.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "the tests")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))])
    signed = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - 2 * HOUR)
        .not_valid_after(now + until)
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def test_a_certificate_that_is_signed_by_itself(tmp_path: Path) -> None:
    with serving(until_shut, tls(tmp_path)) as server:
        assert outcome(server.url()) == "certificate refused: self-signed certificate"


def test_a_certificate_that_has_expired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = tls(tmp_path, until=-HOUR)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    with serving(until_shut, context) as server:
        assert outcome(server.url()) == "certificate refused: certificate has expired"


def test_a_certificate_of_another_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = tls(tmp_path, name="127.0.0.2")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    with serving(until_shut, context) as server:
        found = outcome(server.url())
    assert found.startswith("certificate refused: IP address mismatch")
    assert "127.0.0.1" in found


def test_a_server_without_tls() -> None:
    def answer() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            until_shut(connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer)
        thread.start()
        assert outcome(f"https://127.0.0.1:{listening.getsockname()[1]}/").startswith("TLS failed: ")
        thread.join()


def test_a_proxy_that_fails(free_port: Callable[[], int]) -> None:
    proxy = urllib3.ProxyManager(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(urllib3.exceptions.ProxyError) as caught:
        proxy.request("GET", "https://issuer.invalid/", retries=False)
    assert failure_outcome(caught.value) == "the proxy failed: connection refused"


def test_an_error_of_an_unknown_kind_is_not_quoted() -> None:
    assert failure_outcome(RuntimeError("https://ada:hunter2@issuer.test/")) == "RuntimeError"


def test_errors_that_cause_one_another_in_a_circle_end() -> None:
    first, second = RuntimeError(), ValueError()
    first.__context__, second.__context__ = second, first
    assert failure_outcome(first) == "RuntimeError"


# {address: as it is shown}
ADDRESSES = {
    "https://issuer.test/keys": "https://issuer.test/keys",
    "https://issuer.test:8443/keys": "https://issuer.test:8443/keys",
    "https://ada:hunter2@issuer.test/keys": "https://issuer.test/keys",
    "https://a@b:hunter2@issuer.test/keys": "https://issuer.test/keys",
    "https://issuer.test/keys?p=b2c&key=hunter2#hunter3": "https://issuer.test/keys?...",
    "https://[2001:db8::1]/keys": "https://[2001:db8::1]/keys",
    "https://[hunter2": "an address that cannot be read",
    "https://issuer.test/\x1b[2J\u202e": r"https://issuer.test/\x1b[2J\u202e",
}


@pytest.mark.parametrize(("url", "shown"), ADDRESSES.items(), ids=map(repr, ADDRESSES))
def test_an_address_is_shown_without_secrets(url: str, shown: str) -> None:
    assert shown_address(url) == shown


@given(text=st.text())
def test_any_text_is_shown_on_one_printable_line(text: str) -> None:
    for shown in (printable(text), printable(text * 100), shown_address(text)):
        assert len(shown) <= MAX_OUTCOME_CHARACTERS
        assert set(shown) <= set(string.printable) - set("\t\n\r\x0b\x0c")


def test_seconds_are_short() -> None:
    assert list(map(seconds_text, (5.0, 4.9999, 0.3, 2.54))) == ["5 s", "5 s", "0.3 s", "2.5 s"]
