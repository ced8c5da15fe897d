"""A form that is sent to a server of any temper: the limits are those of a document."""

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.certificates import certificate
from tests.introspection.conftest import Endpoint, read_form
from tests.keys.test_http import drips
from tests.proxy import proxying
from tests.servers import Handler, Server, until_shut

from resource_server.errors import Unavailable
from resource_server.keys.answer import Answer
from resource_server.keys.document import MAX_DOCUMENT_BYTES
from resource_server.keys.http import post

FORM = {"token": "a b&c=d+ü/", "empty": ""}
OK = b"HTTP/1.1 200 OK\r\n"
VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")


@pytest.fixture(autouse=True)
def _no_thread_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (*VARIABLES, *map(str.upper, VARIABLES), "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    yield
    for thread in threading.enumerate():
        if thread.name == "resource-server-fetch":
            thread.join(30)
            assert not thread.is_alive(), "a worker outlived its caller"


def send(url: str, seconds: float = 5, form: Mapping[str, str] = FORM, **options: Any) -> Answer:
    return post(url, form=form, headers={"X-Header": "1"}, accept="application/json", seconds=seconds, **options)


def refusal(url: str, seconds: float = 0.3, **options: Any) -> str:
    with pytest.raises(Unavailable) as caught:
        send(url, seconds, **options)
    assert "a b" not in f"{caught.value} {caught.value.outcome}"
    return caught.value.reason


def test_the_request(endpoint: Endpoint) -> None:
    send(f"{endpoint.url}?a=b")
    (question,) = endpoint.asked
    assert question.line == "POST /introspect?a=b HTTP/1.1"
    assert question.headers["x-header"] == "1"
    assert question.headers["accept-encoding"] == "identity"
    assert (question.form["token"], question.headers["content-length"]) == ("a b&c=d+ü/", "36")


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as running:
        yield running


@contextmanager
def serving(handler: Handler) -> Iterator[Server]:
    """A server that reads the form: else its end would reset the connection, and the answer could be lost."""

    def serve(connection: socket.socket, request: bytes) -> None:
        read_form(connection, request)
        handler(connection)

    server = Server(serve)
    server.start()
    try:
        yield server
    finally:
        server.close()


def sends(data: bytes) -> Handler:
    return lambda connection: connection.sendall(data)


ANSWERS: dict[str, tuple[bytes, Answer]] = {
    "of any status": (
        b"HTTP/1.1 418 Teapot\r\nContent-Length: 2\r\n\r\n{}",
        Answer(status=418, body=b"{}"),
    ),
    "with a type": (
        OK + b"Content-Type: Application/JSON; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}",
        Answer(status=200, content_type="application/json", body=b"{}"),
    ),
    "without a body": (b"HTTP/1.1 204 No Content\r\n\r\n", Answer(status=204)),
    "a redirect": (
        b"HTTP/1.1 307 Moved\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n",
        Answer(status=307),
    ),
    "in chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", Answer(status=200, body=b"{}")),
    "packed": (
        OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(gzip.compress(b"{}")) + gzip.compress(b"{}"),
        Answer(status=200, body=b"{}"),
    ),
    "with a pause": (
        b"HTTP/1.1 429 Slow down\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n",
        Answer(status=429, retry_after=30),
    ),
}
HOSTILE: dict[str, tuple[Handler, str]] = {
    "silent": (until_shut, "fetch_timeout"),
    "a byte now and then": (drips(OK + b"Content-Length: 1000\r\n\r\n", b" "), "fetch_timeout"),
    "headers without end": (drips(OK, b"X: y\r\n"), "fetch_timeout"),
    "gone": (lambda connection: None, "fetch_failed"),
    "no HTTP": (sends(b"SSH-2.0-x\r\n"), "fetch_failed"),
    "cut": (sends(OK + b"Content-Length: 10\r\n\r\n{}"), "fetch_failed"),
    "too large": (
        sends(OK + b"Content-Length: %d\r\n\r\n" % (MAX_DOCUMENT_BYTES + 1) + b" " * (MAX_DOCUMENT_BYTES + 1)),
        "document_too_large",
    ),
    "a bomb": (
        sends(OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b" " * 10_000_000)),
        "document_too_large",
    ),
    "a coding that is not known": (sends(OK + b"Content-Encoding: br\r\n\r\nx"), "document_malformed"),
}


@pytest.mark.parametrize(("data", "answer"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer(data: bytes, answer: Answer) -> None:
    with serving(sends(data)) as server:
        assert send(server.url()) == answer
        assert server.connections == 1, "no redirect is followed, and nothing is sent twice"


@pytest.mark.parametrize(("handler", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_server(handler: Callable[[socket.socket], None], reason: str) -> None:
    started = time.monotonic()
    with serving(handler) as server, suppress(ConnectionError):
        assert refusal(server.url(), 2.0 if reason != "fetch_timeout" else 0.3) == reason
        assert server.connections == 1
    assert time.monotonic() - started < 10


def test_an_address_of_this_machine_where_a_public_one_is_due(endpoint: Endpoint) -> None:
    assert refusal(endpoint.url, public=True) == "address_not_allowed"
    assert endpoint.asked == []


def test_the_certificate_of_the_server_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = certificate(tmp_path / "server.pem")
    with Endpoint(context) as endpoint:
        assert refusal(endpoint.url, 5) == "fetch_failed"
        assert send(endpoint.url, ca_file=str(tmp_path / "server.pem")).status == 200
        assert len(endpoint.asked) == 1, "the token is not sent to a server that cannot prove its name"
    with Endpoint(certificate(tmp_path / "other.pem", "other.test")) as other:
        assert refusal(other.url, 5, ca_file=str(tmp_path / "other.pem")) == "fetch_failed"
        assert other.asked == []


def test_a_certificate_of_the_client_that_is_gone(endpoint: Endpoint, tmp_path: Path) -> None:
    assert refusal("https://127.0.0.1:1/", certificate=str(tmp_path / "gone.pem")) == "fetch_failed"


def test_a_tunnel_hides_the_token_from_the_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = certificate(tmp_path / "issuer.pem", "issuer.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "issuer.pem"))
    with Endpoint(context) as endpoint:
        port = int(endpoint.url.split(":")[2].split("/")[0])
        with proxying({"issuer.test:443": port}) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url())
            assert send("https://issuer.test/introspect", public=True).status == 200
            [head] = [request.split(b"\r\n")[0] for request in proxy.requests]
            assert head.startswith(b"CONNECT issuer.test:443 HTTP/1.")  # 1.0 before Python 3.12
        assert endpoint.asked[0].form["token"] == FORM["token"]
