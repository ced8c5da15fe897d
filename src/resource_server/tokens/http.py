"""The only socket: fetches one document of an issuer, within hard limits.

https only (http on loopback where development allows it), no redirects, no content encoding, a size limit, and a
deadline for the whole of it: name look-up, connection, TLS, headers and every byte of the body. The work is done in a
thread of its own, so that no server can hold the caller longer.
"""

import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from resource_server.errors import Unavailable

__all__ = ["FETCH_SECONDS", "MAX_DOCUMENT_BYTES", "Document", "Fetch", "address_problem", "fetch"]

FETCH_SECONDS = 5.0
MAX_DOCUMENT_BYTES = 256 * 1024
MAX_URL_CHARACTERS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a server answered with status 200: the body, and its Cache-Control header."""

    body: bytes
    cache_control: str = ""


class Fetch(Protocol):
    """How documents are fetched. Raises Unavailable, and nothing else, where there is no document with status 200."""

    def __call__(self, url: str, /, *, seconds: float) -> Document: ...


def address_problem(url: object, *, http_on_loopback: bool) -> str | None:
    """Why an address must not be fetched, in lower case words; None where it may.

    Does not resolve the name: whoever holds an https name's certificate is the server that was meant.
    """
    if (
        not isinstance(url, str)
        or len(url) > MAX_URL_CHARACTERS
        or not url.isascii()
        or any(character <= " " for character in url)
    ):
        return "is not a URL"
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not url.startswith(f"{parts.scheme}://"):
        return "has no scheme https"
    if not host:
        return "has no host"
    if parts.username is not None or parts.password is not None:
        return "holds a user name or a password"
    if parts.fragment or url.endswith("#"):
        return "holds a fragment"
    if parts.scheme == "http" and not (http_on_loopback and _is_loopback(host)):
        return "is http, which is for loopback addresses while DEBUG is on"
    return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def fetch(url: str, /, *, seconds: float = FETCH_SECONDS) -> Document:
    """The document at the address, which must have passed `address_problem`. Waits `seconds` at the most, whatever the server does.

    Raises Unavailable: `fetch_failed`, `fetch_timeout`, `fetch_status`, `document_too_large`.
    """
    return _Exchange(url, seconds).result()


class _Exchange:
    """One request and its answer, in a daemon thread; the caller waits for it no longer than the deadline."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._sockets: list[socket.socket] = []
        self._document: Document | None = None
        self._error: Unavailable | None = None

    def result(self) -> Document:
        worker = threading.Thread(target=self._work, name="resource-server-fetch", daemon=True)
        worker.start()
        worker.join(self._seconds)
        if self._document is not None:
            return self._document
        # A shut socket ends a worker that is still reading, so that threads do not gather behind a server that drips.
        for opened in self._sockets:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        raise self._error or Unavailable("fetch_timeout")

    def _work(self) -> None:
        try:
            self._document = self._exchange()
        except Unavailable as error:
            self._error = error
        except Exception:  # noqa: BLE001 - DNS, TCP, TLS and HTTP each fail in kinds of their own; none says more to the caller
            self._error = Unavailable("fetch_timeout" if time.monotonic() >= self._deadline else "fetch_failed")

    def _exchange(self) -> Document:
        # Imported where a fetch happens, which for most processes is once in ten minutes: start-up does not pay for it.
        import urllib3

        timeout = urllib3.Timeout(total=self._seconds)
        pool = urllib3.connection_from_url(self._url, timeout=timeout, retries=False)
        pool.ConnectionCls = _reporting(pool.ConnectionCls, self._opened)
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "django-resource-server"}
        # Origin form (RFC 9112 section 3.2.1): given the whole address, urllib3 sends it all, and simple servers
        # answer 404.
        target = urllib3.util.parse_url(self._url).request_uri
        with pool:
            response = pool.request(
                "GET", target, headers=headers, redirect=False, preload_content=False, decode_content=False
            )
            try:
                if response.status != 200:
                    raise Unavailable("fetch_status")
                body = self._read(response)
            finally:
                response.close()
        return Document(body=body, cache_control=response.headers.get("Cache-Control", ""))

    def _opened(self, opened: socket.socket) -> None:
        # The socket itself: the connection forgets it as soon as the headers say that it is to be closed, while the
        # body is still read from it.
        self._sockets.append(opened)
        if time.monotonic() >= self._deadline:
            raise TimeoutError  # nobody waits any more who could shut it

    def _read(self, response: Any) -> bytes:
        body = bytearray()
        # read1 returns what one read of the socket brings, so that the deadline is looked at between any two packets.
        while chunk := response.read1(65536):
            body += chunk
            if len(body) > MAX_DOCUMENT_BYTES:
                raise Unavailable("document_too_large")
            if time.monotonic() >= self._deadline:
                raise Unavailable("fetch_timeout")
        return bytes(body)


def _reporting(connection_class: Any, opened: Callable[[socket.socket], None]) -> Any:
    class Reporting(connection_class):  # type: ignore[misc] # the class is chosen by the scheme, at run time
        def connect(self) -> None:
            super().connect()
            opened(self.sock)

    return Reporting
