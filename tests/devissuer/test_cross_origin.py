"""Pages of other origins: what they may read (the CORS protocol of the Fetch standard)."""

import pytest

LOOPBACK = ["http://localhost:8000", "http://127.0.0.1:3000", "https://localhost", "http://[::1]:8080"]
ELSEWHERE = ["https://attacker.example", "http://localhost.attacker.example", "http://localhost:8000.example", "null"]


def _preflight(issuer, path, origin, method):
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type,x-requested-with",
    }
    return issuer.http.request("OPTIONS", issuer.address + path, headers=headers)


TOKENS = ["/token", "/register", "/introspect", "/revoke"]


@pytest.mark.parametrize("path", TOKENS)
@pytest.mark.parametrize("origin", LOOPBACK)
def test_a_page_on_loopback_may_fetch_tokens(issuer, origin, path):
    preflight = _preflight(issuer, path, origin, "POST")
    answer = issuer.post(path, {}, {"Origin": origin})

    assert preflight.status == 204
    assert preflight.headers["Access-Control-Allow-Methods"] == "POST"
    assert preflight.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type, DPoP, X-Requested-With"
    assert answer.status in {400, 401}
    for response in (preflight, answer):
        assert response.headers["Access-Control-Allow-Origin"] == origin
        assert response.headers["Vary"] == "Origin"
        assert response.headers["Access-Control-Expose-Headers"] == "DPoP-Nonce, WWW-Authenticate"
        assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize("path", TOKENS)
@pytest.mark.parametrize("origin", ELSEWHERE)
def test_a_page_elsewhere_may_not(issuer, origin, path):
    for response in (_preflight(issuer, path, origin, "POST"), issuer.post(path, {}, {"Origin": origin})):
        assert "Access-Control-Allow-Origin" not in response.headers
        assert response.headers["Vary"] == "Origin"


def test_a_page_that_people_are_sent_back_to_may(run_issuer):
    issuer = run_issuer("--redirect-uri", "https://app.example/callback")

    answer = issuer.post("/token", {}, {"Origin": "https://app.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"


@pytest.mark.parametrize("origin", LOOPBACK + ELSEWHERE)
@pytest.mark.parametrize(
    "path", ["/jwks.json", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"]
)
def test_what_is_public_may_be_read_from_anywhere(issuer, path, origin):
    preflight = _preflight(issuer, path, origin, "GET")

    assert preflight.status == 204
    assert preflight.headers["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert issuer.get(path, Origin=origin).headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["/", "/authorize", "/rotate"])
def test_nothing_else_may_be_read(issuer, path):
    answer = _preflight(issuer, path, "http://localhost:8000", "POST")

    assert answer.status == 405
    assert "Access-Control-Allow-Origin" not in answer.headers
