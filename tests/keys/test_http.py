"""One document of a server of any temper: within the deadline, within the size, over one plain request, leaving no thread behind."""

import email.utils
import gzip
import ipaddress
import socket
import ssl
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.certificates import certificate
from tests.servers import Handler, Server, serving, until_shut

from resource_server.errors import Unavailable
from resource_server.keys import http
from resource_server.keys.addresses import address_problem, is_on_this_machine
from resource_server.keys.deadline import within
from resource_server.keys.document import MAX_DOCUMENT_BYTES, Document
from resource_server.keys.http import fetch

SHORT = 0.3


@pytest.fixture(autouse=True)
def _no_thread_is_left_behind() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name == "resource-server-fetch":
            thread.join(30)
            assert not thread.is_alive(), "a worker outlived its caller by five seconds"


def sends(answer: bytes) -> Handler:
    return lambda connection: connection.sendall(answer)


def drips(start: bytes, drop: bytes) -> Handler:
    """Send a beginning, and then a little again and again, each time well before a read would time out."""

    def handler(connection: socket.socket) -> None:
        connection.sendall(start)
        connection.settimeout(0.02)
        with suppress(ConnectionError):
            while True:
                connection.sendall(drop)
                try:
                    if not connection.recv(1):
                        return
                except TimeoutError:
                    continue

    return handler


def refusal(url: str, seconds: float = SHORT) -> str:
    with pytest.raises(Unavailable) as caught:
        fetch(url, seconds=seconds)
    assert "127.0.0.1" not in str(caught.value)
    return caught.value.reason


OK = b"HTTP/1.1 200 OK\r\n"

ANSWERS = {
    "with a length": (OK + b"Content-Length: 2\r\n\r\n{}", Document(body=b"{}")),
    "until it closes": (OK + b"\r\n{}", Document(body=b"{}")),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\n{}", Document(body=b"{}")),
    "chunked": (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n", Document(body=b"{}")),
    "empty": (OK + b"Content-Length: 0\r\n\r\n", Document(body=b"")),
    "with Cache-Control": (
        OK + b"cache-control: max-age=60\r\nContent-Length: 2\r\n\r\n{}",
        Document(body=b"{}", cache_control="max-age=60"),
    ),
    "with Cache-Control twice": (
        OK + b"Cache-Control: public\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\n{}",
        Document(body=b"{}", cache_control="public, max-age=60"),
    ),
    "with a continuation first": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\n{}", Document(body=b"{}")),
    "of another type": (OK + b"Content-Type: text/html\r\nContent-Length: 2\r\n\r\n{}", Document(body=b"{}")),
    "more than its length": (OK + b"Content-Length: 2\r\n\r\n{}HTTP/1.1 500 x\r\n\r\n", Document(body=b"{}")),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "document"), ANSWERS.values(), ids=ANSWERS)
def test_a_document_is_fetched(answer: bytes, document: Document) -> None:
    with serving(sends(answer)) as server:
        assert fetch(server.url(), seconds=5) == replace(document, local=True)


def test_one_plain_request_is_sent() -> None:
    with serving(sends(OK + b"Content-Length: 2\r\n\r\n{}")) as server:
        fetch(server.url("/tenant/jwks.json?v=1"), seconds=5)
        assert server.connections == 1
        (request,) = server.requests
    line, *fields = request.decode().removesuffix("\r\n\r\n").split("\r\n")
    assert line == "GET /tenant/jwks.json?v=1 HTTP/1.1"
    assert sorted(fields) == [
        "Accept-Encoding: identity",
        "Accept: application/jwk-set+json, application/json;q=0.9, */*;q=0.1",
        f"Host: 127.0.0.1:{server.port}",
        "User-Agent: django-resource-server",
    ]


@pytest.mark.parametrize("accepted", [b"application/jwk-set+json", b"application/json", b"*/*"])
def test_a_server_that_insists_on_a_type_finds_it(accepted: bytes) -> None:
    def answer(connection: socket.socket, request: bytes) -> None:
        found = accepted in request.partition(b"\r\nAccept: ")[2].split(b"\r\n")[0]
        status = b"200 OK" if found else b"406 Not Acceptable"
        connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n{}")

    server = Server(answer)
    server.start()
    assert fetch(server.url(), seconds=5).body == b"{}"
    server.close()


