"""The only socket: fetches one document or sends one form, within hard limits (RFC 9110, RFC 9112).

https only (http where development allows it), no redirects, a size limit before and after decoding, and one deadline
for name look-up, connection, proxy, TLS, headers and each byte of the body. A thread of its own does the work, so that
no server can hold the caller longer.
"""

import contextlib
import email.utils
import os
import re
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from resource_server.errors import Unavailable
from resource_server.keys.addresses import is_on_this_machine
from resource_server.keys.answer import Answer
from resource_server.keys.content_coding import TooLarge, decode
from resource_server.keys.deadline import within
from resource_server.keys.document import FETCH_SECONDS, MAX_DOCUMENT_BYTES, Document
from resource_server.keys.fetch_outcome import failure_outcome, seconds_text, status_outcome
from resource_server.keys.proxies import Proxy, proxy_for
from resource_server.reasons import UnavailableReason

__all__ = ["fetch", "post"]

T = TypeVar("T")

# RFC 7517 section 8.5.2. Some servers answer 406 unless the type is named.
_ACCEPT = "application/jwk-set+json, application/json;q=0.9, */*;q=0.1"

# RFC 9110 section 8.8.3, of a length that is worth sending back.
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,256}"')


# RFC 8305 section 5: the next address is tried after this time, beside those before it.
ATTEMPT_SECONDS = 0.25

# What `socket.getaddrinfo` answers.
_Address = tuple[Any, Any, int, str, Any]

_USER_AGENT = "django-resource-server"
_TOO_LARGE = f"larger than {MAX_DOCUMENT_BYTES // 1024} KiB"


def fetch(
    url: str,
    /,
    *,
    seconds: float = FETCH_SECONDS,
    known: Document | None = None,
    public: bool = False,
    ca_file: str | None = None,
) -> Document:
    """Fetch the document at an address within `seconds`, whatever the server does. See `Fetch`.

    The proxy is the one that the environment names now. The certificates in `ca_file` are trusted beside those of
    OpenSSL's store; both are read at each fetch. Raises Unavailable: `fetch_failed`, `fetch_timeout`, `fetch_status`,
    `document_too_large`, `document_malformed`, `address_not_allowed`. Does not check the address: it must have passed
    `address_problem`. Does not see the address to which a proxy connects.
    """
    headers = {"Accept": _ACCEPT}
    if known is not None and known.etag:
        headers["If-None-Match"] = known.etag
    exchange = _Exchange(url, seconds, public=public, ca_file=ca_file)
    return exchange.result("GET", headers, None, lambda response: exchange.document(response, known))


def post(
    url: str,
    /,
    *,
    form: Mapping[str, str],
    headers: Mapping[str, str],
    accept: str,
    seconds: float = FETCH_SECONDS,
    public: bool = False,
    certificate: str | None = None,
    ca_file: str | None = None,
) -> Answer:
    """Send a form to an address and return the answer, within `seconds`, whatever the server does. See `Post`.

    Each form has a connection of its own. Proxy, certificates and errors are those of `fetch`, without `fetch_status`.
    Does not check the address: it must have passed `address_problem`.
    """
    headers = {**headers, "Accept": accept, "Content-Type": "application/x-www-form-urlencoded"}
    exchange = _Exchange(url, seconds, public=public, ca_file=ca_file, certificate=certificate)
    return exchange.result("POST", headers, urlencode(form).encode("ascii"), exchange.answer)


