"""The proxy of the environment: which addresses go through it, what it sees, and the limits that hold behind it."""

import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.certificates import certificate
from tests.proxy import Proxy, proxying
from tests.servers import Server, serving, until_shut

from resource_server.errors import Unavailable
from resource_server.keys.document import MAX_DOCUMENT_BYTES
from resource_server.keys.http import fetch
from resource_server.keys.proxies import proxy_for

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
URL = "https://issuer.test/keys?v=1"
VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, *map(str.upper, VARIABLES), "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)


def answers(connection: socket.socket) -> None:
    connection.sendall(OK)


@pytest.fixture
def issuer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A TLS server whose certificate, for issuer.test, this machine trusts."""
    context = certificate(tmp_path / "issuer.pem", "issuer.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "issuer.pem"))
    with serving(answers, context) as server:
        yield server


@pytest.fixture
def proxy(issuer: Server) -> Iterator[Proxy]:
    with proxying({"issuer.test:443": issuer.port}) as running:
        yield running


def refusal(url: str = URL, seconds: float = 5) -> str:
    with pytest.raises(Unavailable) as caught:
        fetch(url, seconds=seconds)
    return caught.value.reason


# Through a real proxy


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_an_https_address_is_fetched_through_a_tunnel_that_hides_it(
    proxy: Proxy, issuer: Server, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, proxy.url())
    document = fetch(URL, seconds=5, public=True)
    assert document.body == b"{}"
    assert not document.local, "the proxy's own address says nothing about the issuer's"
    (seen,) = proxy.requests
    assert seen.startswith(b"CONNECT issuer.test:443 HTTP/1.")
    assert b"keys" not in seen
    (received,) = issuer.requests
    assert received.startswith(b"GET /keys?v=1 HTTP/1.1\r\n")
    assert b"\r\nHost: issuer.test\r\n" in received


def test_the_environment_counts_at_each_fetch(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert refusal() == "fetch_failed"
    monkeypatch.setenv("HTTPS_PROXY", proxy.url())
    assert fetch(URL, seconds=5).body == b"{}"


def test_the_proxy_gets_the_credentials_and_the_issuer_does_not(
    issuer: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with proxying({"issuer.test:443": issuer.port}, credentials="us\u00e9r:p@ss:w/rd") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url())
        assert refusal() == "fetch_failed"
        assert issuer.requests == []
        monkeypatch.setenv("HTTPS_PROXY", proxy.url("us%C3%A9r:p%40ss%3Aw%2Frd"))
        assert fetch(URL, seconds=5).body == b"{}"
    assert b"Authorization" not in issuer.requests[0]
    assert not any(word in caplog.text for word in ("p@ss", "p%40ss", "p%40"))


def test_a_certificate_of_another_name_is_refused_behind_the_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = certificate(tmp_path / "other.pem", "other.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))
    with serving(answers, context) as server, proxying({"issuer.test:443": server.port}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url())
        assert refusal() == "fetch_failed"
        assert (proxy.connections, server.connections) == (1, 1)
        assert server.requests == []


def test_a_proxy_that_opens_tls_with_a_certificate_of_its_own_is_refused(
    proxy: Proxy, issuer: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(answers, certificate(tmp_path / "mitm.pem", "issuer.test")) as reader:
        proxy._names = {"issuer.test:443": reader.port}
        monkeypatch.setenv("HTTPS_PROXY", proxy.url())
        assert refusal() == "fetch_failed"
        assert (reader.connections, reader.requests) == (1, [])
        # Unless the project names it, as many companies need.
        assert fetch(URL, seconds=5, ca_file=str(tmp_path / "mitm.pem")).body == b"{}"


def test_a_proxy_may_speak_tls_itself(issuer: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = certificate(tmp_path / "proxy.pem")
    with proxying({"issuer.test:443": issuer.port, "keycloak:8080": issuer.port}, context=context) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url())
        assert refusal() == "fetch_failed"
        assert proxy.requests == []
        assert fetch(URL, seconds=5, ca_file=str(tmp_path / "proxy.pem")).body == b"{}"
    assert issuer.requests[0].startswith(b"GET /keys?v=1 HTTP/1.1\r\n")


@pytest.mark.parametrize("speaks_tls", [False, True], ids=["over http", "over https"])
def test_an_http_address_of_development_is_forwarded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speaks_tls: bool
) -> None:
    context = certificate(tmp_path / "proxy.pem") if speaks_tls else None
    ca_file = str(tmp_path / "proxy.pem") if speaks_tls else None
    with (
        serving(answers) as server,
        proxying({"keycloak:8080": server.port}, credentials="a:b", context=context) as proxy,
    ):
        monkeypatch.setenv("HTTP_PROXY", proxy.url("a:b"))
        assert fetch("http://keycloak:8080/keys", seconds=5, ca_file=ca_file).body == b"{}"
        assert proxy.requests[0].startswith(b"GET http://keycloak:8080/keys HTTP/1.1\r\n")
        assert b"\r\nHost: keycloak:8080\r\n" in server.requests[0]


def test_an_address_of_this_machine_never_reaches_the_proxy(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES[:2]:
        monkeypatch.setenv(name, proxy.url())
    with serving(answers) as server:
        for host in ("127.0.0.1", "localhost"):
            assert fetch(f"http://{host}:{server.port}/", seconds=5).local
            with pytest.raises(Unavailable) as caught:
                fetch(f"http://{host}:{server.port}/", seconds=5, public=True)
            assert caught.value.reason == "address_not_allowed"
    assert proxy.connections == 0


def test_a_proxy_that_does_not_know_the_host_is_a_failure(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url())
    assert refusal("https://elsewhere.test/") == "fetch_failed"
    assert proxy.connections == 1


def test_the_size_is_limited_behind_the_proxy(proxy: Proxy, issuer: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url())
    issuer._handler = lambda connection, _: connection.sendall(
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_DOCUMENT_BYTES + 1)
    )
    assert refusal() == "document_too_large"


def test_the_deadline_holds_for_a_proxy_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(until_shut) as silent:
        monkeypatch.setenv("HTTPS_PROXY", silent.url(""))
        started = time.monotonic()
        assert refusal(seconds=0.3) == "fetch_timeout"
        assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    "value", ["socks5://127.0.0.1:1080", "ftp://127.0.0.1", "http://", "http://[::1", "http://127.0.0.1:port"]
)
def test_a_variable_that_names_no_http_proxy_is_a_failure(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    # Never a direct connection: the variable says that there is none.
    monkeypatch.setenv("HTTPS_PROXY", value)
    assert refusal() == "fetch_failed"
    with pytest.raises(OSError, match="HTTPS_PROXY is not"):
        proxy_for(URL)


# Which addresses go through it

# Sentence -> the environment, the address, the proxy.
CHOICES: dict[str, tuple[Mapping[str, str], str, str | None]] = {
    "no variable": ({}, URL, None),
    "the variable of the scheme": ({"HTTPS_PROXY": "http://p:3128", "HTTP_PROXY": "http://q"}, URL, "http://p:3128"),
    "the variable of http": ({"HTTPS_PROXY": "http://p:3128", "HTTP_PROXY": "http://q"}, "http://k/", "http://q:80"),
    "only the other's": ({"HTTP_PROXY": "http://q"}, URL, None),
    "ALL_PROXY is not read": ({"ALL_PROXY": "http://q"}, URL, None),
    "lower case counts first": ({"HTTPS_PROXY": "http://p", "https_proxy": "http://q"}, URL, "http://q:80"),
    "lower case turns off": ({"HTTPS_PROXY": "http://p", "https_proxy": ""}, URL, None),
    "without a scheme": ({"HTTPS_PROXY": "p:3128"}, URL, "http://p:3128"),
    "over https": ({"HTTPS_PROXY": "https://p"}, URL, "https://p:443"),
    "an IPv6 proxy": ({"HTTPS_PROXY": "http://[fd00::1]:3128"}, URL, "http://[fd00::1]:3128"),
    "with credentials": ({"HTTPS_PROXY": "http://a:b@p:1/"}, URL, "http://p:1"),
    "HTTP_PROXY that a CGI client may have set": ({"HTTP_PROXY": "http://q", "REQUEST_METHOD": "GET"}, "http://k/", None),
    "HTTPS_PROXY in CGI": ({"HTTPS_PROXY": "http://q", "REQUEST_METHOD": "GET"}, URL, "http://q:80"),
}  # fmt: skip


@pytest.mark.parametrize(("environment", "url", "expected"), CHOICES.values(), ids=CHOICES)
def test_which_proxy_is_chosen(
    monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str], url: str, expected: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = proxy_for(url)
    assert (found and found.url) == expected
    assert "YTpi" not in repr(found)


# {NO_PROXY: (addresses that go directly, addresses that do not)}
EXEMPT = {
    "*": (["https://issuer.test/", "https://10.0.0.1/"], []),
    "issuer.test": (
        ["https://issuer.test/", "https://a.issuer.test/", "https://issuer.test./", "https://issuer.test:8443/"],
        ["https://myissuer.test/", "https://issuer.test.evil/"],
    ),
    ".issuer.test": (["https://issuer.test/", "https://a.issuer.test/"], ["https://myissuer.test/"]),
    "*.issuer.test": (["https://a.issuer.test/"], ["https://myissuer.test/"]),
    "ISSUER.test": (["https://issuer.test/"], []),
    "issuer.test:8443": (["https://issuer.test:8443/"], ["https://issuer.test/"]),
    "issuer.test:443": (["https://issuer.test/"], ["https://issuer.test:8443/"]),
    "a.test, issuer.test": (["https://issuer.test/", "https://a.test/"], ["https://b.test/"]),
    "a.test issuer.test": (["https://issuer.test/", "https://a.test/"], ["https://b.test/"]),
    "10.0.0.0/8": (["https://10.1.2.3/"], ["https://11.0.0.1/", "https://issuer.test/"]),
    "10.0.0.1": (["https://10.0.0.1/"], ["https://10.0.0.10/", "https://110.0.0.1/"]),
    "10.0.0.1:443": (["https://10.0.0.1/"], ["https://10.0.0.1:8443/"]),
    "fd00::/8": (["https://[fd00::1]/"], ["https://[fe00::1]/", "https://10.0.0.1/"]),
    "[fd00::1]:443": (["https://[fd00::1]/"], ["https://[fd00::1]:8443/"]),
    "fd00::1": (["https://[fd00::1]/"], ["https://[fd00::2]/"]),
    ",., ,": ([], ["https://issuer.test/"]),
    "test": (["https://issuer.test/"], ["https://issuertest/"]),
    "": ([], ["https://issuer.test/", "https://10.0.0.1/"]),
}


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize(("value", "addresses"), EXEMPT.items(), ids=[f"{value!r}" for value in EXEMPT])
def test_no_proxy_names_what_is_fetched_directly(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, addresses: tuple[list[str], list[str]]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://p")
    monkeypatch.setenv(variable, value)
    direct, through = addresses
    assert [url for url in direct if proxy_for(url) is not None] == []
    assert [url for url in through if proxy_for(url) is None] == []


@pytest.mark.parametrize(
    "host", ["localhost", "a.localhost", "localhost.", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "[::1]", "[::]",
             "0.0.0.0", "169.254.169.254", "[::ffff:127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]", "[fd00:ec2::254]"],
)  # fmt: skip
def test_no_spelling_of_this_machine_is_asked_of_the_proxy(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    # The proxy would connect to itself, or to the metadata service of its cloud.
    monkeypatch.setenv("HTTPS_PROXY", "http://p")
    assert proxy_for(f"https://{host}/") is None


@given(st.text().filter(lambda value: "\0" not in value), st.text().filter(lambda value: "\0" not in value))
@example("http://[::1", "")
@example("http://\u2100", ":" + "1" * 5000)
def test_any_environment_gives_a_proxy_or_an_error_of_its_own(value: str, exempt: str) -> None:
    with pytest.MonkeyPatch.context() as patch, suppress(OSError):
        patch.setattr(os, "environ", {"HTTPS_PROXY": value, "NO_PROXY": exempt})
        found = proxy_for(URL)
        assert found is None or found.url.startswith(("http://", "https://"))


def test_the_proxy_is_told_the_host_of_a_tunnel(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url())
    fetch(URL, seconds=5)
    (head,) = proxy.requests
    assert head.count(b"\r\nHost: issuer.test:443\r\n") == 1
    assert b"\r\nUser-Agent: django-resource-server\r\n" in head


def test_a_proxy_that_wants_credentials_is_named_as_the_cause(issuer: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxying({"issuer.test:443": issuer.port}, credentials="a:b") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url("a:wrong"))
        with pytest.raises(Unavailable) as caught:
            fetch(URL, seconds=5)
    assert caught.value.outcome == "the proxy failed: it answered 407 to CONNECT"
