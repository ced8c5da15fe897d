"""A forward proxy on a real socket: CONNECT tunnels and plain requests (RFC 9110 section 9.3.6, RFC 9112 section 3.2.2)."""

import base64
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from tests.servers import Server

__all__ = ["Proxy", "proxying"]


class Proxy:
    """A proxy that resolves names by its own table, from `host:port` to a port of this machine, and no other name.

    With `credentials` (`name:password`), it answers 407 to a request that lacks them. `requests` are the heads that it
    read.
    """

    def __init__(
        self, names: Mapping[str, int], *, credentials: str = "", context: ssl.SSLContext | None = None
    ) -> None:
        self._names = names
        self._credentials = credentials
        self._server = Server(self._serve, context=context)
        self.requests = self._server.requests
        self.port = self._server.port
        self._server.start()

    @property
    def connections(self) -> int:
        return self._server.connections

    def url(self, credentials: str = "") -> str:
        at = f"{credentials}@" if credentials else ""
        return self._server.url("").replace("://", f"://{at}")

    def close(self) -> None:
        self._server.close()

    def _serve(self, client: socket.socket, head: bytes) -> None:
        method, target, _ = head.split(b"\r\n", maxsplit=1)[0].decode().split(" ")
        basic = base64.b64encode(self._credentials.encode())
        if self._credentials and b"\r\nproxy-authorization: basic " + basic.lower() not in head.lower():
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        parts = urlsplit(target)
        port = self._names.get(target if method == "CONNECT" else parts.netloc)
        if port is None:
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", port), timeout=10) as server:
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                server.sendall(head.replace(target.encode(), (parts.path or "/").encode(), 1))
            back = threading.Thread(target=_relay, args=(server, client), daemon=True)
            back.start()
            _relay(client, server)
            back.join(10)


def _relay(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while received := source.recv(65536):
            target.sendall(received)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def proxying(
    names: Mapping[str, int], *, credentials: str = "", context: ssl.SSLContext | None = None
) -> Iterator[Proxy]:
    """A proxy that is closed at the end."""
    proxy = Proxy(names, credentials=credentials, context=context)
    try:
        yield proxy
    finally:
        proxy.close()
