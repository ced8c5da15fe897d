"""The challenges of both schemes, and nonces, at each edge."""

import re

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from ninja import NinjaAPI

from resource_server.challenge import Answers, challenge
from resource_server.errors import InvalidToken, NoCredentials
from resource_server.middleware import AccessTokenMiddleware
from resource_server.ninja import AccessToken, AccessTokenAPI
from resource_server.reasons import CredentialsReason, TokenReason
from resource_server.tokens.dpop import DPOP_ALGORITHMS
from resource_server.tokens.nonces import NONCE_SECONDS

ALGS = f'algs="{" ".join(DPOP_ALGORITHMS)}"'
FULL = 'realm="api", resource_metadata="https://api.test/.well-known/oauth-protected-resource", scope="read"'


def schemes(value):
    """Each scheme of a challenge, with its parameters."""
    parts = re.split(r", (?=(?:Bearer|DPoP) )", value)
    return {
        name: dict(re.findall(r'(\w+)="([^"]*)"', rest)) for name, _, rest in (part.partition(" ") for part in parts)
    }


def test_without_credentials_both_schemes_are_offered(api):
    if api.edge == "middleware":
        return
    response = api.get({})
    assert (response.status_code, response["WWW-Authenticate"]) == (401, f'Bearer {FULL}, DPoP realm="api", {ALGS}')
    assert "DPoP-Nonce" not in response


def test_an_error_of_dpop_stands_in_the_challenge_of_dpop(api):
    response = api.call(htm="POST")

    found = schemes(response["WWW-Authenticate"])
    assert response.status_code == 401
    assert list(found) == ["DPoP", "Bearer"]
    assert found["DPoP"]["error"] == response.json()["error"] == "invalid_dpop_proof"
    assert found["DPoP"]["algs"].split() == list(DPOP_ALGORITHMS)
    assert found["Bearer"] == {"realm": "api"}


@pytest.mark.parametrize("claims", [{"exp": 1}, {"aud": "other"}])
def test_an_invalid_token_under_dpop_is_told_under_dpop(api, claims):
    found = schemes(api.call(api.token(**claims))["WWW-Authenticate"])
    assert list(found) == ["DPoP", "Bearer"]
    assert found["DPoP"]["error"] == "invalid_token"


def test_a_bound_token_as_bearer_is_told_under_bearer(api):
    found = schemes(api.get({"Authorization": f"Bearer {api.token()}"})["WWW-Authenticate"])
    assert list(found) == ["Bearer", "DPoP"]
    assert found["Bearer"]["error"] == "invalid_token"
    assert set(found["DPoP"]) == {"realm", "algs"}


def test_a_missing_scope_is_told_under_the_scheme_of_the_request(api):
    if api.edge == "middleware":
        return
    response = api.call(api.token(scope="other"))
    found = schemes(response["WWW-Authenticate"])
    assert response.status_code == 403
    assert list(found) == ["DPoP", "Bearer"]
    assert (found["DPoP"]["error"], found["DPoP"]["scope"]) == ("insufficient_scope", "read")


def test_required_offers_dpop_alone_and_off_bearer_alone(api, configure):
    if api.edge == "middleware":
        return
    configure(DPOP="required")
    assert api.get({})["WWW-Authenticate"] == f"DPoP {FULL}, {ALGS}"
    configure(DPOP="off")
    assert api.get({})["WWW-Authenticate"] == f"Bearer {FULL}"
    assert list(schemes(api.call()["WWW-Authenticate"])) == ["Bearer"]


@pytest.mark.parametrize(
    ("rules", "offered"),
    [
        (("off", "off"), "off"),
        (("required", "required"), "required"),
        (("required", "off"), "allowed"),
        (("allowed", "allowed"), "allowed"),
    ],
)
def test_several_issuers_offer_what_one_of_them_accepts(settings, issuer, rules, offered):
    from resource_server.server import current

    entries = [{"ISSUER": f"https://{n}.test/", "DPOP": rule} for n, rule in enumerate(rules)]
    more = {"AUDIENCE": "a", "PUBLIC_ORIGIN": "https://api.test", "CACHE": "default"}
    settings.RESOURCE_SERVER = {"ISSUERS": entries, **more}
    assert current().answers.dpop == offered


def test_a_challenge_is_one_line_of_printable_characters():
    for mode in ("off", "allowed", "required"):
        for error in (
            NoCredentials(CredentialsReason.CREDENTIALS_MISSING),
            InvalidToken(TokenReason.TOKEN_EXPIRED),
        ):
            for error.is_dpop in (False, True):
                value = challenge(Answers(realm='a "realm", b', dpop=mode), error)
                assert value.isascii()
                assert value.isprintable()


