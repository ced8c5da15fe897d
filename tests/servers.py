"""Servers on a real socket of this machine: any handler of connections, and an issuer that can fail in every way."""

import gzip
import json
import os
import re
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from resource_server.testing import FakeIssuer

Handler: TypeAlias = Callable[[socket.socket], None]


class Server:
    """A TCP server on loopback that gives each connection and the head of its request to a function, in a thread."""

    def __init__(
        self, handler: Callable[[socket.socket, bytes], None], *, context: ssl.SSLContext | None = None, port: int = 0
    ) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._handler = handler
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port: int = self._socket.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def start(self) -> None:
        """Answer; clients that came before wait in the socket's queue."""
        self._threads[0].start()

    def url(self, path: str = "/jwks.json") -> str:
        return f"http{'s' if self._context else ''}://127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        """Accept no more. Each client must have ended its connection, or end it within ten seconds."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        with connection, suppress(OSError):
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection:
                request = self._request(connection)
                self.requests.append(request)
                self._handler(connection, request)

    @staticmethod
    def _request(connection: socket.socket) -> bytes:
        request = b""
        while b"\r\n\r\n" not in request and (received := connection.recv(65536)):
            request += received
        return request


@contextmanager
def serving(handler: Handler, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server whose answer does not depend on the request."""
    server = Server(lambda connection, _request: handler(connection), context=context)
    server.start()
    try:
        yield server
    finally:
        server.close()


def until_shut(connection: socket.socket) -> None:
    """Hold a connection open until the other side ends it."""
    with suppress(OSError):
        while connection.recv(65536):
            pass


AUDIENCE = "https://api.test/"
METADATA = "/.well-known/openid-configuration"
OTHER_METADATA = "/.well-known/oauth-authorization-server"
KEYS = "/jwks.json"

_REQUEST = re.compile(rb"GET (\S+) HTTP/1\.1\r\n")
_CONDITION = re.compile(rb"\r\nIf-None-Match: ([^\r]*)\r\n", re.IGNORECASE)

# Writes on the connection in place of the good answer, whose body the Exchange holds.
Fault = Callable[["Exchange"], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request while it is answered."""

    connection: socket.socket
    body: bytes
    ended: threading.Event

    def send(self, status: str, *fields: str, body: bytes = b"") -> None:
        head = [f"HTTP/1.1 {status}", *fields, "Connection: close", "", ""]
        self.connection.sendall("\r\n".join(head).encode() + body)

    def hang(self, *, drop: bytes = b"", seconds: float = 0.05) -> None:
        """Send nothing, or `drop` every few moments, until the other side or the test ends it."""
        self.connection.settimeout(seconds)
        while not self.ended.is_set():
            self.connection.sendall(drop)
            try:
                if not self.connection.recv(65536):
                    return
            except TimeoutError:
                continue


def _length(length: int) -> str:
    return f"Content-Length: {length}"


def _answer(status: str, *fields: str, body: bytes = b"{}") -> Fault:
    return lambda exchange: exchange.send(status, *fields, _length(len(body)), body=body)


def _truncated(exchange: Exchange) -> None:
    exchange.send("200 OK", _length(len(exchange.body)), body=exchange.body[:-1])


def _bomb(exchange: Exchange) -> None:
    body = gzip.compress(b"[" * 10_000_000)
    exchange.send("200 OK", "Content-Encoding: gzip", _length(len(body)), body=body)


def _ten_megabytes(exchange: Exchange) -> None:
    exchange.send("200 OK", _length(10_000_000), body=exchange.body + b" " * (10_000_000 - len(exchange.body)))


def _hangs_in_headers(exchange: Exchange) -> None:
    exchange.connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    exchange.hang()


def _hangs_in_body(exchange: Exchange) -> None:
    exchange.send("200 OK", _length(len(exchange.body)), body=exchange.body[:10])
    exchange.hang()


def _byte_per_second(exchange: Exchange) -> None:
    exchange.send("200 OK", _length(len(exchange.body)))
    exchange.hang(drop=b" ", seconds=1)


def _reset(exchange: Exchange) -> None:
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


HTML = b"<!doctype html><title>We will be back soon</title>"

# The name of a fault -> the fault, and the reason that the verifier gives for it.
FAST_FAULTS: Mapping[str, tuple[Fault, str]] = {
    "404": (_answer("404 Not Found"), "fetch_status"),
    "429 with seconds": (_answer("429 Too Many Requests", "Retry-After: 1"), "fetch_status"),
    "429 with a date": (
        _answer("429 Too Many Requests", "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT"),
        "fetch_status",
    ),
    "500": (_answer("500 Internal Server Error"), "fetch_status"),
    "a redirect": (_answer("302 Found", f"Location: {KEYS}?again"), "fetch_status"),
    "304 without having been asked": (
        lambda exchange: exchange.send("304 Not Modified", 'ETag: "made up"'),
        "fetch_status",
    ),
    "HTML": (_answer("200 OK", "Content-Type: text/html", body=HTML), "document_malformed"),
    "HTML with an ETag": (_answer("200 OK", 'ETag: "a page"', body=HTML), "document_malformed"),
    "an empty body": (_answer("200 OK", body=b""), "document_malformed"),
    "JSON that is no object": (_answer("200 OK", body=b"[]"), "document_malformed"),
    "a truncated body": (_truncated, "fetch_failed"),
    "a gzip bomb": (_bomb, "document_too_large"),
    "ten megabytes": (_ten_megabytes, "document_too_large"),
    "a connection that is reset": (_reset, "fetch_failed"),
}
HANGING_FAULTS: Mapping[str, tuple[Fault, str]] = {
    "hangs before the headers": (Exchange.hang, "fetch_timeout"),
    "hangs in the headers": (_hangs_in_headers, "fetch_timeout"),
    "hangs in the body": (_hangs_in_body, "fetch_timeout"),
    "a byte per second": (_byte_per_second, "fetch_timeout"),
}
FAULTS: Mapping[str, tuple[Fault, str]] = {**FAST_FAULTS, **HANGING_FAULTS}


class LiveIssuer(FakeIssuer):
    """A FakeIssuer that serves its documents. Each change here applies to the next request.

    `fault` answers in place of the documents of `faulty` paths; `delay_seconds` passes before the key set is sent;
    `fields` are more headers of the good answers. `asked` has each request's path and time by the monotonic clock.
    """

    def __init__(self, port: int = 0, *, audience: str = AUDIENCE, algorithm: str = "ES256") -> None:
        self.fault: Fault | None = None
        self.faulty: tuple[str, ...] = (METADATA, OTHER_METADATA, KEYS)
        self.delay_seconds = 0.0
        self.fields: tuple[str, ...] = ()
        self.asked: list[tuple[str, float]] = []
        self.conditions: list[str] = []
        self._ended = threading.Event()
        self._server = Server(self._serve, port=port)
        self.address = f"http://127.0.0.1:{self._server.port}"
        super().__init__(self.address, audience, algorithm=algorithm)

    @property
    def counts(self) -> Counter[str]:
        """How often each path was asked for."""
        return Counter(path for path, _ in list(self.asked))

    def forget(self) -> None:
        self.asked, self.conditions = [], []

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good token, with an identifier of its own."""
        return super().claims(**{"jti": os.urandom(8).hex(), **changes})

    def forged(self, kid: str) -> str:
        """A token that names a key that this issuer never had."""
        return self.token(header={"kid": kid})

    def body(self, path: str) -> bytes | None:
        """The good document at a path, or None."""
        if path == METADATA:
            return json.dumps(self.metadata()).encode()
        return json.dumps(self.keys.jwks()).encode() if path == KEYS else None

    def _serve(self, connection: socket.socket, request: bytes) -> None:
        asked = _REQUEST.match(request)
        if asked is None:
            return
        path = asked[1].decode()
        self.asked.append((path, time.monotonic()))
        if (condition := _CONDITION.search(request)) is not None:
            self.conditions.append(condition[1].decode())
        body, fault = self.body(path), self.fault
        exchange = Exchange(connection=connection, body=body or b"{}", ended=self._ended)
        if fault is not None and path in self.faulty:
            fault(exchange)
        elif body is None:
            exchange.send("404 Not Found", _length(2), body=b"{}")
        else:
            if path == KEYS:
                self._ended.wait(self.delay_seconds)
            exchange.send("200 OK", *self.fields, _length(len(body)), body=body)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.close()
