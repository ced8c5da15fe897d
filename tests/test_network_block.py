"""The tests reach no further than this machine, whatever the code under test does about it."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.processes import run_pytest


def _connect() -> None:
    socket.create_connection(("192.0.2.1", 443), timeout=1)


def _connect_by_name() -> None:
    socket.create_connection(("issuer.test", 443), timeout=1)


def _connect_ipv6() -> None:
    with socket.socket(socket.AF_INET6) as connection:
        connection.connect(("2001:db8::1", 443))


def _send_datagram() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as datagram:
        datagram.sendto(b"", ("192.0.2.1", 53))


def _connect_async() -> None:
    asyncio.run(asyncio.wait_for(asyncio.open_connection("192.0.2.1", 443), 1))


@pytest.mark.parametrize("attempt", [_connect, _connect_by_name, _connect_ipv6, _send_datagram, _connect_async])
def test_the_network_is_refused(attempt: Callable[[], None], refused_connections: list[str]) -> None:
    with pytest.raises(AssertionError, match="reached for the network"):
        attempt()
    assert len(refused_connections) == 1
    refused_connections.clear()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_not(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection((host, server.getsockname()[1]), timeout=5).close()


def test_an_attempt_that_is_swallowed_fails_the_test_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "test_swallow.py").write_text(
        "import contextlib, socket\n"
        "def test_swallow():\n"
        "    with contextlib.suppress(BaseException):\n"
        "        socket.create_connection(('192.0.2.1', 443), timeout=1)\n"
    )
    done = run_pytest(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the test reached for the network" in done.stdout


def test_unix_sockets_are_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a unix socket has hardly 100 bytes
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("socket")
        server.listen()
        client.connect("socket")
