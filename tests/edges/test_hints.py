"""The hint of a refusal: at each edge while DEBUG is on, never without, and never a token or a subject."""

import logging
import string

import pytest
from asgiref.sync import async_to_sync
from django.test import Client, RequestFactory
from django.urls import path
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as hypothesis_settings
from ninja import NinjaAPI
from ninja.security import HttpBearer
from ninja.security.http import HttpAuthBase
from tests.edges.views import GUARDED, url, urlpatterns

from resource_server import (
    AuthorizationError,
    averify,
    error_response,
    hints,
    requires_scope,
    verify,
)
from resource_server.authentication import authenticate, authorize
from resource_server.devissuer.signing import SigningKeys
from resource_server.errors import InvalidToken, Unavailable, reasons
from resource_server.middleware import AccessTokenMiddleware
from resource_server.reasons import TokenReason
from resource_server.requirements import AnyToken
from resource_server.testing import FakeIssuer, ProofKey

FOREIGN = FakeIssuer("https://tenant.test/", algorithm="ES256")
SUBJECT = "a-secret-person"
TYPE = "this token's typ is 'JWT'; TOKEN_TYPE accepts 'at+jwt'. "


class Leaving(AccessTokenMiddleware):
    leaves_foreign_credentials = True


class Recipe(HttpAuthBase):
    """The class of docs/views.md."""

    openapi_scheme = "bearer"

    def __call__(self, request):
        return authorize(request, AnyToken())


class Bearer(HttpBearer):
    def authenticate(self, request, token):
        return verify(token)


api = NinjaAPI(urls_namespace="hints")


@api.exception_handler(AuthorizationError)
def refused(request, error):
    return error_response(error)


def operation(request):
    return {}


api.get("/recipe", auth=Recipe())(operation)
api.get("/bearer", auth=Bearer())(operation)
api.get("/guarded")(requires_scope("read")(operation))
urlpatterns = [*urlpatterns, path("api/", api.urls)]

EDGES = [*map(url, GUARDED), url("anyone"), "/api/recipe", "/api/bearer", "/api/guarded"]


@pytest.fixture
def debug(settings, issuer):
    settings.ROOT_URLCONF = __name__
    settings.DEBUG = True
    return settings


def hint_of(error):
    return error.hint.removesuffix(f". {error.reason.remedy}")


@pytest.mark.parametrize("edge", EDGES)
def test_each_edge_has_the_hint_while_debug_is_on_and_the_same_header_without(get, issuer, debug, edge):
    token = issuer.token(header={"typ": "JWT"}, sub=SUBJECT)
    response = get(edge, f"Bearer {token}")
    body = response.json()
    debug.DEBUG = False
    in_production = get(edge, f"Bearer {token}")

    assert response.status_code == in_production.status_code == 401
    assert body.pop("hint") == TYPE + TokenReason.TYP_NOT_ACCEPTED.remedy
    assert in_production.json() == body
    assert {*body} == {"detail", "reason", "error"}
    assert response["WWW-Authenticate"] == in_production["WWW-Authenticate"]
    assert "TOKEN_TYPE" not in response["WWW-Authenticate"]


@pytest.mark.parametrize("leaves", [False, True])
def test_the_middleware_has_the_hint(get, issuer, debug, leaves):
    debug.MIDDLEWARE = [f"{__name__}.{'Leaving' if leaves else 'AccessTokenMiddleware'}"]
    response = get(url("anyone"), f"Bearer {issuer.token(aud='https://api.test')}")
    debug.DEBUG = False

    assert response.json()["hint"].startswith(
        "this token's aud is 'https://api.test'; AUDIENCE accepts 'https://api.test/'; "
        "it differs only by the slash at the end. "
    )
    assert "hint" not in get(url("anyone"), f"Bearer {issuer.token(aud='https://api.test')}").json()


@pytest.mark.parametrize("edge", ["/rest-function", "/function", "/async-function", "/api/recipe"])
def test_refusals_without_a_token_or_without_a_scope_have_a_remedy(get, issuer, debug, edge):
    for header, reason in ((None, "credentials_missing"), (f"Bearer {issuer.token()}", "scope_missing")):
        body = get(edge, header).json()
        if (
            body.get("reason") == reason
        ):  # REST framework's own IsAuthenticated and a view for any token say it otherwise
            assert body["hint"] == next(each for each in reasons() if each == reason).remedy
        else:
            assert (edge, reason) in {("/rest-function", "credentials_missing"), ("/api/recipe", "scope_missing")}


