"""Tokens for a machine (RFC 6749, section 4.4; RFC 9068), and what the token endpoint refuses."""

import time

import pytest
import urllib3


def _basic(credentials: str) -> dict[str, str]:
    return dict(urllib3.make_headers(basic_auth=credentials))


def test_a_token_without_scope(issuer):
    before = int(time.time())
    answer = issuer.machine()
    after = int(time.time())

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json()
    token = issuer.verified(body.pop("access_token"))
    assert body == {"token_type": "Bearer", "expires_in": 3600, "scope": ""}
    assert token.header == {"alg": "RS256", "kid": issuer.jwks()["keys"][0]["kid"], "typ": "at+jwt"}
    assert before <= token.claims["iat"] <= after
    assert len(token.claims.pop("jti")) >= 16
    assert token.claims == {
        "iss": issuer.address,
        "aud": "https://api.example.test",
        "sub": "demo-machine@clients",
        "client_id": "demo-machine",
        "iat": token.claims["iat"],
        "exp": token.claims["iat"] + 3600,
    }


def test_a_token_with_scope(issuer):
    body = issuer.machine(scope="example:scope").json()

    assert body["scope"] == "example:scope"
    assert issuer.verified(body["access_token"]).claims["scope"] == "example:scope"


def test_two_tokens_are_never_the_same(issuer):
    tokens = [issuer.verified(issuer.machine().json()["access_token"]).claims["jti"] for _ in range(2)]

    assert tokens[0] != tokens[1]


def test_the_secret_may_be_in_the_body(issuer):
    answer = issuer.post(
        "/token",
        {"grant_type": "client_credentials", "client_id": "demo-machine", "client_secret": "demo-machine-secret"},
    )

    assert answer.status == 200


def test_the_lifetime_is_an_option(run_issuer):
    issuer = run_issuer("--token-seconds", "7")
    body = issuer.machine().json()
    claims = issuer.verified(body["access_token"]).claims

    assert body["expires_in"] == claims["exp"] - claims["iat"] == 7


@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param("demo-machine:wrong", id="wrong secret"),
        pytest.param("demo-machine:", id="no secret"),
        pytest.param("demo-machine:demo-machine-secret2", id="longer secret"),
        pytest.param("nobody:demo-machine-secret", id="unknown client"),
        pytest.param("demo-browser:", id="public client"),
        pytest.param("demo-browser:demo-machine-secret", id="public client with a secret"),
        pytest.param("demo-machine:schl%C3%BCssel", id="secret that is not ASCII"),
    ],
)
def test_wrong_credentials_are_unauthorized(issuer, credentials):
    answer = issuer.post("/token", {"grant_type": "client_credentials"}, _basic(credentials))

    assert answer.status == 401
    assert answer.json()["error"] == "invalid_client"
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="development issuer"'


@pytest.mark.parametrize("value", ["Basic", "Basic ", "Basic !", "Basic /////w==", "Basic YQ==", "Bearer x", "\xff"])
def test_malformed_credentials_are_unauthorized(issuer, value):
    answer = issuer.post("/token", {"grant_type": "client_credentials"}, {"Authorization": value})

    assert answer.status == 401
    assert answer.json()["error"] == "invalid_client"


BASIC = _basic("demo-machine:demo-machine-secret")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        pytest.param("", "invalid_request", id="nothing"),
        pytest.param("scope=example%3Ascope", "invalid_request", id="no grant type"),
        pytest.param("grant_type=password", "unsupported_grant_type", id="another grant type"),
        pytest.param('grant_type="%22%5C%00%C3%BC', "unsupported_grant_type", id="garbled grant type"),
        pytest.param("grant_type=authorization_code&code=x", "unauthorized_client", id="a grant of people"),
        pytest.param("grant_type=refresh_token&refresh_token=x", "unauthorized_client", id="refresh"),
        pytest.param("grant_type=client_credentials&scope=other", "invalid_scope", id="unknown scope"),
        pytest.param("grant_type=client_credentials&scope=example:scope+other", "invalid_scope", id="partly unknown"),
        pytest.param("grant_type=client_credentials&scope=openid", "invalid_scope", id="a machine is nobody"),
        pytest.param("grant_type=client_credentials&scope=%00%22%FF", "invalid_scope", id="garbled scope"),
        pytest.param("grant_type=client_credentials&audience=https://other.test", "invalid_target", id="audience"),
        pytest.param("grant_type=client_credentials&resource=https://other.test", "invalid_target", id="resource"),
        pytest.param("grant_type=client_credentials&scope=a&scope=b", "invalid_request", id="repeated"),
    ],
)
def test_a_bad_request_is_told_why(issuer, fields, error):
    answer = issuer.post("/token", fields.encode(), BASIC)

    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["error"] == error


def test_an_unknown_scope_is_named(issuer):
    answer = issuer.post("/token", b"grant_type=client_credentials&scope=example:scope+other", BASIC)
    assert answer.json()["error_description"] == "other is not among the scopes of this issuer; --scope names them."


def test_parameters_in_the_address_are_refused(issuer):
    answer = issuer.post("/token?grant_type=client_credentials", b"", BASIC)

    assert answer.status == 400
    assert answer.json()["error"] == "invalid_request"


def test_only_the_audience_may_be_in_the_address(issuer):
    """Swagger UI repeats there what it added to the authorization request."""
    body = b"grant_type=client_credentials"

    known = issuer.post("/token?audience=https://api.example.test", body, BASIC)
    unknown = issuer.post("/token?audience=https://other.test", body, BASIC)

    assert issuer.verified(known.json()["access_token"]).claims["aud"] == "https://api.example.test"
    assert unknown.json()["error"] == "invalid_target"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"grant_type": "client_credentials"}'),
        ("multipart/form-data", b"grant_type=client_credentials"),
        ("multipart/form-data; boundary=x", b"--x\r\ngarbage"),
        ("application/x-www-form-urlencoded; charset=nonsense", b"grant_type=\xff"),
        ("application/x-www-form-urlencoded; charset=utf-16", b"grant_type=\xff"),
        ("application/x-www-form-urlencoded", b"&".join(b"%d=1" % n for n in range(2000))),
        ("application/x-www-form-urlencoded", b"grant_type=" + b"x" * 3_000_000),
    ],
)
def test_no_body_is_a_fault_of_the_issuer(issuer, content_type, body):
    answer = issuer.post("/token", body, {**BASIC, "Content-Type": content_type})

    assert answer.status in {400, 413}


@pytest.mark.parametrize("parameter", ["audience", "resource"])
def test_the_audience_is_chosen_among_those_of_the_issuer(run_issuer, parameter):
    issuer = run_issuer("--audience", "https://one.test", "https://two.test", "--audience", "three")

    def audience(**fields):
        return issuer.verified(issuer.machine(**fields).json()["access_token"]).claims["aud"]

    assert audience() == "https://one.test"
    assert audience(**{parameter: "https://two.test"}) == "https://two.test"
    assert audience(**{parameter: "three"}) == "three"
    assert audience(audience="three", resource="three") == "three"
    assert issuer.machine(audience="three", resource="https://one.test").json()["error"] == "invalid_target"
    assert issuer.machine(**{parameter: ["three", "https://one.test"]}).json()["error"] == "invalid_target"
    assert issuer.machine(**{parameter: "https://api.example.test"}).json()["error"] == "invalid_target"
