"""The only socket: fetches one document, within hard limits (RFC 9110, RFC 9112).

https only (http on loopback where development allows it), no redirects, no content encoding, a size limit, and one
deadline for name look-up, connection, TLS, headers and each byte of the body. A thread of its own does the work, so
that no server can hold the caller longer.
"""

import contextlib
import email.utils
import re
import socket
import time
from collections.abc import Callable
from typing import Any

from resource_server.errors import Unavailable
from resource_server.keys.addresses import is_on_this_machine
from resource_server.keys.deadline import within
from resource_server.keys.document import FETCH_SECONDS, MAX_DOCUMENT_BYTES, Document
from resource_server.keys.fetch_outcome import failure_outcome, seconds_text, status_outcome
from resource_server.reasons import UnavailableReason

__all__ = ["fetch"]

# RFC 9110 section 8.8.3, of a length that is worth sending back.
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,256}"')


def fetch(
    url: str, /, *, seconds: float = FETCH_SECONDS, known: Document | None = None, public: bool = False
) -> Document:
    """Fetch the document at an address within `seconds`, whatever the server does. See `Fetch`.

    Raises Unavailable: `fetch_failed`, `fetch_timeout`, `fetch_status`, `document_too_large`, `address_not_allowed`.
    Does not check the address: it must have passed `address_problem`.
    """
    return _Exchange(url, seconds, known, public=public).result()


class _Exchange:
    """One request and its answer, in a daemon thread; the caller waits for it until the deadline at most."""

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
            # Raise a new error: this one holds frames of the worker.
            reason, retry_after, outcome = error.reason, error.retry_after, error.outcome
        except TimeoutError:
            reason, retry_after, outcome = UnavailableReason.FETCH_TIMEOUT, 1, ""
        except Exception as error:  # noqa: BLE001 - DNS, TCP, TLS, HTTP and a thread at shutdown raise many kinds
            is_late = time.monotonic() >= self._deadline
            reason = UnavailableReason.FETCH_TIMEOUT if is_late else UnavailableReason.FETCH_FAILED
            retry_after, outcome = 1, failure_outcome(error)
        finally:
            self._end()
        if reason is UnavailableReason.FETCH_TIMEOUT:
            outcome = f"timed out after {seconds_text(self._seconds)}"
        raise Unavailable(reason, retry_after=retry_after, outcome=outcome)

    def _end(self) -> None:
        # Shutting the connection ends a worker that still reads: else threads would gather behind a server that sends
        # one byte a second.
        for handle in self._handles:
            with contextlib.suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)
            handle.close()

    def _exchange(self) -> Document:
        # Imported late: start-up does not pay for it.
        import urllib3

        timeout = urllib3.Timeout(total=self._seconds)
        pool = urllib3.connection_from_url(self._url, timeout=timeout, retries=False)
        pool.ConnectionCls = _reporting(pool.ConnectionCls, self._opened)
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "django-resource-server"}
        if self._known is not None and self._known.etag:
            headers["If-None-Match"] = self._known.etag
        # Origin form (RFC 9112 section 3.2.1): urllib3 would send a whole address as it is, and simple servers answer
        # it with 404.
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
            raise Unavailable(
                UnavailableReason.FETCH_STATUS,
                retry_after=_retry_after(headers.get("Retry-After", "")),
                outcome=status_outcome(response.status),
            )
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
            raise Unavailable(UnavailableReason.ADDRESS_NOT_ALLOWED, outcome="leads to this machine or its link")
        # A second handle: TLS takes over the socket for its handshake, and the connection drops it as soon as the
        # headers announce a close, while the body is still being read.
        self._handles.append(opened.dup())
        if time.monotonic() >= self._deadline:
            # The caller has left, so this thread must shut the connection.
            self._end()
            raise TimeoutError

    def _read(self, response: Any) -> bytes:
        body = bytearray()
        # read1 returns after one read of the socket, so that the deadline is checked between any two packets.
        while chunk := response.read1(65536):
            body += chunk
            if len(body) > MAX_DOCUMENT_BYTES:
                raise Unavailable(
                    UnavailableReason.DOCUMENT_TOO_LARGE, outcome=f"larger than {MAX_DOCUMENT_BYTES // 1024} KiB"
                )
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
    """Return Retry-After in seconds (RFC 9110 section 10.2.3: a number or a date), at least 1; 1 if it is unreadable."""
    with contextlib.suppress(ValueError, OverflowError):
        return max(1, int(email.utils.parsedate_to_datetime(value).timestamp() - time.time()))
    return max(1, _whole_seconds(value))