def deflate(body: bytes, window_bits: int) -> bytes:
    packer = zlib.compressobj(wbits=window_bits)
    return packer.compress(body) + packer.flush()


KEY_SET = b'{"keys": []}' * 100
PACKED = {
    "gzip": gzip.compress(KEY_SET),
    "x-gzip": gzip.compress(KEY_SET),
    "GZip": gzip.compress(KEY_SET),
    "identity, gzip": gzip.compress(KEY_SET),
    "deflate": deflate(KEY_SET, 15),
    "Deflate": deflate(KEY_SET, -15),  # without a header, as some servers send it
    "identity": KEY_SET,
    "": KEY_SET,
}


def coded(coding: str, body: bytes) -> bytes:
    return OK + f"Content-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(("coding", "packed"), PACKED.items(), ids=PACKED)
def test_a_body_is_decoded_though_identity_was_asked_for(coding: str, packed: bytes) -> None:
    with serving(sends(coded(coding, packed))) as server:
        assert fetch(server.url(), seconds=5).body == KEY_SET


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, lambda body: deflate(body, 15), lambda body: deflate(body, -15)],
    ids=["gzip", "deflate", "deflate without a header"],
)
def test_a_decoded_body_has_at_most_256_kibibytes(pack: Callable[[bytes], bytes]) -> None:
    largest = b"0" * MAX_DOCUMENT_BYTES
    coding = "gzip" if pack is gzip.compress else "deflate"
    with serving(sends(coded(coding, pack(largest)))) as server:
        assert fetch(server.url(), seconds=5).body == largest
    for bomb in (largest + b"0", b"0" * 100_000_000):
        with serving(sends(coded(coding, pack(bomb)))) as server:
            tracemalloc.start()
            assert refusal(server.url(), 5) == "document_too_large"
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak < 2**21


UNREADABLE = {
    "cut gzip": ("gzip", gzip.compress(KEY_SET)[:-9]),
    "gzip without its end": ("gzip", gzip.compress(KEY_SET)[:-1]),
    "gzip with a wrong sum": ("gzip", gzip.compress(KEY_SET)[:-8] + b"\0" * 8),
    "gzip and more": ("gzip", gzip.compress(KEY_SET) + b"{}"),
    "gzip twice": ("gzip, gzip", gzip.compress(gzip.compress(KEY_SET))),
    "gzip that is not": ("gzip", KEY_SET),
    "an empty gzip": ("gzip", b""),
    "cut deflate": ("deflate", deflate(KEY_SET, 15)[:-1]),
    "cut deflate without a header": ("deflate", deflate(KEY_SET, -15)[:-1]),
    "deflate that is not": ("deflate", KEY_SET),
    "brotli": ("br", KEY_SET),
    "nonsense": ("gzip;q=1", gzip.compress(KEY_SET)),
}