class _Exchange:
    """One request and its answer, in a daemon thread; the caller waits for it until the deadline at most."""

    def __init__(
        self,
        url: str,
        seconds: float,
        *,
        public: bool,
        ca_file: str | None = None,
        certificate: str | None = None,
    ) -> None:
        self._url = url
        self._seconds = seconds
        self._public = public
        self._ca_file = ca_file
        self._certificate = certificate
        self._proxy: Proxy | None = None
        self._local = False
        self._deadline = time.monotonic() + seconds
        self._handles: list[socket.socket] = []

    def result(self, method: str, headers: Mapping[str, str], body: bytes | None, read: Callable[[Any], T]) -> T:
        """What `read` makes of the response to this request. Raises Unavailable."""
        try:
            return within(self._seconds, lambda: self._exchange(method, headers, body, read))
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

    def _exchange(self, method: str, headers: Mapping[str, str], body: bytes | None, read: Callable[[Any], T]) -> T:
        # Imported late: start-up does not pay for it.
        import urllib3

        self._proxy = proxy_for(self._url)
        pool = self._pool()
        pool.ConnectionCls = _connecting(pool.ConnectionCls, self._connected)
        # Origin form (RFC 9112 section 3.2.1): urllib3 would send a whole address as it is, and simple servers answer
        # it with 404. A proxy needs the whole address, unless it only carries TLS.
        is_forwarded = self._proxy is not None and self._url.startswith("http:")
        target = self._url if is_forwarded else urllib3.util.parse_url(self._url).request_uri
        with pool:
            response = pool.request(
                method,
                target,
                body=body,
                headers={**headers, "Accept-Encoding": "identity", "User-Agent": _USER_AGENT},
                redirect=False,
                assert_same_host=not is_forwarded,
                preload_content=False,
                decode_content=False,
            )
            try:
                return read(response)
            finally:
                response.close()

    def _pool(self) -> Any:
        """The connection pool of the address. With a proxy, TLS goes through it and is verified as without."""
        import urllib3

        options: dict[str, Any] = {"timeout": urllib3.Timeout(total=self._seconds), "retries": False}
        if self._proxy is None:
            if self._url.startswith("https:"):
                options["ssl_context"] = self._trust(self._certificate)
            return urllib3.connection_from_url(self._url, **options)
        headers = {**self._proxy.headers, "User-Agent": _USER_AGENT}
        if self._url.startswith("https:"):
            # RFC 9110 section 9.3.6. Before Python 3.12, http.client sends none.
            address = urllib3.util.parse_url(self._url)
            headers["Host"] = f"{address.host}:{address.port or 443}"
        manager = urllib3.ProxyManager(
            self._proxy.url,
            proxy_headers=headers,
            proxy_ssl_context=self._trust(),  # which does not see the client's certificate
            ssl_context=self._trust(self._certificate),
            **options,
        )
        return manager.connection_from_url(self._url)

    def _trust(self, certificate: str | None = None) -> Any:
        import urllib3

        context = urllib3.util.create_urllib3_context()
        context.load_default_certs()
        if self._ca_file is not None:
            try:
                context.load_verify_locations(self._ca_file)
            except OSError as error:
                raise OSError(error.errno, f"CA_FILE cannot be read: {error.strerror}") from None
        if certificate is not None:
            context.load_cert_chain(certificate, password="")  # without a password OpenSSL would ask at the terminal
        return context

    def answer(self, response: Any) -> Answer:
        """The answer to a form."""
        content_type, _, _ = response.headers.get("Content-Type", "").partition(";")
        return Answer(
            status=response.status,
            content_type=content_type.strip().lower(),
            body=self._body(response),
            retry_after=_retry_after(response.headers.get("Retry-After", "")),
        )

    def document(self, response: Any, known: Document | None) -> Document:
        """The document in a response, or the one that is known if it is not modified."""
        headers = response.headers
        if response.status == 304 and known is not None and known.etag:
            body, etag = known.body, known.etag
        elif response.status == 200:
            body, etag = self._body(response), headers.get("ETag", "")
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

    def _connected(self, host: str, port: int) -> socket.socket:
        """A connection to a host: the server, or the proxy. The rules for addresses are the server's."""
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        is_public = self._public and self._proxy is None
        if is_public and any(is_on_this_machine(str(address[0])) for *_, address in addresses):
            raise Unavailable(UnavailableReason.ADDRESS_NOT_ALLOWED, outcome="leads to this machine or its link")
        connection = _connect(addresses, self._deadline)
        self._local = self._proxy is None and is_on_this_machine(str(connection.getpeername()[0]))
        self._opened(connection)
        return connection

    def _opened(self, opened: socket.socket) -> None:
        # A second handle: TLS takes over the socket for its handshake, and the connection drops it as soon as the
        # headers announce a close, while the body is still being read.
        self._handles.append(opened.dup())
        if time.monotonic() >= self._deadline:
            # The caller has left, so this thread must shut the connection.
            self._end()
            opened.close()
            raise TimeoutError

    def _body(self, response: Any) -> bytes:
        coding = response.headers.get("Content-Encoding", "")
        try:
            return decode(self._read(response), coding, at_most=MAX_DOCUMENT_BYTES)
        except TooLarge:
            raise Unavailable(UnavailableReason.DOCUMENT_TOO_LARGE, outcome=_TOO_LARGE) from None
        except ValueError:
            raise Unavailable(
                UnavailableReason.DOCUMENT_MALFORMED, outcome="its Content-Encoding cannot be decoded"
            ) from None

    def _read(self, response: Any) -> bytes:
        body = bytearray()
        # read1 returns after one read of the socket, so that the deadline is checked between any two packets.
        while chunk := response.read1(65536):
            body += chunk
            if len(body) > MAX_DOCUMENT_BYTES:
                raise Unavailable(UnavailableReason.DOCUMENT_TOO_LARGE, outcome=_TOO_LARGE)
            if time.monotonic() >= self._deadline:
                raise Unavailable(UnavailableReason.FETCH_TIMEOUT)
        return bytes(body)


