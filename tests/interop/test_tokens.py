"""Tokens of oidc-provider, under every algorithm that it signs with and this package verifies."""

import base64

import pytest
from django.http import HttpResponse
from tests.interop.conftest import Get, Trust
from tests.interop.oidc_provider import ALGORITHMS, CLIENT, OidcProvider, resource

pytestmark = pytest.mark.parametrize("algorithm", ALGORITHMS)


def refusal(answer: HttpResponse) -> tuple[int, str, bool]:
    """Status, reason, and whether the challenge says invalid_token."""
    return answer.status_code, answer.json()["reason"], 'error="invalid_token"' in answer["WWW-Authenticate"]


def with_another_signature(token: str) -> str:
    head, _, signature = token.rpartition(".")
    value = bytearray(base64.urlsafe_b64decode(signature + "=="))
    value[len(value) // 2] ^= 1
    return f"{head}.{base64.urlsafe_b64encode(value).rstrip(b'=').decode()}"


def test_a_token_passes(issuer: OidcProvider, trust: Trust, get: Get, algorithm: str) -> None:
    trust(issuer, algorithm)
    answer = get(issuer.token(algorithm, "read write"))
    assert answer.status_code == 200
    assert answer.json() == {
        "issuer": issuer.address,
        "audience": [resource(algorithm)],
        "client": CLIENT["client_id"],
        "subject": CLIENT["client_id"],
        "scopes": ["read", "write"],
        "machine": True,
    }


@pytest.mark.parametrize("scope", ["write", ""], ids=["another scope", "no scope"])
def test_a_scope_is_missing(issuer: OidcProvider, trust: Trust, get: Get, algorithm: str, scope: str) -> None:
    trust(issuer, algorithm)
    answer = get(issuer.token(algorithm, scope))
    assert (answer.status_code, answer.json()["reason"]) == (403, "scope_missing")
    assert 'error="insufficient_scope"' in answer["WWW-Authenticate"]
    assert 'scope="read"' in answer["WWW-Authenticate"]


def test_a_token_for_another_api(issuer: OidcProvider, trust: Trust, get: Get, algorithm: str) -> None:
    trust(issuer, algorithm)
    answer = get(issuer.token(algorithm, host="other.test"))
    assert refusal(answer) == (401, "audience_not_accepted", True)


def test_another_signature(issuer: OidcProvider, trust: Trust, get: Get, algorithm: str) -> None:
    trust(issuer, algorithm)
    answer = get(with_another_signature(issuer.token(algorithm)))
    assert refusal(answer) == (401, "signature_invalid", True)


def test_claims_of_one_token_under_the_signature_of_another(
    issuer: OidcProvider, trust: Trust, get: Get, algorithm: str
) -> None:
    trust(issuer, algorithm)
    head, _, signature = issuer.token(algorithm, "write").rpartition(".")
    scoped = issuer.token(algorithm, "read write").rpartition(".")[0]
    assert get(f"{head}.{signature}").status_code == 403
    assert refusal(get(f"{scoped}.{signature}")) == (401, "signature_invalid", True)


def test_only_the_algorithms_of_the_settings(issuer: OidcProvider, trust: Trust, get: Get, algorithm: str) -> None:
    trust(issuer, AUDIENCE=[resource(name) for name in ALGORITHMS], ALGORITHMS=algorithm)
    answers = {name: get(issuer.token(name)) for name in ALGORITHMS}
    assert answers.pop(algorithm).status_code == 200
    assert {refusal(answer) for answer in answers.values()} == {(401, "alg_not_allowed", True)}
