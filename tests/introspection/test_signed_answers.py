"""Answers that the issuer signs (RFC 9701): each rule for them broken once."""

import json
from typing import Any

import pytest
from tests.introspection.conftest import ACTIVE, NOW, Api, Endpoint, answer

from resource_server.devissuer.signing import SigningKeys

TYPE = "token-introspection+jwt"

# {sentence: (changes to the claims, changes to the header, the outcome)}
SIGNED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a good one": ({}, {}, "200"),
    "a type in full": ({}, {"typ": f"application/{TYPE}"}, "200"),
    "to several clients": ({"aud": ["other", "api"]}, {}, "200"),
    "to this API": ({"aud": "https://api.test/"}, {}, "200"),
    "inactive": ({"token_introspection": {"active": False}}, {}, "401 token_inactive"),
    "inactive, with all other members": (
        {"token_introspection": {**ACTIVE, "active": False}},
        {},
        "401 token_inactive",
    ),
    "inactive, with another word beside": (
        {"token_introspection": {"active": False}, "active": True},
        {},
        "401 token_inactive",
    ),
    "about a token for another API": (
        {"token_introspection": {**ACTIVE, "aud": "https://other.test/"}},
        {},
        "401 audience_not_accepted",
    ),
    "an access token": ({}, {"typ": "at+jwt"}, "503 introspection_not_signed"),
    "without a type": ({}, {"typ": None}, "503 introspection_not_signed"),
    "an unsigned one": ({}, {"alg": "none"}, "503 introspection_not_signed"),
    "with an extension": ({}, {"crit": ["x"], "x": 1}, "503 introspection_not_signed"),
    "with an unknown key": ({}, {"kid": "unknown"}, "503 introspection_not_signed"),
    "with a key that is no text": ({}, {"kid": 5}, "503 introspection_not_signed"),
    "of another issuer": ({"iss": "https://other.test/"}, {}, "503 introspection_not_signed"),
    "of no issuer": ({"iss": None}, {}, "503 introspection_not_signed"),
    "to another client": ({"aud": "other"}, {}, "503 introspection_not_signed"),
    "to no client": ({"aud": None}, {}, "503 introspection_not_signed"),
    "to an object": ({"aud": {"api": 1}}, {}, "503 introspection_not_signed"),
    "a recording": ({"iat": NOW - 91}, {}, "503 introspection_not_signed"),
    "not older than an answer may be": ({"iat": NOW - 90}, {}, "200"),
    "from the future": ({"iat": NOW + 31}, {}, "503 introspection_not_signed"),
    "without a date": ({"iat": None}, {}, "503 introspection_not_signed"),
    "with a date that is text": ({"iat": str(NOW)}, {}, "503 introspection_not_signed"),
    "without the answer": ({"token_introspection": None}, {}, "503 document_malformed"),
    "with the answer as text": ({"token_introspection": json.dumps(ACTIVE)}, {}, "503 document_malformed"),
    "with the answer beside": ({"token_introspection": None, "active": True}, {}, "503 document_malformed"),
    "with active as text": ({"token_introspection": {**ACTIVE, "active": "true"}}, {}, "503 document_malformed"),
}


@pytest.fixture
def api(endpoint: Endpoint) -> Api:
    return Api(endpoint.url, signed=True)


def signed(api: Api, claims: dict[str, Any], header: dict[str, Any], keys: SigningKeys | None = None) -> bytes:
    good = {"iss": api.issuer.issuer, "aud": "api", "iat": NOW, "token_introspection": dict(ACTIVE)}
    members = {name: value for name, value in {**good, **claims}.items() if value is not None}
    return (keys or api.issuer.keys).sign(members, header={"typ": TYPE, **header}).encode()


@pytest.mark.parametrize(("claims", "header", "outcome"), SIGNED.values(), ids=SIGNED)
def test_a_signed_answer(
    endpoint: Endpoint, api: Api, claims: dict[str, Any], header: dict[str, Any], outcome: str
) -> None:
    endpoint.body = signed(api, claims, header)
    assert api.outcome() == outcome
    assert endpoint.asked[0].headers["accept"] == f"application/{TYPE}"


def test_an_answer_that_is_not_signed_counts_for_nothing(endpoint: Endpoint, api: Api) -> None:
    endpoint.body = answer()
    assert api.refusal() == "503 introspection_not_signed"
    endpoint.body = b'{"active": false}'
    assert api.refusal("another") == "503 introspection_not_signed"


def test_an_answer_that_another_key_signed(endpoint: Endpoint, api: Api) -> None:
    forger = SigningKeys("ES256")
    endpoint.body = signed(api, {}, {"kid": api.issuer.keys.current_kid}, forger)
    assert api.refusal() == "503 introspection_not_signed"


def test_an_altered_answer(endpoint: Endpoint, api: Api) -> None:
    header, _, signature = signed(api, {"token_introspection": {"active": False}}, {}).split(b".")
    payload = signed(api, {}, {}).split(b".")[1]
    endpoint.body = b".".join((header, payload, signature))
    assert api.refusal() == "503 introspection_not_signed"


def test_an_encrypted_answer_is_not_understood(endpoint: Endpoint, api: Api) -> None:
    endpoint.body = b"e30.e30.e30.e30.e30"
    assert api.refusal() == "503 introspection_not_signed"


def test_wrong_credentials_are_told_apart(endpoint: Endpoint, api: Api) -> None:
    endpoint.status, endpoint.body = "401 Unauthorized", b'{"error": "invalid_client"}'
    assert api.refusal() == "503 introspection_refused"


def test_an_issuer_that_is_down_gives_no_key(endpoint: Endpoint, api: Api) -> None:
    endpoint.body = signed(api, {}, {})
    api.issuer.failure = "fetch_failed"
    assert api.refusal() == "503 fetch_failed"


def test_a_signed_answer_is_no_access_token(endpoint: Endpoint, api: Api) -> None:
    assert api.refusal(signed(api, {}, {}).decode()) == "401 typ_not_accepted"
    assert endpoint.asked == []