def test_an_answer_503_says_which_address_and_why(get, issuer, debug):
    issuer.failure = "fetch_timeout"
    body = get("/function", f"Bearer {issuer.token(scope='read')}").json()
    assert body["hint"].startswith(
        "https://issuer.test/.well-known/openid-configuration: issuer did not answer in time. The issuer did not"
    )
    debug.DEBUG = False
    assert "well-known" not in get("/function", f"Bearer {issuer.token(scope='read')}").content.decode()


def test_settings_that_are_invalid_have_a_hint(get, issuer, debug):
    debug.RESOURCE_SERVER = {}
    assert get("/function", f"Bearer {issuer.token()}").json()["hint"].startswith("`manage.py check` says")


KID = "'no such key'"
# A change to a good token -> the two sides in the hint, up to the dots.
SIDES = {
    "type": ({"header": {"typ": "JWT"}}, TYPE.removesuffix(". ")),
    "no type": ({"header": {"typ": None}}, "this token has no typ; TOKEN_TYPE accepts 'at+jwt'"),
    "slash": (
        {"iss": "https://issuer.test"},
        "this token's iss is 'https://issuer.test'; ISSUER is 'https://issuer.test/'; it differs only by the slash at the end",
    ),
    "scheme": (
        {"iss": "http://issuer.test/"},
        "this token's iss is 'http://issuer.test/'; ISSUER is 'https://issuer.test/'; it differs only by the scheme",
    ),
    "case": (
        {"iss": "https://Issuer.test/"},
        "this token's iss is 'https://Issuer.test/'; ISSUER is 'https://issuer.test/'; it differs only by upper and lower case",
    ),
    "another issuer": (
        {"iss": "https://b.test/"},
        "this token's iss is 'https://b.test/'; ISSUER is 'https://issuer.test/'",
    ),
    "no issuer": ({"iss": None}, "this token has no iss; ISSUER is 'https://issuer.test/'"),
    "audience": ({"aud": ["a", "b"]}, "this token's aud is ['a', 'b']; AUDIENCE accepts 'https://api.test/'"),
    "no audience": ({"aud": None}, "this token has no aud; AUDIENCE accepts 'https://api.test/'"),
    "no end": ({"exp": None}, "this token has no exp; with CLOCK_SKEW_SECONDS it must be after 20..."),
    "expired": (
        {"exp": 1_700_000_000},
        "this token's exp is 1700000000 (2023-11-14 22:13:20 UTC); with CLOCK_SKEW_SECONDS it must be after 20...",
    ),
    "not yet": (
        {"nbf": 4_000_000_000},
        "this token's nbf is 4000000000 (2096-10-02 07:06:40 UTC); with CLOCK_SKEW_SECONDS it must be not after 20...",
    ),
    "from the future": ({"iat": 4_000_000_000}, "this token's iat is 4000000000 (2096-10-02 07:06:40 UTC); with..."),
    "key": ({"header": {"kid": "no such key"}}, f"this token's kid is {KID}; the issuer's keys are '..."),
    "an endless number": ({"aud": [10**4000]}, "this token's aud is [1000..."),
}


@pytest.mark.parametrize(("change", "sides"), SIDES.values(), ids=SIDES)
@pytest.mark.parametrize("way", ["verify", "averify", "authenticate"])
def test_the_hint_has_the_two_sides(issuer, debug, change, sides, way):
    calls = {
        "verify": verify,
        "averify": async_to_sync(averify),
        "authenticate": lambda token: authenticate(
            RequestFactory().get("/", headers={"Authorization": f"Bearer {token}"})
        ),
    }
    with pytest.raises(InvalidToken) as caught:
        calls[way](issuer.token(**{"sub": SUBJECT, **change}))
    found = hint_of(caught.value)
    assert found != caught.value.hint
    # Dates, and the names of keys, are those of the day.
    assert found == sides or (sides.endswith("...") and found.startswith(sides[:-3]))
    assert SUBJECT not in caught.value.hint


def test_an_algorithm_is_shown_beside_those_that_are_accepted(issuer, debug):
    debug.RESOURCE_SERVER = issuer.settings(ALGORITHMS=["RS256"])
    with pytest.raises(InvalidToken) as caught:
        verify(issuer.token())
    assert hint_of(caught.value) == "this token's alg is 'ES256'; ALGORITHMS accepts 'RS256'"


