"""An issuer on a real socket that can be made to fail in every way while it runs, and counts what it is asked."""

import gzip
import json
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from resource_server.devissuer.signing import SigningKeys

AUDIENCE = "https://api.test/"
METADATA = "/.well-known/openid-configuration"
OTHER_METADATA = "/.well-known/oauth-authorization-server"
KEYS = "/jwks.json"

# What a fault writes on a connection instead of the answer; the body is that of the good one.
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
        """Say nothing, or a little again and again, until the other side or the test has enough."""
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

# The name of a fault -> it, and the reason by which it is known.
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
    "a gzip bomb": (_bomb, "document_malformed"),
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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has had enough is no error."""


class LiveIssuer:
    """Signs tokens and serves its documents. Whatever is set here is true of the next request.

    `fault` answers in place of the documents of `faulty` paths; `delay_seconds` passes before the key set is sent;
    `fields` are more headers of the good answers. `asked` has each request's path and time by the monotonic clock.
    """

    def __init__(self, port: int = 0) -> None:
        self.keys = SigningKeys("ES256")
        self.fault: Fault | None = None
        self.faulty: tuple[str, ...] = (METADATA, OTHER_METADATA, KEYS)
        self.delay_seconds = 0.0
        self.fields: tuple[str, ...] = ()
        self.asked: list[tuple[str, float]] = []
        self.conditions: list[str] = []
        self._ended = threading.Event()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer._serve(self.path, self.connection, self.headers.get("If-None-Match"))
                self.close_connection = True

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", port), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def counts(self) -> Counter[str]:
        """How often each path was asked for."""
        return Counter(path for path, _ in list(self.asked))

    def forget(self) -> None:
        self.asked, self.conditions = [], []

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        good = {
            "iss": self.address,
            "aud": AUDIENCE,
            "sub": "auth0|someone",
            "client_id": "a-client",
            "iat": now,
            "exp": now + 600,
            "jti": os.urandom(8).hex(),
        }
        return {**good, **changes}

    def token(self, kid: str | None = None, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
        return self.keys.sign(self.claims(**changes), kid=kid, header=header)

    def forged(self, kid: str) -> str:
        """A token that claims a key that this issuer never had; what it is signed with does not matter."""
        return self.token(header={"kid": kid})

    def settings(self, **changes: Any) -> dict[str, Any]:
        return {"ISSUER": self.address, "AUDIENCE": AUDIENCE, **changes}

    def body(self, path: str) -> bytes | None:
        """The good document."""
        if path == METADATA:
            return json.dumps({"issuer": self.address, "jwks_uri": f"{self.address}{KEYS}"}).encode()
        return json.dumps(self.keys.jwks()).encode() if path == KEYS else None

    def _serve(self, path: str, connection: socket.socket, condition: str | None) -> None:
        self.asked.append((path, time.monotonic()))
        if condition is not None:
            self.conditions.append(condition)
        body, fault = self.body(path), self.fault
        exchange = Exchange(connection=connection, body=body or b"{}", ended=self._ended)
        with suppress(OSError):
            if fault is not None and path in self.faulty:
                fault(exchange)
            elif body is None:
                exchange.send("404 Not Found", _length(2), body=b"{}")
            else:
                if path == KEYS:
                    self._ended.wait(self.delay_seconds)
                exchange.send("200 OK", *self.fields, _length(len(body)), body=body)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