def test_the_metadata_say_what_is_accepted(plain, configure, settings):
    settings.ROOT_URLCONF = "resource_server.urls"

    def members():
        found = plain.client.get("/.well-known/oauth-protected-resource").json()
        return {name: value for name, value in found.items() if "dpop" in name or "tls" in name}

    configure(DPOP="off")
    assert members() == {}
    configure()
    assert members() == {"dpop_signing_alg_values_supported": list(DPOP_ALGORITHMS)}
    configure(DPOP="required", CLIENT_CERTIFICATE={"FROM": "server"})
    assert members() == {
        "dpop_signing_alg_values_supported": list(DPOP_ALGORITHMS),
        "dpop_bound_access_tokens_required": True,
        "tls_client_certificate_bound_access_tokens": True,
    }


# Nonces


@pytest.fixture
def nonces(api, configure, one_nonce):
    configure(DPOP_NONCE="required")
    return api


def test_the_nonce_is_demanded_with_the_answer_that_brings_it(nonces):
    token = nonces.token()
    response = nonces.call(token)
    assert (response.status_code, response.json()["error"]) == (401, "use_dpop_nonce")
    assert schemes(response["WWW-Authenticate"])["DPoP"]["error"] == "use_dpop_nonce"

    nonce = response["DPoP-Nonce"]
    response = nonces.call(token, nonce=nonce)
    assert response.status_code == 200
    assert "DPoP-Nonce" not in response
    response = nonces.call(token, nonce="invented")
    assert (response.status_code, response.json()["reason"]) == (401, "nonce_not_current")
    assert response["DPoP-Nonce"] == nonce


def test_a_client_whose_clock_is_wrong_goes_on_with_the_nonce(nonces):
    token = nonces.token()
    response = nonces.call(token, iat=1)
    assert (response.status_code, response.json()["error"]) == (401, "use_dpop_nonce")
    assert nonces.call(token, iat=1, nonce=response["DPoP-Nonce"]).status_code == 200


def test_an_answer_that_succeeds_offers_the_next_nonce(nonces, monkeypatch):
    token = nonces.token()
    nonce = nonces.call(token)["DPoP-Nonce"]
    from resource_server.server import current

    own = current().verifier._proofs._nonces
    before = own._period()
    monkeypatch.setattr(type(own), "_period", lambda _: before + 1)
    response = nonces.call(token, nonce=nonce)
    assert response.status_code == 200
    offered = response["DPoP-Nonce"]
    assert offered not in ("", nonce)
    assert "DPoP-Nonce" not in nonces.call(token, nonce=offered)
    assert NONCE_SECONDS > 0


def test_a_refusal_after_the_proof_offers_the_nonce_too(api, configure):
    configure(DPOP_NONCE="optional")
    if api.edge == "middleware":
        return
    response = api.call(api.token(scope="other"))
    assert response.status_code == 403
    assert response["DPoP-Nonce"]


def test_optional_offers_and_off_does_not(api, configure, one_nonce):
    configure(DPOP_NONCE="optional")
    response = api.call()
    assert response.status_code == 200
    assert response["DPoP-Nonce"]
    assert response["Cache-Control"] == "no-store", "from a cache a client would take an old nonce"
    response = api.call(nonce=response["DPoP-Nonce"])
    assert "DPoP-Nonce" not in response
    assert response["Cache-Control"] == "private"
    assert "DPoP-Nonce" not in api.get({"Authorization": f"Bearer {api.token(cnf=None)}"})
    configure()
    response = api.call(nonce="of another server")
    assert response.status_code == 200
    assert "DPoP-Nonce" not in response


@pytest.mark.parametrize("kind", [AccessTokenAPI, NinjaAPI])
def test_django_ninja(plain, settings, configure, kind):
    from django.urls import path

    class Urls:
        pass

    api = kind(urls_namespace=f"bound-{kind.__name__}")

    @api.get("plain", auth=AccessToken("read"))
    def orders(request):
        return {"user": request.auth.subject}

    Urls.urlpatterns = [path("", api.urls)]
    settings.ROOT_URLCONF = Urls
    configure(DPOP_NONCE="optional")
    token = plain.token()
    headers = plain.headers(token)
    response = plain.get(headers)
    assert (response.status_code, response.json()) == (200, {"user": "auth0|ada"})
    assert plain.get(headers).status_code == 401
    assert plain.get({"Authorization": f"Bearer {token}"}).status_code == 401
    if kind is AccessTokenAPI:
        assert response["DPoP-Nonce"]
        assert list(schemes(plain.get(headers)["WWW-Authenticate"])) == ["DPoP", "Bearer"]


def test_a_middleware_in_front_of_everything_offers_the_nonce(plain, configure):
    configure(DPOP_NONCE="optional")
    request = RequestFactory().get("/plain", headers=plain.headers(plain.token()))
    response = AccessTokenMiddleware(lambda _: HttpResponse())(request)
    assert (response.status_code, bool(response["DPoP-Nonce"])) == (200, True)