def test_with_several_issuers_all_are_named(issuer, debug):
    debug.RESOURCE_SERVER = {"AUDIENCE": "a", "ISSUERS": [{"ISSUER": issuer.issuer}, {"ISSUER": FOREIGN.issuer}]}
    with pytest.raises(InvalidToken) as caught:
        verify(issuer.token(iss="https://tenant.test"))
    assert hint_of(caught.value) == (
        "this token's iss is 'https://tenant.test'; ISSUER is 'https://issuer.test/' 'https://tenant.test/'; "
        "it differs only by the slash at the end"
    )


def test_an_audience_in_another_claim_is_shown_by_its_name(issuer, debug):
    debug.RESOURCE_SERVER = issuer.settings(CLAIMS={"audience": "client_id"}, AUDIENCE="the client")
    with pytest.raises(InvalidToken) as caught:
        verify(issuer.token())
    assert hint_of(caught.value) == "this token's client_id is 'client'; AUDIENCE accepts 'the client'"


SCHEMES = ["Token {}", "JWT {}", "Basic {}", "{}"]


@pytest.mark.parametrize("header", SCHEMES)
@pytest.mark.parametrize("edge", ["/function", "/async-function"])
def test_a_header_of_another_scheme_has_a_hint_without_its_value(get, issuer, debug, caplog, header, edge):
    caplog.set_level(logging.DEBUG, "resource_server")
    token = issuer.token(scope="read")
    body = get(edge, header.format(token)).json()
    assert body["reason"] == "credentials_missing"
    assert body["hint"].startswith("the Authorization header does not begin with the word Bearer. Send `Authorization")
    assert token not in caplog.text
    assert get(edge, None).json()["hint"].startswith("Send `Authorization")


@pytest.mark.parametrize("header", ["Token {}", "JWT {}", "{}"])
def test_so_has_the_refusal_of_rest_framework_itself(get, issuer, debug, caplog, header):
    caplog.set_level(logging.INFO, "resource_server")
    body = get("/rest-function", header.format(issuer.token(scope="read"))).json()
    assert body["detail"] == "Authentication credentials were not provided."
    assert body["hint"].startswith("the Authorization header does not begin with the word Bearer. Send `Authorization")
    assert "credentials_missing: no access token was sent (GET '/rest-function')" in caplog.messages
    assert get("/rest-function", None).json() == {"detail": body["detail"]}
    debug.DEBUG = False
    assert "hint" not in get("/rest-function", header.format("a")).json()


@pytest.mark.parametrize("edge", ["/function", "/async-function", "/rest-function"])
def test_the_scheme_dpop_without_the_setting_is_named(get, issuer, debug, edge):
    body = get(edge, f"DPoP {issuer.token(scope='read', cnf=ProofKey().confirmation)}").json()
    assert body["hint"].startswith("the scheme is DPoP, and no issuer of this project has DPOP on. Send `Authorization")


KINDS = {
    "an ID token": ({"nonce": "n"}, {}, "this token has 'nonce', as an ID or logout token has"),
    "without the claims of a provider": (
        {},
        {"PROVIDER": "okta"},
        "this token has none of the claims 'cid', and an access token has one",
    ),
    "another kind": (
        {"typ": "ID"},
        {"PROVIDER": "keycloak"},
        "this token has the claim 'typ', which is 'Bearer' in an access token",
    ),
}


@pytest.mark.parametrize(("claims", "settings_", "side"), KINDS.values(), ids=KINDS)
def test_a_token_of_another_kind_is_known_by_its_claims(issuer, debug, claims, settings_, side):
    debug.RESOURCE_SERVER = issuer.settings(**{"TOKEN_TYPE": "JWT", **settings_})
    with pytest.raises(InvalidToken) as caught:
        verify(issuer.token(header={"typ": "JWT"}, sub=SUBJECT, **claims))
    assert caught.value.reason == "not_an_access_token"
    assert caught.value.hint.startswith(side)
    assert SUBJECT not in caught.value.hint


