"""The page and the description of the API, as a browser and a generator of clients get them."""

import re
from pathlib import Path
from typing import Any

import pytest
from tests.processes import AUDIENCE, call, manage


@pytest.fixture(scope="module")
def schema(example: str) -> dict[str, Any]:
    answer = call(example, "/docs/schema", headers={"Accept": "application/json"})
    assert answer.status == 200
    value = answer.json()
    assert isinstance(value, dict)
    return value


def test_page_shows_what_is_trusted(example: str, issuer: str) -> None:
    page = call(example, "/")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert f"<code>{issuer}</code>" in page.text
    assert f"<code>{AUDIENCE}</code>" in page.text
    for key in call(issuer, "/jwks.json").json()["keys"]:
        assert f"<code>{key['kid']}</code>" in page.text
    for path in ("/api/public", "/api/private", "/api/private-scoped"):
        assert f"curl -i {example}{path}" in page.text
    assert 'href="/docs/"' in page.text
    assert 'href="/admin/"' in page.text


def test_page_loads_nothing_from_elsewhere(example: str) -> None:
    for path in ("/", "/docs/", "/docs/oauth2-redirect.html"):
        page = call(example, path).text
        loaded = re.findall(r'<(?:script|link|img|iframe)[^>]*?(?:src|href)="([^"]+)"', page)
        assert loaded or path == "/"
        for address in loaded:
            assert address == "data:," or address.startswith("/static/"), address
            if address != "data:,":
                assert call(example, address).status == 200


def test_description(schema: dict[str, Any], issuer: str) -> None:
    assert schema["components"]["securitySchemes"]["accessToken"] == {
        "type": "oauth2",
        "flows": {
            "authorizationCode": {
                "authorizationUrl": f"{issuer}/authorize",
                "tokenUrl": f"{issuer}/token",
                "scopes": {"example:scope": "call /api/private-scoped"},
            }
        },
    }
    paths = schema["paths"]
    assert sorted(paths) == ["/api/private", "/api/private-scoped", "/api/public"]
    operations = {path: methods["get"] for path, methods in paths.items()}
    session_and_basic = [{"cookieAuth": []}, {"basicAuth": []}]
    assert operations["/api/public"]["security"] == [{}]
    assert operations["/api/private"]["security"] == [{"accessToken": []}, *session_and_basic]
    assert operations["/api/private-scoped"]["security"] == [{"accessToken": ["example:scope"]}]
    answers = {path: sorted(operation["responses"]) for path, operation in operations.items()}
    assert answers == {
        "/api/public": ["200"],
        "/api/private": ["200", "401", "503"],
        "/api/private-scoped": ["200", "401", "403", "503"],
    }


TRUSTED = {
    "development issuer": ({}, "authorizationUrl: http://127.0.0.1:1/authorize"),
    "Auth0": ({"AUTH0_DOMAIN": "tenant.auth0.com"}, "tokenUrl: https://tenant.auth0.com/oauth/token"),
    "another issuer": (
        {"ISSUER": "https://issuer.test/realm"},
        "openIdConnectUrl: https://issuer.test/realm/.well-known/openid-configuration",
    ),
}


@pytest.mark.parametrize(("trusted", "line"), TRUSTED.values(), ids=TRUSTED)
def test_description_needs_no_issuer(tmp_path: Path, trusted: dict[str, str], line: str) -> None:
    file = tmp_path / "schema.yaml"
    variables = {"DEBUG": "1", "ISSUER_PORT": "1", "API_IDENTIFIER": AUDIENCE, **trusted}
    done = manage("spectacular", "--validate", "--fail-on-warn", "--file", str(file), **variables)
    assert done.returncode == 0, done.stderr
    assert line in file.read_text(encoding="utf-8")
