"""Opaque tokens of oidc-provider, introspected over HTTP by each way in which an API may prove who it is."""

from typing import Any

import pytest
from tests.interop.conftest import Get, Trust
from tests.interop.oidc_provider import API_KEY, API_SECRET, CLIENT, OidcProvider, resource

WAYS: dict[str, dict[str, Any]] = {
    "client_secret_basic": {"CLIENT_ID": "api-basic", "CLIENT_SECRET": API_SECRET},
    "client_secret_post": {"CLIENT_ID": "api-post", "CLIENT_SECRET": API_SECRET, "AUTH": "client_secret_post"},
    "private_key_jwt": {"CLIENT_ID": "api-key", "PRIVATE_KEY": {**API_KEY.as_dict(private=True), "kid": "k1"}},
    "signed": {"CLIENT_ID": "api-signed", "CLIENT_SECRET": API_SECRET, "SIGNED": True},
}


def opaque_token(issuer: OidcProvider, host: str = "api.test") -> str:
    return issuer.token("opaque", "read write", host)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_an_opaque_token_passes_until_it_is_revoked(
    issuer: OidcProvider, trust: Trust, get: Get, way: dict[str, Any]
) -> None:
    trust(issuer, "opaque", INTROSPECTION=way, TOKEN_CACHE=0)
    token = opaque_token(issuer)
    assert token.count(".") != 2
    answer = get(token)
    assert answer.status_code == 200, answer.content
    assert answer.json() == {
        "issuer": issuer.address,
        "audience": [resource("opaque")],
        "client": CLIENT["client_id"],
        "subject": CLIENT["client_id"],
        "scopes": ["read", "write"],
        "machine": True,
    }
    other = opaque_token(issuer)
    issuer.revoke(other)
    answer = get(other)
    assert (answer.status_code, answer.json()["reason"]) == (401, "token_inactive")


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_jwt_of_the_same_issuer_needs_no_question(
    issuer: OidcProvider, trust: Trust, get: Get, way: dict[str, Any]
) -> None:
    trust(issuer, "ES256", INTROSPECTION=way)
    assert get(issuer.token("ES256")).status_code == 200


def test_an_opaque_token_for_another_api(issuer: OidcProvider, trust: Trust, get: Get) -> None:
    trust(issuer, "opaque", INTROSPECTION=WAYS["client_secret_basic"])
    answer = get(opaque_token(issuer, "other.test"))
    assert (answer.status_code, answer.json()["reason"]) == (401, "audience_not_accepted")


@pytest.mark.parametrize(
    "wrong",
    [
        {"CLIENT_ID": "api-basic", "CLIENT_SECRET": "another"},
        {"CLIENT_ID": "unknown", "CLIENT_SECRET": API_SECRET},
        {"CLIENT_ID": "api-key", "PRIVATE_KEY": {**API_KEY.generate_key("P-256").as_dict(private=True), "kid": "k1"}},
    ],
    ids=["secret", "client", "key"],
)
def test_wrong_credentials_are_our_fault(
    issuer: OidcProvider, trust: Trust, get: Get, caplog: pytest.LogCaptureFixture, wrong: dict[str, Any]
) -> None:
    trust(issuer, "opaque", INTROSPECTION=wrong)
    answer = get(opaque_token(issuer))
    assert (answer.status_code, answer.json()["reason"]) == (503, "introspection_refused")
    assert "ERROR" in [record.levelname for record in caplog.records if record.name == "resource_server"]
