"""Real services for the tests, and a network that reaches no further than this machine."""

import contextvars
import gc
import ipaddress
import os
import shutil
import socket
import sys
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest
import redis
from _pytest import runner
from psycopg import sql
from tests.lacking import lacking

from resource_server import refusal_log
from resource_server.refusal_summary import RefusalSummary
from resource_server.tokens.nonces import NONCE_SECONDS

POSTGRES_URL = os.environ.get("POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
MARIADB_URL = os.environ.get("MARIADB_URL", "mysql://root@127.0.0.1:3306")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")

_refused_connections: list[str] = []


def _is_local(address: Any) -> bool:
    if not isinstance(address, tuple):  # a unix socket's path
        return True
    host = address[0]
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in {None, "", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which needs a name server
        return False


def _refuse_remote_addresses(event: str, arguments: tuple[Any, ...]) -> None:
    # An audit hook sees what every Python socket does, asyncio's too, and nothing can patch it away. The error is not an
    # OSError, because code that handles an unreachable server would hide the attempt.
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        address = arguments[1]
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        address = arguments[:1]
    else:
        return
    if address is not None and not _is_local(address):
        _refused_connections.append(f"{event} {address!r}")
        raise AssertionError(f"a test reached for the network: {event} {address!r}")


sys.addaudithook(_refuse_remote_addresses)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the collector of garbage off the tests themselves: to look through 18,000 of them takes it a second each time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> object:
    """Run each test in a context of its own.

    Each change of `CACHES` leaves a context variable behind, and each step between sync and async code copies them all:
    after a thousand tests an asynchronous request takes ten times as long.
    """
    return contextvars.copy_context().run(runner.pytest_runtest_protocol, item, nextitem)


@pytest.fixture
def refused_connections() -> list[str]:
    """The attempts of this test to leave this machine. A test that makes one on purpose must empty the list, or it fails."""
    return _refused_connections


@pytest.fixture(autouse=True)
def _only_this_machine() -> Iterator[None]:
    _refused_connections.clear()
    yield
    attempts = list(_refused_connections)
    _refused_connections.clear()
    assert attempts == [], "the test reached for the network"


@pytest.fixture(autouse=True)
def _no_refusals_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start each test as a process starts. Otherwise the summary of a minute tells one test of the others' refusals."""
    monkeypatch.setattr(refusal_log, "summary", RefusalSummary())


@pytest.fixture
def one_nonce() -> None:
    """Wait where the nonce of DPoP is about to change: a test that compares nonces must not meet two of them."""
    while time.time() % NONCE_SECONDS > NONCE_SECONDS - 15:
        time.sleep(0.1)


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    """URL of a fresh PostgreSQL database, dropped after the module."""
    try:
        server = psycopg.connect(POSTGRES_URL, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError:
        lacking("no PostgreSQL answers at POSTGRES_URL (default: 127.0.0.1:5432, user postgres)")
    name = f"resource_server_test_{uuid.uuid4().hex}"
    with server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield f"{POSTGRES_URL.rpartition('/')[0]}/{name}"
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def mariadb_url() -> Iterator[str]:
    """URL of a fresh MariaDB database, dropped after the module. Django's backend for MySQL finds PyMySQL."""
    pymysql.install_as_MySQLdb()
    url = urlsplit(MARIADB_URL)
    try:
        server = pymysql.connect(
            host=url.hostname, port=url.port or 3306, user=url.username, password=url.password or "", connect_timeout=5
        )
    except pymysql.err.MySQLError:
        lacking("no MariaDB answers at MARIADB_URL (default: 127.0.0.1:3306, user root, no password)")
    name = f"resource_server_test_{uuid.uuid4().hex}"
    with server, server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            yield f"{MARIADB_URL.rstrip('/')}/{name}"
        finally:
            cursor.execute(f"DROP DATABASE {name}")


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """URL of a Redis database that was empty and that no other test uses, flushed after the module."""
    # Database 0 records which numbers are in use. Only an empty database is taken, so no other data is flushed.
    with redis.Redis.from_url(REDIS_URL, db=0, socket_connect_timeout=5) as server:
        try:
            server.ping()
        except redis.ConnectionError:
            lacking("no Redis answers at REDIS_URL (default: 127.0.0.1:6379)")
        for number in range(1, 16):
            claim = f"resource-server-tests:database:{number}"
            if not server.set(claim, os.getpid(), nx=True, ex=3600):
                continue
            with redis.Redis.from_url(REDIS_URL, db=number) as database:
                try:
                    if database.dbsize() == 0:
                        yield f"{REDIS_URL}/{number}"
                        database.flushdb()
                        return
                finally:
                    server.delete(claim)
    pytest.fail("Redis has no empty database from 1 to 15", pytrace=False)


@pytest.fixture
def in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    """As outside tests: Django's mark that they run is gone."""
    monkeypatch.delattr("django.test.utils._TestState.saved_data")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium that is installed here. None is downloaded."""
    found = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    return next(found, None) or lacking("no Chromium on PATH (Debian: apt install chromium)")


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Gives a TCP port of 127.0.0.1 that was free a moment ago; another one at each call."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return find
