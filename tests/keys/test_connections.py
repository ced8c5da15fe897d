"""The connection to a host with several addresses, and the certificates that are trusted."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.certificates import certificate
from tests.lacking import lacking
from tests.servers import Server, serving

from resource_server.errors import Unavailable
from resource_server.keys import http
from resource_server.keys.http import fetch

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def answers(connection: socket.socket) -> None:
    connection.sendall(OK)


def refusal(url: str, **options: Any) -> str:
    with pytest.raises(Unavailable) as caught:
        fetch(url, **{"seconds": 5, **options})
    return caught.value.reason


@pytest.fixture(autouse=True)
def _no_thread_is_left_behind() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name == "resource-server-fetch":
            thread.join(10)
            assert not thread.is_alive()


# Every address of a host


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(answers) as running:
        yield running


@pytest.fixture
def dead(server: Server) -> Iterator[tuple[Any, ...]]:
    """An address that answers nothing: the queue of its socket is full. IPv6 if this machine has it."""
    family, host = socket.AF_INET6, "::1"
    with ExitStack() as stack:
        try:
            full = stack.enter_context(socket.create_server((host, server.port), family=family, backlog=0))
        except OSError:
            family, host = socket.AF_INET, "127.0.0.2"
            full = stack.enter_context(socket.create_server((host, server.port), backlog=0))
        for _ in range(2):
            filler = stack.enter_context(socket.socket(family))
            filler.setblocking(False)
            with suppress(BlockingIOError):
                filler.connect(full.getsockname())
        yield family, socket.SOCK_STREAM, 6, "", full.getsockname()


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets names stand for addresses, as a name server would. What is connected is real."""

    def to(*addresses: tuple[Any, ...]) -> None:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_options: list(addresses))

    return to


def at(port: int, host: str = "127.0.0.1") -> tuple[Any, ...]:
    return socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)


def test_a_dead_address_before_a_good_one_costs_a_moment(
    server: Server, dead: tuple[Any, ...], resolve: Callable[..., None]
) -> None:
    resolve(dead, at(server.port))
    started = time.monotonic()
    assert fetch(f"http://issuer.test:{server.port}/", seconds=5).body == b"{}"
    assert http.ATTEMPT_SECONDS - 0.05 < time.monotonic() - started < 1.5


def test_many_dead_addresses_leave_half_of_the_time_to_the_last(
    server: Server, dead: tuple[Any, ...], resolve: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of one family, so that they take no turns.
    monkeypatch.setattr(http, "_by_turns", list)
    resolve(*[dead] * 40, at(server.port))
    started = time.monotonic()
    assert fetch(f"http://issuer.test:{server.port}/", seconds=2).body == b"{}"
    assert time.monotonic() - started < 1.5


def test_a_refused_address_costs_no_time_at_all(
    server: Server, free_port: Callable[[], int], resolve: Callable[..., None]
) -> None:
    resolve(*(at(free_port()) for _ in range(5)), at(server.port))
    started = time.monotonic()
    assert fetch(f"http://issuer.test:{server.port}/", seconds=5).body == b"{}"
    assert time.monotonic() - started < http.ATTEMPT_SECONDS
    resolve(at(free_port()), at(free_port()))
    assert refusal("http://issuer.test/") == "fetch_failed"


def test_only_dead_addresses_end_at_the_deadline(dead: tuple[Any, ...], resolve: Callable[..., None]) -> None:
    resolve(dead, dead)
    started = time.monotonic()
    assert refusal("http://issuer.test/", seconds=0.4) == "fetch_timeout"
    assert 0.3 < time.monotonic() - started < 2


def test_a_name_without_an_address_is_a_failure(resolve: Callable[..., None]) -> None:
    resolve()
    assert refusal("http://issuer.test/") == "fetch_failed"


def test_the_sockets_that_lost_are_closed(
    server: Server, dead: tuple[Any, ...], resolve: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[socket.socket] = []
    begin = http._begin

    def noted(address: Any) -> socket.socket:
        begun.append(begin(address))
        return begun[-1]

    monkeypatch.setattr(http, "_begin", noted)
    resolve(dead, dead, at(server.port))
    fetch(f"http://issuer.test:{server.port}/", seconds=5)
    assert len(begun) >= 2
    assert {each.fileno() for each in begun} == {-1}


def test_the_families_take_turns() -> None:
    six = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (f"fd00::{number}", 443, 0, 0)) for number in range(4)]
    four = [at(443, f"10.0.0.{number}") for number in range(2)]
    assert http._by_turns([*six, *four]) == [six[0], four[0], six[1], four[1], six[2], six[3]]


def test_a_public_name_with_one_address_of_this_machine_is_refused_before_anything_is_sent(
    server: Server, resolve: Callable[..., None]
) -> None:
    resolve(at(443, "192.0.2.1"), at(server.port))
    assert refusal(f"http://issuer.test:{server.port}/", public=True) == "address_not_allowed"
    assert server.connections == 0


# Which certificates are trusted


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[Server]:
    with serving(answers, certificate(tmp_path / "issuer.pem")) as running:
        yield running


def test_a_ca_file_is_trusted_beside_openssls_own_store(
    issuer: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = certificate(tmp_path / "other.pem")
    ca_file = str(tmp_path / "issuer.pem")
    assert refusal(issuer.url()) == "fetch_failed"
    assert fetch(issuer.url(), seconds=5, ca_file=ca_file).body == b"{}"
    with serving(answers, other) as second:
        assert refusal(second.url(), ca_file=ca_file) == "fetch_failed"
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))
        for server in (issuer, second):
            assert fetch(server.url(), seconds=5, ca_file=ca_file).body == b"{}"


def test_a_folder_of_certificates_is_openssls(issuer: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openssl = shutil.which("openssl") or lacking("no openssl on PATH")
    asked = [openssl, "x509", "-hash", "-noout", "-in", str(tmp_path / "issuer.pem")]
    name = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    folder = tmp_path / "certificates"
    folder.mkdir()
    (folder / f"{name}.0").write_bytes((tmp_path / "issuer.pem").read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nothing"))
    assert refusal(issuer.url()) == "fetch_failed"
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    assert fetch(issuer.url(), seconds=5).body == b"{}"


def test_a_ca_file_is_read_at_each_fetch(issuer: Server, tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    assert refusal(issuer.url(), ca_file=str(ca_file)) == "fetch_failed"
    ca_file.write_bytes((tmp_path / "issuer.pem").read_bytes())
    assert fetch(issuer.url(), seconds=5, ca_file=str(ca_file)).body == b"{}"
    ca_file.write_bytes(b"")
    assert refusal(issuer.url(), ca_file=str(ca_file)) == "fetch_failed"


def test_a_certificate_of_another_name_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with serving(answers, certificate(tmp_path / "other.pem", "other.test")) as server:
        assert refusal(server.url(), ca_file=str(tmp_path / "other.pem")) == "fetch_failed"
        assert server.connections == 1
        assert server.requests == []
