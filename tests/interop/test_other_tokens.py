"""What oidc-provider also gives out, and is no access token for this API."""

from tests.interop.conftest import Get, Trust
from tests.interop.oidc_provider import CLIENT, OidcProvider


def test_an_opaque_token(issuer: OidcProvider, trust: Trust, get: Get) -> None:
    trust(issuer)
    answer = get(issuer.opaque_token())
    assert (answer.status_code, answer.json()["reason"]) == (401, "token_malformed")
    assert 'error="invalid_token"' in answer["WWW-Authenticate"]


def test_a_signed_introspection_answer(issuer: OidcProvider, trust: Trust, get: Get) -> None:
    # Issuer, audience and key are those that are trusted here: nothing but its type tells it from an access token.
    trust(issuer, AUDIENCE=CLIENT["client_id"])
    answer = get(issuer.introspection_answer())
    assert (answer.status_code, answer.json()["reason"]) == (401, "typ_not_accepted")


def test_one_key_serves_two_algorithms_and_another_is_bound_to_its_own(issuer: OidcProvider) -> None:
    # This is what makes the tests of the algorithms worth their while; another version may publish other keys.
    bound = {key["kty"]: key.get("alg") for key in issuer.key_set()}
    assert bound == {"RSA": None, "EC": "ES256", "OKP": None}