@pytest.mark.parametrize(("coding", "packed"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_body_that_cannot_be_decoded_is_malformed(coding: str, packed: bytes) -> None:
    with serving(sends(coded(coding, packed))) as server:
        assert refusal(server.url(), 5) == "document_malformed"


@pytest.mark.parametrize("status", [201, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 404, 429, 500, 503])
def test_only_status_200_is_an_answer_and_a_redirect_is_not_followed(status: int) -> None:
    with serving(sends(b"")) as elsewhere:
        head = (
            f"HTTP/1.1 {status} Whatever\r\nLocation: {elsewhere.url()}\r\nRetry-After: 0\r\nContent-Length: 2\r\n\r\n"
        )
        with serving(sends(head.encode() + b"{}")) as server:
            assert refusal(server.url(), 5) == "fetch_status"
            assert server.connections == 1
        assert elsewhere.connections == 0


BROKEN = {
    "closed at once": b"",
    "a cut status line": b"HTTP/1.1 2",
    "garbage": b"\x00\xff\xfe garbage\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a status that is no number": b"HTTP/1.1 OK OK\r\n\r\n",
    "cut headers": OK + b"Content-Length: 2\r\n",
    "a cut body": OK + b"Content-Length: 3\r\n\r\n{}",
    "cut chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}",
    "a chunk without an end": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "a chunk size that is no number": OK + b"Transfer-Encoding: chunked\r\n\r\nxx\r\n{}\r\n0\r\n\r\n",
    "an endless header line": OK + b"X: " + b"x" * 200_000,
    "a thousand headers": OK + b"X: x\r\n" * 1000 + b"\r\n",
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_is_a_failure(answer: bytes) -> None:
    with serving(sends(answer)) as server:
        assert refusal(server.url(), 5) == "fetch_failed"


def test_a_document_has_at_most_256_kibibytes() -> None:
    for head in (OK + b"\r\n", OK + b"Content-Length: %d\r\n\r\n" % MAX_DOCUMENT_BYTES):
        with serving(sends(head + b"x" * MAX_DOCUMENT_BYTES)) as server:
            assert len(fetch(server.url(), seconds=5).body) == 256 * 1024
    for head in (OK + b"\r\n", OK + b"Content-Length: %d\r\n\r\n" % (MAX_DOCUMENT_BYTES + 1)):
        with serving(sends(head + b"x" * (MAX_DOCUMENT_BYTES + 1))) as server:
            assert refusal(server.url(), 5) == "document_too_large"


def test_an_endless_document_is_left_as_soon_as_it_is_too_large() -> None:
    sent = 0

    def handler(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(OK + b"\r\n")
        while True:
            connection.sendall(b"x" * 65536)
            sent += 65536

    with serving(handler) as server:
        assert refusal(server.url(), 5) == "document_too_large"
    assert sent < 64 * 2**20  # what the sockets' buffers took


# What is asked again (RFC 9110 section 13.1.2, RFC 9111 section 4.3)


KNOWN = Document(body=b'{"known": true}', etag='"v1"', cache_control="max-age=60", age_seconds=9)


def not_modified(*fields: bytes) -> Handler:
    return sends(b"\r\n".join([b"HTTP/1.1 304 Not Modified", *fields, b"", b""]))


def test_a_known_document_is_asked_for_by_its_etag_and_kept_where_it_is_not_modified() -> None:
    with serving(not_modified(b"Cache-Control: max-age=300", b"Age: 7", b'ETag: "v2"')) as server:
        found = fetch(server.url(), seconds=5, known=KNOWN)
        assert b'If-None-Match: "v1"\r\n' in server.requests[0]
    assert found == Document(body=KNOWN.body, etag='"v1"', cache_control="max-age=300", age_seconds=7, local=True)


def test_a_known_document_makes_way_for_a_new_one() -> None:
    with serving(sends(OK + b'ETag: "v2"\r\nContent-Length: 2\r\n\r\n{}')) as server:
        assert fetch(server.url(), seconds=5, known=KNOWN) == Document(body=b"{}", etag='"v2"', local=True)


@pytest.mark.parametrize("known", [None, replace(KNOWN, etag="")], ids=["nothing known", "no ETag known"])
def test_not_modified_is_no_answer_to_who_has_not_asked(known: Document | None) -> None:
    with serving(not_modified(b'ETag: "v1"')) as server:
        with pytest.raises(Unavailable) as caught:
            fetch(server.url(), seconds=5, known=known)
        assert b"If-None-Match" not in server.requests[0]
    assert caught.value.reason == "fetch_status"


ETAGS = {
    b'"v1"': '"v1"',
    b'W/"v1"': 'W/"v1"',
    b'""': '""',
    b'"' + b"x" * 256 + b'"': '"' + "x" * 256 + '"',
    b'"' + b"x" * 257 + b'"': "",
    b'"' + b"x" * 60_000 + b'"': "",
    b"v1": "",
    b'"v1': "",
    b'w/"v1"': "",
    b'"a", "b"': "",
    b'"a"\r\nETag: "b"': "",
    b'"a b"': "",
    b'"a\xe9"': "",
    b'"a"\r\n x: "b"': "",
    b"*": "",
    b"": "",
}


@pytest.mark.parametrize(("sent", "kept"), ETAGS.items(), ids=[f"{etag[:20]!r} {len(etag)}" for etag in ETAGS])
def test_only_an_etag_that_is_one_is_kept(sent: bytes, kept: str) -> None:
    with serving(sends(OK + b"ETag: " + sent + b"\r\nContent-Length: 2\r\n\r\n{}")) as server:
        assert fetch(server.url(), seconds=5).etag == kept


AGES = {b"0": 0, b"7": 7, b" 7 ": 7, b"999999999": 999_999_999, b"9999999999": 0, b"-1": 0, b"1.5": 0, b"7, 8": 0,
        b"\xb2": 0, b"": 0, b"now": 0}  # fmt: skip


@pytest.mark.parametrize(("sent", "age"), AGES.items())
def test_the_age_is_a_number_or_nothing(sent: bytes, age: int) -> None:
    with serving(sends(OK + b"Age: " + sent + b"\r\nContent-Length: 2\r\n\r\n{}")) as server:
        assert fetch(server.url(), seconds=5).age_seconds == age


def in_seconds(seconds: int) -> str:
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


RETRY_AFTER = {
    "a number": ("120", range(120, 121)),
    "zero": ("0", range(1, 2)),
    "a date": (in_seconds(600), range(1, 601)),
    "a date that is over": (in_seconds(-600), range(1, 2)),
    "a date far away": ("Fri, 31 Dec 9999 23:59:59 GMT", range(10**9, 10**12)),
    "a date that is none": ("Fri, 32 Dec 2026 23:59:59 GMT", range(1, 2)),
    "a date in no zone": ("Fri, 31 Dec 9999 23:59:59 -0000", range(10**9, 10**12)),
    "a date in a zone that is none": ("Fri, 31 Dec 9999 23:59:59 +9999", range(1, 10**12)),
    "negative": ("-5", range(1, 2)),
    "too long a number": ("1" * 10, range(1, 2)),
    "words": ("in a while", range(1, 2)),
    "nothing": ("", range(1, 2)),
}


@pytest.mark.parametrize(("sent", "seconds"), RETRY_AFTER.values(), ids=RETRY_AFTER)
def test_when_to_ask_again(sent: str, seconds: range) -> None:
    head = f"HTTP/1.1 429 Slow Down\r\nRetry-After: {sent}\r\nContent-Length: 0\r\n\r\n"
    with serving(sends(head.encode())) as server, pytest.raises(Unavailable) as caught:
        fetch(server.url(), seconds=5)
    assert caught.value.reason == "fetch_status"
    assert caught.value.retry_after in seconds


@given(st.text() | st.from_regex(r"[A-Za-z]{0,4},? ?\d{0,5} [A-Za-z]{0,4} \d{0,10} [\d:.]{0,12} [+-]?\w{0,5}"))
@example("Mon, 01 Jan 0001 00:00:00 +2359")
def test_any_retry_after_is_a_second_or_more(value: str) -> None:
    assert http._retry_after(value) >= 1


# Where a document may come from


def test_a_public_address_is_not_this_machine() -> None:
    with serving(sends(OK + b"Content-Length: 2\r\n\r\n{}")) as server:
        with pytest.raises(Unavailable) as caught:
            fetch(server.url(), seconds=5, public=True)
        assert caught.value.reason == "address_not_allowed"
    assert b"".join(server.requests) == b"", "something was sent"


def test_a_name_is_judged_by_the_address_that_it_leads_to() -> None:
    with serving(sends(OK + b"Content-Length: 2\r\n\r\n{}")) as server:
        for host in ("localhost", "127.0.0.1"):
            url = f"http://{host}:{server.port}/"
            assert fetch(url, seconds=5).local
            with pytest.raises(Unavailable):
                fetch(url, seconds=5, public=True)


HOSTS = {
    "localhost": True, "a.localhost": True, "127.0.0.1": True, "127.255.0.1": True, "0.0.0.0": True, "::1": True, "::": True,
    "169.254.169.254": True, "fe80::1": True, "fe80::1%eth0": True, "::ffff:127.0.0.1": True, "::ffff:169.254.169.254": True,
    "224.0.0.1": True, "ff02::1": True, "localhost.": True, "127.0.0.1.": True,
    "127.1": True, "0x7f000001": True, "2130706433": True, "0177.0.0.1": True, "0": True, "169.254.43518": True,
    "issuer.test": False, "localhost.issuer.test": False, "10.0.0.1": False, "192.0.2.1": False, "2001:db8::1": False,
    "::ffff:192.0.2.1": False, "10.1": False, "3232235777": False, "127": False, "0x7g.1": False, "127.0.0.1.issuer.test": False, "": False,
}  # fmt: skip


@pytest.mark.parametrize(("host", "is_here"), HOSTS.items())
def test_which_hosts_are_this_machine_or_its_link(host: str, is_here: bool) -> None:
    assert is_on_this_machine(host) is is_here


# The deadline


HANGING: dict[str, Handler] = {
    "no answer": until_shut,
    "dripping status line": drips(b"", b"H"),
    "dripping headers": drips(OK, b"X"),
    "one header after another": drips(OK, b"X: y\r\n"),
    "dripping body": drips(OK + b"Content-Length: 1000000\r\n\r\n", b"x"),
    "dripping body, to be closed": drips(OK + b"Connection: close\r\nContent-Length: 1000000\r\n\r\n", b"x"),
    "dripping chunks": drips(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "a dripping chunk size": drips(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "a dripping chunk size, to be closed": drips(OK + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    "dripping trailers, to be closed": drips(
        OK + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X"
    ),
    "one continuation after another": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "half a body, then nothing": lambda connection: (
        connection.sendall(OK + b"Content-Length: 9\r\n\r\n{"),
        until_shut(connection),
    )[0],
}


@pytest.mark.parametrize("handler", HANGING.values(), ids=HANGING)
def test_the_deadline_holds_whatever_the_server_does(handler: Handler) -> None:
    with serving(handler) as server:
        started = time.monotonic()
        assert refusal(server.url()) == "fetch_timeout"
        assert SHORT - 0.05 <= time.monotonic() - started < SHORT + 4
        # The autouse fixture sees that the worker ends; the server sees it too, before it is closed.


def test_a_connection_that_is_refused_is_a_failure(free_port: Callable[[], int]) -> None:
    assert refusal(f"http://127.0.0.1:{free_port()}/", 5) == "fetch_failed"


def test_a_connection_that_nobody_accepts_ends_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as first, socket.socket() as second:
        for filler in (first, second):
            filler.setblocking(False)
            with suppress(BlockingIOError):
                filler.connect(full.getsockname())
        assert refusal(f"http://127.0.0.1:{full.getsockname()[1]}/") == "fetch_timeout"


def test_a_self_signed_certificate_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with serving(sends(OK + b"Content-Length: 2\r\n\r\n{}"), certificate(tmp_path / "server.pem")) as server:
        assert refusal(server.url(), 5) == "fetch_failed"
        assert server.connections == 1
        assert server.requests == []


def test_a_certificate_that_the_system_trusts_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The refusal above is about trust, not about TLS as such.
    context = certificate(tmp_path / "server.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    with serving(sends(OK + b"Content-Length: 2\r\n\r\n{}"), context) as server:
        assert fetch(server.url(), seconds=5).body == b"{}"


def offers_tls_1_1(context: ssl.SSLContext) -> None:
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")


def offers_no_encryption(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("eNULL:@SECLEVEL=0")


@pytest.mark.parametrize("weaken", [offers_tls_1_1, offers_no_encryption])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_tls_that_protects_too_little_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weaken: Callable[[ssl.SSLContext], None]
) -> None:
    context = certificate(tmp_path / "server.pem")
    weaken(context)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    with serving(sends(OK + b"Content-Length: 2\r\n\r\n{}"), context) as server:
        assert refusal(server.url(), 5) == "fetch_failed"
        assert server.requests == []
        # The server does speak what it offers, to a client that takes it.
        willing = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        willing.load_verify_locations(tmp_path / "server.pem")
        weaken(willing)
        with willing.wrap_socket(
            socket.create_connection(("127.0.0.1", server.port)), server_hostname="localhost"
        ) as s:
            s.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert s.recv(5) == b"HTTP/"


def test_a_dripping_tls_server_is_left_at_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = certificate(tmp_path / "server.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    with serving(drips(OK, b"X"), context) as server:
        assert refusal(server.url()) == "fetch_timeout"


def test_a_server_that_never_answers_to_tls_is_left_at_the_deadline() -> None:
    with serving(until_shut) as server:
        assert refusal(server.url().replace("http:", "https:")) == "fetch_timeout"


def test_a_connection_is_shut_while_tls_shakes_hands() -> None:
    """TLS takes the socket out of our hands for that time, and a server must not keep the worker meanwhile."""
    with serving(until_shut) as server:
        exchange = http._Exchange(server.url().replace("http:", "https:"), 60, public=False)
        call = partial(exchange.result, "GET", {}, None, lambda response: response)
        worker = threading.Thread(target=lambda: suppressed(call), daemon=True)
        worker.start()
        while not server.requests and server.connections == 0:
            time.sleep(0.01)  # between two looks
        time.sleep(0.2)  # so that the handshake has begun
        exchange._end()
        worker.join(30)
        assert not worker.is_alive()


def suppressed(call: Callable[[], object]) -> None:
    with suppress(Exception):
        call()


def test_a_connection_that_is_made_after_the_deadline_is_ended_by_its_worker() -> None:
    with serving(until_shut) as server, socket.create_connection(("127.0.0.1", server.port)) as late:
        exchange = http._Exchange(server.url(), 0, public=False)
        with pytest.raises(TimeoutError):
            exchange._opened(late)
        assert late.fileno() == -1
        assert [handle.fileno() for handle in exchange._handles] == [-1]


def test_what_a_call_raises_is_raised() -> None:
    def fail() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        within(5, fail)
    with pytest.raises(TimeoutError):
        within(0.01, lambda: time.sleep(0.2))
    assert within(5, lambda: None) is None


def test_a_server_that_answers_to_tls_with_something_else_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                until_shut(connection)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        assert refusal(f"https://127.0.0.1:{listening.getsockname()[1]}/", 5) == "fetch_failed"
        thread.join(10)


# Which addresses may be fetched


ADDRESSES = {
    "https://issuer.test/jwks.json": None,
    "https://issuer.test": None,
    "https://issuer.test:8443/a?b=c": None,
    "https://[::1]/": None,
    "https://10.0.0.1/": None,
    "http://localhost:9000": None,
    "http://127.0.0.1:9000/": None,
    "http://127.1.2.3/": None,
    "http://[::1]:9000/": None,
    "http://issuer.test/": "is http",
    "http://10.0.0.1/": "is http",
    "http://0.0.0.0/": "is http",
    "http://localhost.evil.test/": "is http",
    "http://127.0.0.1.evil.test/": "is http",
    "http://127.1/": "is http",
    "http://2130706433/": "is http",
    "http://169.254.169.254/": "is http",
    "http://[::ffff:10.0.0.1]/": "is http",
    "http://evil.test/?http://localhost": "is http",
    "HTTPS://issuer.test/": "has no scheme",
    "https:/issuer.test": "has no scheme",
    "https:issuer.test": "has no scheme",
    "//issuer.test/": "has no scheme",
    "issuer.test": "has no scheme",
    "/jwks.json": "has no scheme",
    "": "has no scheme",
    "file:///etc/passwd": "has no scheme",
    "ftp://issuer.test/": "has no scheme",
    "gopher://issuer.test/": "has no scheme",
    "data:application/json,{}": "has no scheme",
    "javascript:alert(1)": "has no scheme",
    "unix:///run/docker.sock": "has no scheme",
    "https://": "has no host",
    "https:///path": "has no host",
    "https://:443/": "has no host",
    "https://user@issuer.test/": "holds a user name",
    "https://user:pass@issuer.test/": "holds a user name",
    "https://:@issuer.test/": "holds a user name",
    "https://@issuer.test/": "holds a user name",
    "http://127.0.0.1@evil.test/": "holds a user name",
    "https://issuer.test#@evil.test/": "holds a fragment",
    "https://issuer.test/#": "holds a fragment",
    "https://issuer.test/a#b": "holds a fragment",
    "https://issuer.test:port/": "is not a URL",
    "https://issuer.test:99999/": "is not a URL",
    "https://issuer.test:-1/": "is not a URL",
    "https://[::1/": "is not a URL",
    "https://issuer.test/a b": "is not a URL",
    " https://issuer.test/": "is not a URL",
    "https://issuer.test/\r\nHost: evil": "is not a URL",
    "https://issuer.test/\t": "is not a URL",
    "https://issuer.test/\x00": "is not a URL",
    "https://\u0456ssuer.test/": "is not a URL",
    "https://issuer.test/\u00e9": "is not a URL",
    "https://issuer.test/" + "a" * 1981: "is not a URL",
    "https://issuer.test/\x7f": "has characters that no URL has",
    "https://issuer.test/\\evil.test/": "has characters that no URL has",
    "https://issuer.test/{tenant}": "has characters that no URL has",
    'https://issuer.test/"': "has characters that no URL has",
    "https://%31%32%37.0.0.1/": "has characters that no URL has",
    "https://[fe80::1%25eth0]/": "has characters that no URL has",
}


@pytest.mark.parametrize(("url", "problem"), ADDRESSES.items(), ids=[repr(url[:60]) for url in ADDRESSES])
def test_which_addresses_may_be_fetched(url: str, problem: str | None) -> None:
    found = address_problem(url, http_on_loopback=True)
    assert found is None if problem is None else (found or "").startswith(problem)
    if url.startswith("http://"):
        assert (address_problem(url, http_on_loopback=False) or "").startswith(problem or "is http")
    else:
        assert address_problem(url, http_on_loopback=False) == found


@pytest.mark.parametrize("url", [None, 1, True, b"https://issuer.test/", ["https://issuer.test/"], {}])
def test_what_is_no_text_is_no_address(url: object) -> None:
    assert address_problem(url, http_on_loopback=True) == "is not a URL"


def test_an_address_has_at_most_2000_characters() -> None:
    url = "https://issuer.test/".ljust(2000, "a")
    assert address_problem(url, http_on_loopback=False) is None
    assert address_problem(url + "a", http_on_loopback=False) == "is not a URL"


@given(
    st.text()
    | st.from_regex(r"https?://[\[\]@:/?#.%\\a-z0-9-]{0,30}", fullmatch=True)
    | st.text(st.sampled_from("htps:/@[]#?.%\\127.0localhost\t\n ")).map(lambda rest: f"http://{rest}"),
    st.booleans(),
)
@example("http://[127.0.0.1]evil.test/", True)
@example("http://evil.test[::1]/", True)
@example("http://127.0.0.1\\@evil.test/", True)
@example("https://[v1.x]/", False)
def test_any_text_is_an_https_or_loopback_address_or_has_a_problem(url: str, development: bool) -> None:
    problem = address_problem(url, http_on_loopback=development)
    if problem is not None:
        assert isinstance(problem, str)
        return
    assert url.startswith(("https://", "http://"))
    assert "@" not in url.split("/")[2].split("?", maxsplit=1)[0]
    if url.startswith("http://"):
        assert development
        assert connects_to_loopback(url)


def connects_to_loopback(url: str) -> bool:
    """What the library that connects makes of an address, whatever we made of it."""
    import urllib3

    try:
        host = urllib3.util.parse_url(url).host
    except urllib3.exceptions.LocationParseError:
        return True  # it goes nowhere
    host = (host or "").strip("[]")
    return host == "localhost" or ipaddress.ip_address(host).is_loopback