def test_an_id_token_is_no_reason_to_change_a_setting(issuer, debug):
    def hint(**claims):
        with pytest.raises(InvalidToken) as caught:
            verify(issuer.token(header={"typ": "JWT"}, **claims))
        return caught.value.hint

    assert "; this seems to be an ID token, so change no setting: send the access token. " in hint(nonce="n")
    assert "ID token, so" not in hint()
    assert "ID token, so" not in hint(nonce="n", typ="Bearer")


def test_a_signature_is_shown_with_its_key(issuer, debug):
    kid = issuer.keys.current_kid
    with pytest.raises(InvalidToken) as caught:
        verify(SigningKeys("ES256").sign(issuer.claims(), header={"kid": kid}))
    assert hint_of(caught.value).startswith(
        f"this token's kid is '{kid}'; the issuer's keys are '{kid}'; this token's alg"
    )


HOSTILE = "\x1b[2J\r\n\u202egood\u00e9\x00" * 200


@pytest.mark.parametrize("member", ["typ", "kid", "alg", "iss", "aud", "exp", "nbf", "iat"])
def test_values_of_a_token_are_cut_and_escaped_in_answer_and_log(get, issuer, debug, caplog, member):
    caplog.set_level(logging.DEBUG, "resource_server")
    changes = {"header": {member: HOSTILE}} if member in ("typ", "kid", "alg") else {member: HOSTILE}
    text = get("/function", f"Bearer {issuer.token(**changes)}").json()["hint"]
    sides = text.partition(". ")[0]
    assert "\\x1b" in sides or member in ("exp", "nbf", "iat", "iss")
    assert len(sides) < 500
    lines = [record.getMessage() for record in caplog.records if "token's" in record.getMessage()]
    assert lines
    for line in (text, *lines):
        assert set(line) <= set(string.printable) - set("\t\n\r\x0b\x0c")


def test_in_production_the_log_at_debug_has_the_sides_and_the_answer_has_not(get, issuer, caplog):
    caplog.set_level(logging.DEBUG, "resource_server")
    token = issuer.token(aud="https://other.test/", sub=SUBJECT, jti="a-secret-id", client_id="a-secret-client")
    response = get("/function", f"Bearer {token}")

    line = next(record for record in caplog.records if "other.test" in record.getMessage())
    assert line.levelname == "DEBUG"
    assert line.getMessage().startswith(
        "audience_not_accepted: this token's aud is 'https://other.test/'; AUDIENCE accepts 'https://api.test/'. The"
    )
    assert "other.test" not in response.content.decode() + response["WWW-Authenticate"]
    assert not any(part in caplog.text for part in (*token.split("."), SUBJECT, "a-secret-id", "a-secret-client"))


def test_a_flood_of_bad_tokens_reads_none_twice_in_production(get, issuer, caplog, monkeypatch, settings):
    asked = []
    monkeypatch.setattr(hints, "parse", lambda token: asked.append(token) or 1 / 0)
    caplog.set_level(logging.INFO, "resource_server")
    for _ in range(5):
        assert get("/function", f"Bearer {issuer.token(aud='other')}").status_code == 401
    assert asked == []
    caplog.set_level(logging.DEBUG, "resource_server")
    assert get("/function", f"Bearer {issuer.token(aud='other')}").status_code == 500
    assert len(asked) == 1


def test_the_hint_of_a_hand_made_error_is_empty(issuer, debug):
    assert "hint" not in error_response(InvalidToken("token_expired")).content.decode()
    assert "hint" not in error_response(Unavailable("fetch_failed", outcome="internal.test refused")).content.decode()


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=strategies.text(strategies.characters(max_codepoint=255), max_size=80),
    claims=strategies.dictionaries(
        strategies.sampled_from(["iss", "aud", "exp", "nbf", "iat", "sub"]),
        strategies.recursive(
            strategies.none() | strategies.booleans() | strategies.integers() | strategies.text(max_size=20),
            lambda inner: strategies.lists(inner) | strategies.dictionaries(strategies.text(max_size=5), inner),
            max_leaves=5,
        ),
    ),
)
def test_no_token_makes_the_hint_an_error(issuer, debug, header, claims):
    kept = {name: value for name, value in claims.items() if value is not None}
    for text in (f"Bearer {header}", f"Bearer {issuer.keys.sign({**issuer.claims(), **kept})}"):
        response = Client().get("/function", headers={"Authorization": text})
        assert response.status_code in {400, 401, 403}
        assert response.json()["hint"]