def _connecting(connection_class: Any, connect: Callable[[str, int], socket.socket]) -> Any:
    """The class of connections that are made by a function. Its errors are urllib3's own."""
    from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

    class Connecting(connection_class):  # type: ignore[misc] # the class is chosen by the scheme, at run time
        def _new_conn(self) -> socket.socket:
            try:
                connected = connect(self._dns_host.strip("[]"), self.port)
            except socket.gaierror as error:
                raise NameResolutionError(self.host, self, error) from error
            except TimeoutError as error:
                raise ConnectTimeoutError(self, f"Connection to {self.host} timed out") from error
            except OSError as error:
                raise NewConnectionError(self, f"Failed to establish a new connection: {error}") from error
            connected.settimeout(self.timeout)
            return connected

    return Connecting


def _connect(addresses: Sequence[_Address], deadline: float) -> socket.socket:
    """The connection to the first address that answers, so that a dead one costs a moment and not the deadline.

    Raises TimeoutError at the deadline (monotonic clock), and the last OSError if every address refuses.
    """
    waiting, now = _by_turns(addresses), time.monotonic()
    pause = min(ATTEMPT_SECONDS, (deadline - now) / (2 * len(waiting) or 1))
    failure, next_at = OSError("no address"), now
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or selector.get_map():
                now = time.monotonic()
                if now >= deadline:
                    raise TimeoutError
                if waiting and now >= next_at:
                    next_at = now + pause
                    try:
                        selector.register(_begin(waiting.pop(0)), selectors.EVENT_WRITE)
                    except OSError as error:
                        failure, next_at = error, now
                        continue
                for key, _ in selector.select((min(next_at, deadline) if waiting else deadline) - now):
                    connection: Any = selector.unregister(key.fileobj).fileobj
                    code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if code == 0:
                        return connection  # type: ignore[no-any-return] # a socket of `_begin`
                    connection.close()
                    failure, next_at = OSError(code, os.strerror(code)), now
            raise failure
        finally:
            for key in list(selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr] # a socket of `_begin`


def _by_turns(addresses: Sequence[_Address]) -> list[_Address]:
    """RFC 8305 section 4: the families take turns, so that no number of dead IPv6 addresses delays IPv4."""
    turns: Counter[Any] = Counter()
    ranked = []
    for address in addresses:
        ranked.append((turns[address[0]], address))
        turns[address[0]] += 1
    return [address for _, address in sorted(ranked, key=lambda pair: pair[0])]


def _begin(address: _Address) -> socket.socket:
    """A socket that is being connected to an address. Raises OSError."""
    family, kind, protocol, _, peer = address
    connection = socket.socket(family, kind, protocol)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            connection.connect(peer)
    except BaseException:
        connection.close()
        raise
    return connection


def _whole_seconds(value: str) -> int:
    value = value.strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0


def _retry_after(value: str) -> int:
    """Return Retry-After in seconds (RFC 9110 section 10.2.3: a number or a date), at least 1; 1 if it is unreadable."""
    with contextlib.suppress(ValueError, OverflowError):
        return max(1, int(email.utils.parsedate_to_datetime(value).timestamp() - time.time()))
    return max(1, _whole_seconds(value))
