"""The only socket: fetches one document of an issuer, within hard limits.

https only (http on loopback where development allows it), no redirects, no content encoding, a size limit, and a
deadline for the whole of it: name look-up, connection, TLS, headers and every byte of the body. The work is done in a
thread of its own, so that no server can hold the caller longer.
"""

import contextlib
import email.utils
import ipaddress
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from resource_server.errors import Unavailable
from resource_server.reasons import UnavailableReason

__all__ = [
    "FETCH_SECONDS",
    "MAX_DOCUMENT_BYTES",
    "Document",
    "Fetch",
    "address_problem",
    "fetch",
    "is_on_this_machine",
    "issuer_problem",
    "within",
]

T = TypeVar("T")

FETCH_SECONDS = 5.0
MAX_DOCUMENT_BYTES = 256 * 1024
MAX_URL_CHARACTERS = 2000

# RFC 3986 section 2: the characters that a URL has. Another is read in one way here and in another way there.
_URL = re.compile(r"[A-Za-z0-9:/?#\[\]@!$&'()*+,;=%._~-]+")
# RFC 9110 section 8.8.3, of a length that is worth sending back.
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,256}"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a server answered: the body, and the headers that say how long it is good for (RFC 9111 sections 4.2 and 5).

    `age_seconds` is the Age header, `etag` the ETag as it was sent, empty where there was none; `local` says that a
    loopback or link-local address answered. The last three are for documents that processes share (`documents.py`):
    when one was stored, in seconds since 1970; how long ago that was; and why the issuer itself could not be asked.
    """

    body: bytes
    cache_control: str = ""
    age_seconds: int = 0
    etag: str = ""
    local: bool = False
    stored_at: float = 0.0
    held_seconds: float = 0.0
    failure: UnavailableReason | None = None


class Fetch(Protocol):
    """How documents are fetched. Raises Unavailable, and nothing else, where there is no document.

    `known` is the document that the caller has of this address: where the server says that it is still good (304),
    that is the answer, with the new headers. `public` refuses an address on this machine or its link. The
    `retry_after` of the Unavailable is what the server asks for, in seconds, or 1.
    """

    def __call__(
        self, url: str, /, *, seconds: float, known: Document | None = None, public: bool = False
    ) -> Document: ...


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
    if _URL.fullmatch(url) is None:
        return "has characters that no URL has"
    return None


def issuer_problem(issuer: object, *, http_on_loopback: bool) -> str | None:
    """Why a text cannot be the name of an issuer, in lower case words; None where it can.

    RFC 8414 section 2: an https URL with a host, without query and fragment; and all that `address_problem` demands,
    so at most 2000 of the characters that URLs have, no user name, and a port that there is. Both the settings and the
    names that tokens claim are held against this one rule.
    """
    problem = address_problem(issuer, http_on_loopback=http_on_loopback)
    if problem is None and isinstance(issuer, str) and "?" in issuer:
        problem = "has a query"
    return problem


def is_on_this_machine(host: str) -> bool:
    """Whether a host is named as loopback, link-local (the metadata services of clouds) or no host at all.

    Does not resolve names other than localhost; `fetch` looks at the address that it has connected to.
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    # ::ffff:127.0.0.1 is 127.0.0.1 in other clothes.
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def within(seconds: float, call: Callable[[], T]) -> T:
    """The result of a call in a daemon thread, waited for so long at the most. Raises what it raises, or TimeoutError."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(call())
        except BaseException as error:  # noqa: BLE001 - handed to the caller, which waits for it
            failure.append(error)

    worker = threading.Thread(target=work, name="resource-server-fetch", daemon=True)
    worker.start()
    worker.join(seconds)
    if outcome:
        return outcome[0]
    raise failure[0] if failure else TimeoutError


def fetch(
    url: str, /, *, seconds: float = FETCH_SECONDS, known: Document | None = None, public: bool = False
) -> Document:
    """The document at the address, which must have passed `address_problem`. Waits `seconds` at the most, whatever the server does.

    Raises Unavailable: `fetch_failed`, `fetch_timeout`, `fetch_status`, `document_too_large`, `address_not_allowed`.
    """
    return _Exchange(url, seconds, known, public=public).result()


class _Exchange:
    """One request and its answer, in a daemon thread; the caller waits for it no longer than the deadline."""

    def __init__(self, url: str, seconds: float, known: Document | None, *, public: bool) -> None:
        self._url = url
        self._seconds = seconds
        self._known = known
        self._public = public
        self._local = False
        self._deadline = time.monotonic() + seconds
        self._handles: list[socket.socket] = []

    def result(self) -> Document:
        try:
            return within(self._seconds, self._exchange)
        except Unavailable as error:
            # Raised anew, so that it holds no frame of the worker.
            reason, retry_after = error.reason, error.retry_after
        except TimeoutError:
            reason, retry_after = UnavailableReason.FETCH_TIMEOUT, 1
        except Exception:  # noqa: BLE001 - DNS, TCP, TLS and HTTP each fail in kinds of their own, and so does a thread at shutdown; none says more to the caller
            reason, retry_after = (
                UnavailableReason.FETCH_TIMEOUT
                if time.monotonic() >= self._deadline
                else UnavailableReason.FETCH_FAILED,
                1,
            )
        finally:
            self._end()
        raise Unavailable(reason, retry_after=retry_after)

    def _end(self) -> None:
        # A connection that is shut ends a worker that is still reading, so that threads do not gather behind a server
        # that drips.
        for handle in self._handles:
            with contextlib.suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)
            handle.close()

    def _exchange(self) -> Document:
        # Imported where a fetch happens, which for most processes is once in ten minutes: start-up does not pay for it.
        import urllib3

        timeout = urllib3.Timeout(total=self._seconds)
        pool = urllib3.connection_from_url(self._url, timeout=timeout, retries=False)
        pool.ConnectionCls = _reporting(pool.ConnectionCls, self._opened)
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "django-resource-server"}
        if self._known is not None and self._known.etag:
            headers["If-None-Match"] = self._known.etag
        # Origin form (RFC 9112 section 3.2.1): given the whole address, urllib3 sends it all, and simple servers
        # answer 404.
        target = urllib3.util.parse_url(self._url).request_uri
        with pool:
            response = pool.request(
                "GET", target, headers=headers, redirect=False, preload_content=False, decode_content=False
            )
            try:
                return self._document(response)
            finally:
                response.close()

    def _document(self, response: Any) -> Document:
        headers = response.headers
        known = self._known
        if response.status == 304 and known is not None and known.etag:
            body, etag = known.body, known.etag
        elif response.status == 200:
            body, etag = self._read(response), headers.get("ETag", "")
        else:
            raise Unavailable(UnavailableReason.FETCH_STATUS, retry_after=_retry_after(headers.get("Retry-After", "")))
        return Document(
            body=body,
            cache_control=headers.get("Cache-Control", ""),
            age_seconds=_whole_seconds(headers.get("Age", "")),
            etag=etag if _ETAG.fullmatch(etag) else "",
            local=self._local,
        )

    def _opened(self, opened: socket.socket) -> None:
        self._local = is_on_this_machine(str(opened.getpeername()[0]))
        if self._local and self._public:
            raise Unavailable(UnavailableReason.ADDRESS_NOT_ALLOWED)
        # A handle of our own: TLS takes the socket away for its handshake, and the connection forgets it as soon as
        # the headers say that it is to be closed, while the body is still read from it.
        self._handles.append(opened.dup())
        if time.monotonic() >= self._deadline:
            # Nobody waits any more who could shut it.
            self._end()
            raise TimeoutError

    def _read(self, response: Any) -> bytes:
        body = bytearray()
        # read1 returns what one read of the socket brings, so that the deadline is looked at between any two packets.
        while chunk := response.read1(65536):
            body += chunk
            if len(body) > MAX_DOCUMENT_BYTES:
                raise Unavailable(UnavailableReason.DOCUMENT_TOO_LARGE)
            if time.monotonic() >= self._deadline:
                raise Unavailable(UnavailableReason.FETCH_TIMEOUT)
        return bytes(body)


def _reporting(connection_class: Any, opened: Callable[[socket.socket], None]) -> Any:
    class Reporting(connection_class):  # type: ignore[misc] # the class is chosen by the scheme, at run time
        def _new_conn(self) -> socket.socket:
            connected: socket.socket = super()._new_conn()
            try:
                opened(connected)
            except BaseException:
                connected.close()
                raise
            return connected

    return Reporting


def _whole_seconds(value: str) -> int:
    value = value.strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0


def _retry_after(value: str) -> int:
    """Retry-After in seconds (RFC 9110 section 10.2.3: a number, or a date); 1 where it says nothing."""
    with contextlib.suppress(ValueError, OverflowError):
        return max(1, int(email.utils.parsedate_to_datetime(value).timestamp() - time.time()))
    return max(1, _whole_seconds(value))
