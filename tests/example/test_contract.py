"""The table of answers, row by row, over HTTP: the example under gunicorn, and issuers that sign."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from tests.example.conftest import PASSWORD, USERNAME, Tokens
from tests.processes import Answer, call, request_token
from tests.servers import LiveIssuer

from resource_server.devissuer.signing import SigningKeys
from resource_server.reasons import ScopeReason, TokenReason

BODIES = {
    "/api/public": {"message": "All good. You don't need to be authenticated to call this"},
    "/api/private": {"message": "All good. You only get this message if you're authenticated"},
    "/api/private-scoped": {"message": "All good. You're authenticated and the access token has the appropriate scope"},
}


@pytest.fixture(params=["", "/"], ids=["without-slash", "with-slash"])
def slash(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


@pytest.fixture(params=list(BODIES), ids=["public", "private", "private-scoped"])
def endpoint(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


@pytest.fixture(params=["/api/private", "/api/private-scoped"], ids=["private", "private-scoped"])
def protected(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


def assert_good(answer: Answer, endpoint: str) -> None:
    assert (answer.status, answer.json()) == (200, BODIES[endpoint])
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["WWW-Authenticate"] is None


def assert_anonymous(answer: Answer, endpoint: str) -> None:
    scope = ', scope="example:scope"' if endpoint.startswith("/api/private-scoped") else ""
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, f'Bearer realm="api"{scope}')
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {"detail": "Authentication credentials were not provided."}  # DRF's own words


def assert_invalid(answer: Answer, reason: str) -> None:
    message, remedy = TokenReason.of(reason).message, TokenReason.of(reason).remedy
    challenge = f'Bearer realm="api", error="invalid_token", error_description="{message}"'
    assert answer.refusal(remedy) == {"detail": message, "error": "invalid_token", "reason": reason}
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, challenge)
    assert answer.headers["Content-Type"] == "application/json"


def assert_insufficient(answer: Answer, reason: str, missing: str = "") -> None:
    message, remedy = ScopeReason.of(reason).message + missing, ScopeReason.of(reason).remedy
    challenge = f'Bearer realm="api", error="insufficient_scope", error_description="{message}", scope="example:scope"'
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (403, challenge)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.refusal(remedy) == {"detail": message, "error": "insufficient_scope", "reason": reason}


def test_no_authorization(example: str, endpoint: str, slash: str) -> None:
    answer = call(example, endpoint + slash)
    if endpoint == "/api/public":
        assert_good(answer, endpoint)
    else:
        assert_anonymous(answer, endpoint)


ACCEPT = {
    "browser": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "html": "text/html",
    "xml": "application/xml",
    "nonsense": "nonsense",
    "separators": ";,/=,",
    "nothing-is-acceptable": "*/*;q=0",
    "json-is-not-acceptable": "application/json;q=0, text/html",
    "too-many": ", ".join(["text/x-" + "y" * 50] * 100),
    "empty": "",
}


@pytest.fixture(params=ACCEPT.values(), ids=ACCEPT)
def accept(request: pytest.FixtureRequest) -> dict[str, str]:
    return {"Accept": request.param}


def test_any_accept(
    example: str, tokens: Tokens, session: Mapping[str, str], endpoint: str, slash: str, accept: dict[str, str]
) -> None:
    path = endpoint + slash
    assert_good(call(example, path, authorization=f"Bearer {tokens.scoped}", headers=accept), endpoint)
    anonymous = call(example, path, headers=accept)
    invalid = call(example, path, authorization="Bearer invalidToken", headers=accept)
    without_scope = call(example, path, authorization=f"Bearer {tokens.none}", headers=accept)
    if endpoint == "/api/public":
        for answer in (anonymous, invalid, without_scope):
            assert_good(answer, endpoint)
        return
    assert_anonymous(anonymous, endpoint)
    assert_invalid(invalid, "token_malformed")
    if endpoint == "/api/private-scoped":
        assert_insufficient(without_scope, "scope_missing", "example:scope")
        assert_insufficient(call(example, path, cookies=session, headers=accept), "token_missing")


def test_errors_of_any_accept(example: str, tokens: Tokens, endpoint: str, accept: dict[str, str]) -> None:
    authorization = f"Bearer {tokens.scoped}"
    refused = call(example, endpoint, method="PUT", authorization=authorization, headers=accept)
    assert (refused.status, refused.headers["Content-Type"]) == (405, "application/json")
    assert "detail" in refused.json()
    for path in ("/api/", "/api/nothing", f"{endpoint}/nothing", f"{endpoint}//"):
        missing = call(example, path, authorization=authorization, headers=accept)
        assert (missing.status, missing.headers["Content-Type"]) == (404, "application/json")
        assert missing.json() == {"detail": "Not found."}


def test_json_with_parameters(example: str, endpoint: str, tokens: Tokens) -> None:
    headers = {"Accept": "application/json; indent=4"}
    assert_good(call(example, endpoint, authorization=f"Bearer {tokens.scoped}", headers=headers), endpoint)


MALFORMED = {
    "Bearer": ("Bearer", "credentials_malformed"),
    "Bearer-and-space": ("Bearer ", "credentials_malformed"),
    "Bearer-invalidToken": ("Bearer invalidToken", "token_malformed"),
    "bearer-invalidToken": ("bearer invalidToken", "token_malformed"),
    "Bearer-a-b": ("Bearer a b", "credentials_malformed"),
}


@pytest.mark.parametrize(("authorization", "reason"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_authorization(example: str, endpoint: str, slash: str, authorization: str, reason: str) -> None:
    answer = call(example, endpoint + slash, authorization=authorization)
    if endpoint == "/api/public":
        assert_good(answer, endpoint)
    else:
        assert_invalid(answer, reason)


@pytest.mark.parametrize("authorization", ["", " "], ids=["empty", "space"])
def test_blank_authorization(example: str, endpoint: str, slash: str, authorization: str) -> None:
    answer = call(example, endpoint + slash, authorization=authorization)
    if endpoint == "/api/public":
        assert_good(answer, endpoint)
    else:
        assert_anonymous(answer, endpoint)


def _another_key(issuer: LiveIssuer) -> str:
    header = {"kid": issuer.keys.current_kid}
    return SigningKeys().sign(issuer.claims(scope="example:scope"), header=header)


def _changed_payload(issuer: LiveIssuer) -> str:
    header, _, signature = issuer.token().split(".")
    payload = json.dumps(issuer.claims(scope="example:scope")).encode()
    return f"{header}.{base64.urlsafe_b64encode(payload).rstrip(b'=').decode()}.{signature}"


def _unsigned(issuer: LiveIssuer) -> str:
    token = issuer.token(header={"alg": "none"}, scope="example:scope")
    return token.rpartition(".")[0] + "."


def _changed(header: Mapping[str, Any] | None = None, **claims: Any) -> Callable[[LiveIssuer], str]:
    return lambda issuer: issuer.token(header=header, **{"scope": "example:scope", **claims})


WRONG: dict[str, tuple[Callable[[LiveIssuer], str], str]] = {
    "signed-by-another-key": (_another_key, "signature_invalid"),
    "payload-changed": (_changed_payload, "signature_invalid"),
    "algorithm-none": (_unsigned, "alg_not_allowed"),
    "algorithm-HS256": (_changed({"alg": "HS256"}), "alg_not_allowed"),
    "key-unknown": (_changed({"kid": "no-such-key"}), "key_unknown"),
    "another-issuer": (_changed(iss="https://issuer.test/"), "issuer_not_trusted"),
    "no-issuer": (_changed(iss=None), "iss_missing"),
    "another-audience": (_changed(aud="https://other.test"), "audience_not_accepted"),
    "no-audience": (_changed(aud=None), "aud_missing"),
    "expired": (_changed(iat=1, exp=1000), "token_expired"),
    "no-lifetime": (_changed(exp=None), "exp_missing"),
    "not-yet-valid": (_changed(nbf=2**33), "token_not_yet_valid"),
    "no-subject": (_changed(sub=None), "sub_missing"),
    "type-JWT": (_changed({"typ": "JWT"}), "typ_not_accepted"),
    "type-absent": (_changed({"typ": None}), "typ_not_accepted"),
    "type-logout": (_changed({"typ": "logout+jwt"}), "typ_not_accepted"),
    "bound-to-a-key": (_changed(cnf={"jkt": "x" * 43}), "proof_not_supported"),
    "critical-header": (_changed({"crit": ["exp"]}), "header_not_supported"),
}


@pytest.mark.parametrize(("forge", "reason"), WRONG.values(), ids=WRONG)
def test_wrong_token(
    other_example: str,
    signing_issuer: LiveIssuer,
    endpoint: str,
    slash: str,
    forge: Callable[[LiveIssuer], str],
    reason: str,
) -> None:
    # That the same issuer's good token passes shows that it is the change which is refused.
    assert (
        call(other_example, endpoint, authorization=f"Bearer {signing_issuer.token(scope='example:scope')}").status
        == 200
    )
    answer = call(other_example, endpoint + slash, authorization=f"Bearer {forge(signing_issuer)}")
    if endpoint == "/api/public":
        assert_good(answer, endpoint)
    else:
        assert_invalid(answer, reason)


@pytest.mark.parametrize("name", ["none", "other"])
def test_valid_token_without_the_scope(example: str, tokens: Tokens, endpoint: str, slash: str, name: str) -> None:
    answer = call(example, endpoint + slash, authorization=f"Bearer {getattr(tokens, name)}")
    if endpoint == "/api/private-scoped":
        assert_insufficient(answer, "scope_missing", "example:scope")
    else:
        assert_good(answer, endpoint)


@pytest.mark.parametrize("name", ["scoped", "several"])
def test_valid_token_with_the_scope(example: str, tokens: Tokens, endpoint: str, slash: str, name: str) -> None:
    assert_good(call(example, endpoint + slash, authorization=f"Bearer {getattr(tokens, name)}"), endpoint)


SCOPES = {
    "part-of-a-scope": ("example", False),
    "longer-scope": ("example:scopes", False),
    "other-case": ("Example:scope", False),
    "empty": ("", False),
    "empty-list": ([], False),
    "last-of-three": ("a b example:scope", True),
    "list": (["a", "example:scope"], True),
}


@pytest.mark.parametrize(("scope", "enough"), SCOPES.values(), ids=SCOPES)
def test_scope_claim(
    other_example: str, signing_issuer: LiveIssuer, slash: str, scope: str | list[str], enough: bool
) -> None:
    authorization = f"Bearer {signing_issuer.token(scope=scope)}"
    answer = call(other_example, "/api/private-scoped" + slash, authorization=authorization)
    if enough:
        assert_good(answer, "/api/private-scoped")
    else:
        assert_insufficient(answer, "scope_missing", "example:scope")
    assert_good(call(other_example, "/api/private" + slash, authorization=authorization), "/api/private")


BASIC = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()


def test_session(example: str, session: Mapping[str, str], endpoint: str, slash: str) -> None:
    answer = call(example, endpoint + slash, cookies=session)
    if endpoint == "/api/private-scoped":
        assert_insufficient(answer, "token_missing")
    else:
        assert_good(answer, endpoint)


def test_basic(example: str, endpoint: str, slash: str) -> None:
    answer = call(example, endpoint + slash, authorization=f"Basic {BASIC}")
    if endpoint == "/api/private-scoped":
        assert_insufficient(answer, "token_missing")
    else:
        assert_good(answer, endpoint)


def test_basic_with_a_wrong_password(example: str, endpoint: str, slash: str) -> None:
    wrong = base64.b64encode(f"{USERNAME}:wrong".encode()).decode()
    answer = call(example, endpoint + slash, authorization=f"Basic {wrong}")
    if endpoint == "/api/public":
        assert_good(answer, endpoint)
    else:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="api"')


@pytest.mark.parametrize("scheme", ["JWT", "Token", "Bearer2", "DPoP", "forged.without.scheme"])
def test_session_and_a_forged_token_in_another_scheme(
    example: str, issuer: str, session: Mapping[str, str], endpoint: str, slash: str, scheme: str
) -> None:
    """The defect: the scope was read, unverified, out of whatever stood in the header."""
    forged = SigningKeys().sign({"iss": issuer, "sub": "reader", "scope": "example:scope"})
    answer = call(example, endpoint + slash, cookies=session, authorization=f"{scheme} {forged}")
    if endpoint == "/api/private-scoped":
        assert answer.status in {401, 403}
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="api"')
    elif endpoint == "/api/public":
        assert_good(answer, endpoint)
    else:
        assert answer.status in {200, 401}  # the person of the session, or a refusal; never the forged token's subject


def test_session_and_a_forged_token(
    other_example: str, signing_issuer: LiveIssuer, session: Mapping[str, str], endpoint: str, slash: str
) -> None:
    # Both examples have the same database and secret key, so the session alone is good here too.
    assert_good(call(other_example, "/api/private", cookies=session), "/api/private")
    forged = f"Bearer {_another_key(signing_issuer)}"
    answer = call(other_example, endpoint + slash, cookies=session, authorization=forged)
    if endpoint == "/api/public":
        assert_good(answer, endpoint)
    else:
        assert_invalid(answer, "signature_invalid")


@pytest.mark.parametrize("place", ["query", "body", "query-of-post", "cookie"])
def test_token_outside_the_header(example: str, tokens: Tokens, protected: str, slash: str, place: str) -> None:
    path = protected + slash
    parameter = {"access_token": tokens.scoped}
    if place == "query":
        answer = call(example, f"{path}?access_token={tokens.scoped}")
    elif place == "body":
        answer = call(example, path, form=parameter, method="GET")
    elif place == "query-of-post":
        answer = call(example, f"{path}?access_token={tokens.scoped}", form=parameter)
    else:
        answer = call(example, path, cookies=parameter)
    # No POST is there, so none demands a scope.
    assert_anonymous(answer, "/api/private" if place == "query-of-post" else protected)


def test_public_ignores_a_token_outside_the_header(example: str, tokens: Tokens, slash: str) -> None:
    assert_good(call(example, f"/api/public{slash}?access_token={tokens.scoped}"), "/api/public")


SUBJECTS = {"bar-and-at": "auth0|some|one@example.test", "255-characters": "s" * 255, "machine": "abc123@clients"}


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
def test_subject(other_example: str, signing_issuer: LiveIssuer, slash: str, subject: str) -> None:
    authorization = f"Bearer {signing_issuer.token(sub=subject)}"
    assert_good(call(other_example, "/api/private" + slash, authorization=authorization), "/api/private")


def test_rotated_key(free_port: Callable[[], int], example: str, issuer: str) -> None:
    """The defect: keys were fetched once. A token of a key that appeared later passes, and one of the older key still does."""
    before = request_token(issuer)
    assert_good(call(example, "/api/private", authorization=f"Bearer {before}"), "/api/private")
    assert call(issuer, "/rotate", method="POST").status < 300
    after = request_token(issuer)
    assert before.split(".")[0] != after.split(".")[0]
    assert_good(call(example, "/api/private", authorization=f"Bearer {after}"), "/api/private")
    assert_good(call(example, "/api/private", authorization=f"Bearer {before}"), "/api/private")
