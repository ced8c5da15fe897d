"""The example with PUBLIC_ORIGIN, under gunicorn: a client finds its way from a 401 to the issuer and back with a token."""

import http.client
import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from tests.processes import api, call, development_issuer, request_token

WELL_KNOWN = "/.well-known/oauth-protected-resource"


@pytest.fixture(scope="module")
def site(free_port: Callable[[], int], database_url: str) -> Iterator[tuple[str, str, str]]:
    """The address of the example, its identifier (with a path) and its issuer."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    identifier = f"{origin}/api"
    arguments = ("--audience", identifier, "--scope", "example:scope")
    with development_issuer(free_port(), *arguments) as (issuer, _):
        variables = {"API_IDENTIFIER": identifier, "PUBLIC_ORIGIN": origin, "DATABASE_URL": database_url}
        with api(port, ISSUER_PORT=issuer.rpartition(":")[2], **variables) as address:
            yield address, identifier, issuer


def test_from_a_401_over_the_metadata_to_a_token_that_passes(site: tuple[str, str, str]) -> None:
    address, identifier, issuer = site
    refused = call(address, "/api/private-scoped")
    document = f"{address}{WELL_KNOWN}/api"
    expected = f'Bearer realm="api", resource_metadata="{document}", scope="example:scope"'
    assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, expected)
    assert refused.headers["Cache-Control"] == "no-store"

    found = call(address, urlsplit(document).path)
    assert (found.status, found.headers["Content-Type"]) == (200, "application/json")
    assert found.json() == {
        "resource": identifier,
        "authorization_servers": [issuer],
        "scopes_supported": ["example:scope"],
        "bearer_methods_supported": ["header"],
    }

    metadata = call(found.json()["authorization_servers"][0], "/.well-known/oauth-authorization-server").json()
    assert metadata["issuer"] == issuer
    scope = re.search(r' scope="([^"]+)"', expected)
    assert scope is not None
    token = request_token(issuer, scope[1], audience=found.json()["resource"])
    opened = call(address, "/api/private-scoped", authorization=f"Bearer {token}")
    assert (opened.status, opened.headers["Cache-Control"]) == (200, "private")


def test_every_refusal_names_the_document(site: tuple[str, str, str]) -> None:
    address, identifier, issuer = site
    named = f'resource_metadata="{address}{WELL_KNOWN}/api"'
    unscoped = request_token(issuer, audience=identifier)
    lacking = call(address, "/api/private-scoped", authorization=f"Bearer {unscoped}")
    assert lacking.status == 403
    assert lacking.headers["WWW-Authenticate"].endswith(f', {named}, scope="example:scope"')
    for path in ("/api/private", "/api/private-scoped/"):
        bad = call(address, path, authorization="Bearer x")
        assert bad.status == 401
        assert bad.headers["WWW-Authenticate"].endswith(f", {named}")
    open_to_any_token = call(address, "/api/private")
    assert open_to_any_token.headers["WWW-Authenticate"] == f'Bearer realm="api", {named}'


def test_only_the_identifiers_own_path_is_answered(site: tuple[str, str, str]) -> None:
    address, _identifier, _issuer = site
    for path in (WELL_KNOWN, f"{WELL_KNOWN}/", f"{WELL_KNOWN}/api/", f"{WELL_KNOWN}/other", f"/api{WELL_KNOWN}"):
        assert call(address, path).status == 404
    hostile = {"X-Forwarded-Host": "stolen.test", "X-Forwarded-Proto": "https"}
    assert call(address, f"{WELL_KNOWN}/api", headers=hostile).json()["resource"].startswith(address)


def raw(address: str, method: str, path: str, token: str | None = None) -> bytes:
    """All bytes of an answer behind its headers, as they were sent; `http.client` reads none for HEAD."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    connection.connect()
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: {urlsplit(address).netloc}\r\n{authorization}Connection: close\r\n\r\n"
    connection.sock.sendall(head.encode())
    received = b""
    while chunk := connection.sock.recv(65536):
        received += chunk
    connection.close()
    return received


@pytest.mark.parametrize("path", ["/api/public", "/api/private/", "/api/private-scoped", f"{WELL_KNOWN}/api"])
def test_head_answers_as_get_without_a_body(site: tuple[str, str, str], path: str) -> None:
    address, identifier, issuer = site
    token = request_token(issuer, "example:scope", audience=identifier)
    for sent in (token, None):
        got, head = (raw(address, method, path, sent).partition(b"\r\n\r\n") for method in ("GET", "HEAD"))
        without_date = [re.sub(rb"\r\nDate: [^\r]+", b"", each[0]) for each in (got, head)]
        assert without_date[0] == without_date[1]
        assert got[2] != b""
        assert head[2] == b""


def test_without_an_origin_nothing_is_published(example: str) -> None:
    assert call(example, WELL_KNOWN).status == 404
    assert "resource_metadata" not in call(example, "/api/private").headers["WWW-Authenticate"]


@pytest.mark.parametrize("path", ["/api/public", "/api/private", "/api/private-scoped/"])
def test_head_is_answered_without_an_origin_too(example: str, path: str) -> None:
    expected = 200 if path == "/api/public" else 401
    assert call(example, path, method="HEAD").status == expected
    assert call(example, path, method="PUT").status in {401, 405}
