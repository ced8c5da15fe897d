"""OpenID Connect Back-Channel Logout 1.0: each rule of section 2.6 broken one at a time, and what a good token ends."""

import io
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import path
from pytest_django import Settings
from tests.revocation.conftest import CLIENT, redis_cache

from resource_server import revoke, verify
from resource_server.devissuer.signing import SigningKeys
from resource_server.errors import AuthorizationError
from resource_server.logout import backchannel_logout
from resource_server.testing import FakeIssuer
from resource_server.tokens.logout_tokens import LOGOUT_EVENT, LOGOUT_RULES
from resource_server.tokens.rules import RULES

urlpatterns = [path("logout", backchannel_logout)]
FORM = "application/x-www-form-urlencoded"
PERSON = "auth0|ada"


@pytest.fixture
def site(issuer: FakeIssuer, settings: Settings) -> Iterator[FakeIssuer]:
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    return issuer


def claims(issuer: FakeIssuer, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {
        "iss": issuer.issuer,
        "aud": CLIENT,
        "sub": PERSON,
        "iat": now + 5,  # so that tokens of the next seconds are older
        "exp": now + 120,
        "jti": f"logout-{time.monotonic_ns()}",
        "events": {LOGOUT_EVENT: {}},
        **changes,
    }
    return {name: value for name, value in good.items() if value is not None}


def logout_token(issuer: FakeIssuer, *, header: dict[str, Any] | None = None, **changes: Any) -> str:
    return issuer.keys.sign(claims(issuer, **changes), header={"typ": "logout+jwt", **(header or {})})


def sent(token: str | None, **more: str) -> Any:
    form = {**({} if token is None else {"logout_token": token}), **more}
    return Client(enforce_csrf_checks=True).post("/logout", urlencode(form), content_type=FORM)


def assert_stored_nowhere(answer: Any) -> None:
    assert answer.headers["Cache-Control"] == "no-store"


def is_good(token: str) -> bool:
    try:
        verify(token)
    except AuthorizationError as error:
        reason = error.reason
    else:
        return True
    assert reason == "token_revoked"
    return False


@pytest.mark.parametrize("typ", ["logout+jwt", "application/logout+jwt", "LOGOUT+JWT", "JWT", None])
def test_a_good_logout_token_is_answered_200_and_ends_the_tokens(site: FakeIssuer, typ: str | None) -> None:
    token = site.token()
    assert is_good(token)
    answer = sent(logout_token(site, header={"typ": typ}), state="values that are not understood are ignored")
    assert (answer.status_code, answer.content) == (200, b"")
    assert_stored_nowhere(answer)
    assert not is_good(token)
    # The person signs in again.
    assert is_good(site.token(jti="id-2", iat=int(time.time()) + 20))


@pytest.mark.parametrize("more", [{}, {"revoke_offline_access": True}], ids=["as before", "with offline tokens"])
def test_a_logout_token_of_keycloak(site: FakeIssuer, more: dict[str, Any]) -> None:
    """Its payload has a `typ`, and its events may say that offline tokens end too (Keycloak #7333)."""
    token = site.token(sid="s1")
    assert sent(logout_token(site, typ="Logout", sid="s1", events={LOGOUT_EVENT: {}, **more})).status_code == 200
    assert not is_good(token)


# {sentence: (claims of the logout token, {claims of an access token: whether it stays good})}
ENDED: dict[str, tuple[dict[str, Any], list[tuple[dict[str, Any], bool]]]] = {
    "the subject": (
        {},
        [({}, False), ({"sid": "s1"}, False), ({"sub": "auth0|bob"}, True), ({"sub": "auth0|bob", "sid": "s1"}, True)],
    ),
    "the session": (
        {"sub": None, "sid": "s1"},
        [({}, True), ({"sid": "s1"}, False), ({"sid": "s2"}, True), ({"sub": "auth0|bob", "sid": "s1"}, False)],
    ),
    "the session of the subject": (
        {"sid": "s1"},
        [
            ({"sid": ""}, False),
            ({"sid": 5}, False),
            ({}, False),
            ({"sid": "s1"}, False),
            ({"sid": "s2"}, True),
            ({"sub": "auth0|bob"}, True),
        ],
    ),
}


@pytest.mark.parametrize(("named", "tokens"), ENDED.values(), ids=ENDED)
def test_the_tokens_that_end(
    site: FakeIssuer, named: dict[str, Any], tokens: list[tuple[dict[str, Any], bool]]
) -> None:
    assert sent(logout_token(site, **named)).status_code == 200
    for changes, stays in tokens:
        assert is_good(site.token(**changes)) is stays, changes


NOW = int(time.time())
# The header and the claims of a token, and the reason of its refusal.
BROKEN: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "an access token": ({"typ": "at+jwt"}, {}, "typ_not_accepted"),
    "a DPoP proof": ({"typ": "dpop+jwt"}, {}, "typ_not_accepted"),
    "no algorithm that is allowed": ({"alg": "none"}, {}, "alg_not_allowed"),
    "crit": ({"crit": ["exp"]}, {}, "header_not_supported"),
    "a kid of another kind": ({"kid": 5}, {}, "kid_malformed"),
    "an unknown kid": ({"kid": "unknown"}, {}, "key_unknown"),
    "another issuer": ({}, {"iss": "https://other.test/"}, "issuer_not_trusted"),
    "no issuer": ({}, {"iss": None}, "iss_missing"),
    "another audience": ({}, {"aud": "another-client"}, "audience_not_accepted"),
    "the audience of the API": ({}, {"aud": "https://api.test/"}, "audience_not_accepted"),
    "no audience": ({}, {"aud": None}, "aud_missing"),
    "expired": ({}, {"exp": NOW - 3600, "iat": NOW - 3700}, "token_expired"),
    "no exp": ({}, {"exp": None}, "exp_missing"),
    "not yet valid": ({}, {"nbf": NOW + 3600}, "token_not_yet_valid"),
    "issued in the future": ({}, {"iat": NOW + 3600, "exp": NOW + 7200}, "token_issued_in_future"),
    "no iat": ({}, {"iat": None}, "logout_iat_missing"),
    "an iat of another kind": ({}, {"iat": "now"}, "iat_malformed"),
    "no events": ({}, {"events": None}, "logout_event_missing"),
    "events that are a list": ({}, {"events": [LOGOUT_EVENT]}, "logout_event_missing"),
    "another event": ({}, {"events": {"https://schemas.openid.net/secevent/risc/x": {}}}, "logout_event_missing"),
    "an event that is no object": ({}, {"events": {LOGOUT_EVENT: True}}, "logout_event_missing"),
    "a nonce": ({}, {"nonce": "n"}, "logout_nonce_present"),
    "an empty nonce": ({}, {"nonce": ""}, "logout_nonce_present"),
    "neither sub nor sid": ({}, {"sub": None}, "logout_subject_missing"),
    "a sub of another kind": ({}, {"sub": ["a"]}, "sub_malformed"),
    "an empty sub": ({}, {"sub": "", "sid": "s1"}, "sub_malformed"),
    "a sid of another kind": ({}, {"sid": 5}, "logout_sid_malformed"),
    "an empty sid": ({}, {"sid": "", "sub": None}, "logout_sid_malformed"),
    "no jti": ({}, {"jti": None}, "logout_jti_malformed"),
    "a jti of another kind": ({}, {"jti": 5}, "logout_jti_malformed"),
    "a jti without end": ({}, {"jti": "j" * 513}, "logout_jti_malformed"),
}


@pytest.mark.parametrize(("header", "changes", "reason"), BROKEN.values(), ids=BROKEN)
def test_each_rule_broken_is_400_and_ends_nothing(
    site: FakeIssuer, header: dict[str, Any], changes: dict[str, Any], reason: str
) -> None:
    answer = sent(logout_token(site, header=header, **changes))
    assert (answer.status_code, answer.json()["reason"]) == (400, reason)
    assert answer.json()["error"] == "invalid_request"
    assert answer.json()["error_description"]
    assert_stored_nowhere(answer)
    assert is_good(site.token())


def test_each_rule_of_the_one_table_that_applies_is_run() -> None:
    shared = [rule.name for rule in LOGOUT_RULES if rule in RULES]
    left_out = {rule.name for rule in RULES} - set(shared)
    assert left_out == {"subject", "client", "scope", "kind of token", "confirmation"}


def test_another_key_is_400(site: FakeIssuer) -> None:
    forged = SigningKeys("ES256").sign(claims(site), header={"typ": "logout+jwt", "kid": site.keys.current_kid})
    assert sent(forged).json()["reason"] == "signature_invalid"
    assert is_good(site.token())


@pytest.mark.parametrize("changes", [{}, {"nonce": "n"}])
def test_an_id_token_or_an_access_token_is_no_logout_token(site: FakeIssuer, changes: dict[str, Any]) -> None:
    token = site.keys.sign(site.claims(aud=CLIENT, **changes), header={"typ": "JWT"})
    assert sent(token).status_code == 400
    assert is_good(site.token())


def test_a_logout_token_is_no_access_token(site: FakeIssuer, settings: Settings) -> None:
    settings.RESOURCE_SERVER = {**settings.RESOURCE_SERVER, "TOKEN_TYPE": ["at+jwt", "JWT"], "AUDIENCE": CLIENT}
    for typ in ("logout+jwt", "JWT"):
        with pytest.raises(AuthorizationError):
            verify(logout_token(site, header={"typ": typ}))


def test_a_jti_counts_once(site: FakeIssuer) -> None:
    token = logout_token(site)
    assert sent(token).status_code == 200
    again = sent(token)
    assert (again.status_code, again.json()["reason"]) == (400, "logout_token_replayed")
    assert_stored_nowhere(again)


def test_another_client_s_logout_names_the_setting(
    site: FakeIssuer, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    answers = []
    for debug in (True, False):
        settings.DEBUG = debug
        answers.append(sent(logout_token(site, aud="another")).json())
    assert [answer["reason"] for answer in answers] == ["audience_not_accepted"] * 2
    assert "`LOGOUT_AUDIENCE`" in answers[0].pop("hint")
    assert "hint" not in answers[1]
    lines = [each.getMessage() for each in caplog.records if "logout failed" in each.getMessage()]
    assert ["`LOGOUT_AUDIENCE`" in line and "`AUDIENCE`" not in line for line in lines] == [True, True]


def test_a_logout_that_the_cache_does_not_keep_is_400_and_can_be_sent_again(
    site: FakeIssuer, settings: Settings, free_port: Callable[[], int], caplog: pytest.LogCaptureFixture
) -> None:
    token, good = logout_token(site), settings.CACHES
    settings.CACHES = {"default": redis_cache(f"redis://127.0.0.1:{free_port()}/1")}
    answer = sent(token)
    assert (answer.status_code, answer.json()["reason"]) == (400, "revocation_store_failed")
    assert answer.json()["error"] == "temporarily_unavailable"
    assert_stored_nowhere(answer)
    assert any(record.levelname == "ERROR" and "logout failed" in record.getMessage() for record in caplog.records)
    settings.CACHES = good
    assert sent(token).status_code == 200
    assert not is_good(site.token())


def test_a_logout_that_fails_half_way_can_be_sent_again(site: FakeIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.core.cache.backends.redis import RedisCache

    token, keep = logout_token(site), RedisCache.set
    monkeypatch.setattr(RedisCache, "set", lambda *_, **__: None)
    assert sent(token).json()["reason"] == "revocation_store_failed"
    monkeypatch.setattr(RedisCache, "set", keep)
    assert sent(token).status_code == 200
    assert not is_good(site.token())


@pytest.mark.parametrize("first_to_fail", ["get_many", "set", "add"])
def test_a_logout_while_the_cache_goes_down_can_be_sent_again(
    site: FakeIssuer, monkeypatch: pytest.MonkeyPatch, first_to_fail: str
) -> None:
    from django.core.cache.backends.redis import RedisCache

    methods = ("get_many", "set", "add", "delete")

    def go_down(*_: Any, **__: Any) -> None:
        for method in methods:
            down.setattr(RedisCache, method, go_down)
        raise ConnectionError

    token = logout_token(site, sid="session-1")
    with monkeypatch.context() as down:
        down.setattr(RedisCache, first_to_fail, go_down)
        assert sent(token).json()["reason"] == "revocation_store_failed"
    assert sent(token).status_code == 200
    assert sent(token).json()["reason"] == "logout_token_replayed"
    assert not is_good(site.token(sid="session-1"))


def test_a_logout_while_the_keys_cannot_be_reached_is_400(site: FakeIssuer) -> None:
    site.failure = "fetch_failed"
    answer = sent(logout_token(site))
    assert (answer.status_code, answer.json()["reason"]) == (400, "fetch_failed")
    assert_stored_nowhere(answer)


def test_an_older_logout_does_not_weaken_a_later_revocation(site: FakeIssuer) -> None:
    revoke(site.issuer, subject=PERSON, issued_before=time.time() + 60)
    assert sent(logout_token(site, iat=int(time.time()) - 20)).status_code == 200
    assert not is_good(site.token())


@pytest.mark.parametrize("changes", [{"LOGOUT_AUDIENCE": None}, {"REVOCATION": None}, {"AUDIENCE": None}])
def test_without_its_settings_a_logout_is_400(site: FakeIssuer, settings: Settings, changes: dict[str, Any]) -> None:
    settings.RESOURCE_SERVER = {**settings.RESOURCE_SERVER, **changes}
    reason = "audience_not_accepted" if "LOGOUT_AUDIENCE" in changes else "settings_invalid"
    assert sent(logout_token(site)).json()["reason"] == reason


def test_two_issuers_have_each_its_own_clients(site: FakeIssuer, settings: Settings) -> None:
    other = FakeIssuer("https://other.test/", algorithm="ES256")
    settings.RESOURCE_SERVER = {
        "REVOCATION": "default",
        "ISSUERS": [site.settings(LOGOUT_AUDIENCE=CLIENT), other.settings(LOGOUT_AUDIENCE=["its-client"])],
    }
    with site.serving(other):
        assert sent(logout_token(other)).json()["reason"] == "audience_not_accepted"
        assert sent(logout_token(other, aud="its-client")).status_code == 200
        assert is_good(site.token())
        assert not is_good(other.token())


def test_names_of_claims_in_access_tokens_are_not_those_of_logout_tokens(site: FakeIssuer, settings: Settings) -> None:
    names = {"subject": "oid", "audience": "resource"}
    settings.RESOURCE_SERVER = {**settings.RESOURCE_SERVER, "CLAIMS": names}
    token = site.token(oid="ada-oid", resource="https://api.test/")
    assert is_good(token)
    assert sent(logout_token(site)).status_code == 200
    assert not is_good(token), "found by its sub"


# The request (section 2.5)


def test_two_good_logout_tokens_at_once_are_400(site: FakeIssuer) -> None:
    token = logout_token(site)
    answer = Client().post("/logout", urlencode([("logout_token", token)] * 2), content_type=FORM)
    assert (answer.status_code, answer.json()["reason"]) == (400, "logout_token_missing")
    assert is_good(site.token())


def test_other_methods_are_405(site: FakeIssuer) -> None:
    for method in ("get", "head", "put", "delete", "options"):
        answer = getattr(Client(), method)("/logout")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
        assert_stored_nowhere(answer)


BODIES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", FORM),
    "another field": (b"token=x", FORM),
    "twice": (b"logout_token=x&logout_token=x", FORM),
    "JSON": (b'{"logout_token": "x"}', "application/json"),
    "a broken multipart": (b"--x\r\nContent-Disposition", "multipart/form-data"),
    "a charset of another kind": (b"logout_token=x", f"{FORM}; charset=utf-16"),
    "too many fields": (b"a=1&" * 2000, FORM),
    "too large": (b"logout_token=" + b"x" * 3_000_000, FORM),
    "bytes that are not UTF-8": (b"logout_token=%ff%fe", FORM),
    "an empty token": (b"logout_token=", FORM),
    "a token with a line break": (b"logout_token=a%0d%0ab", FORM),
    "a token that is too large": (b"logout_token=" + b"x" * 20_000, FORM),
    "five parts": (b"logout_token=a.b.c.d.e", FORM),
}


@pytest.mark.parametrize(("body", "kind"), BODIES.values(), ids=BODIES)
def test_a_request_of_another_form_is_400(site: FakeIssuer, body: bytes, kind: str) -> None:
    answer = Client(enforce_csrf_checks=True).post("/logout", body, content_type=kind)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert_stored_nowhere(answer)


# What real issuers send with the form; the certification suite of OpenID Connect sent no type (oidctest #199).
TYPES: dict[str, str] = {
    "none": "",
    "the form's": FORM,
    "in UTF-8": f"{FORM}; charset=UTF-8",
    "in UTF-8 by another name": f"{FORM};charset=utf8",
    "in quotes": f'{FORM}; charset="utf-8"',
    "in the charset of HTTP/1.0": f"{FORM}; charset=ISO-8859-1",
    "in ASCII": f"{FORM}; charset=us-ascii",
    "in a charset that is none": f"{FORM}; charset=none",
    "in capitals": FORM.upper(),
    "text": "text/plain;charset=ISO-8859-1",
}


@pytest.mark.parametrize("kind", TYPES.values(), ids=TYPES)
def test_a_form_is_read_whatever_its_type_says(site: FakeIssuer, kind: str) -> None:
    token = site.token()
    # Some clients end a body with a line break.
    body = urlencode({"logout_token": logout_token(site)}) + "\r\n"
    answer = Client(enforce_csrf_checks=True).generic("POST", "/logout", body, content_type=kind)
    assert answer.status_code == 200, answer.content
    assert not is_good(token)


def test_a_body_that_a_middleware_has_consumed_is_400(site: FakeIssuer) -> None:
    request = RequestFactory().post("/logout", {"logout_token": logout_token(site)})
    request.content_type = FORM
    request.read()
    assert backchannel_logout(request).status_code == 400


def test_a_client_that_hangs_up_is_400(site: FakeIssuer) -> None:
    class Gone(io.IOBase):
        def read(self, *_: object) -> bytes:
            raise OSError("gone")

    request = HttpRequest()
    request.method = "POST"
    request.META |= {"CONTENT_TYPE": FORM, "CONTENT_LENGTH": "20"}
    request.content_type, request._read_started = FORM, False
    request._stream = Gone()  # type: ignore[attr-defined]
    assert backchannel_logout(request).status_code == 400


def test_no_logout_token_is_in_the_log_or_the_answer(site: FakeIssuer, caplog: pytest.LogCaptureFixture) -> None:
    token = logout_token(site, nonce="n")
    answer = sent(token)
    for part in token.split("."):
        assert part not in answer.content.decode() + caplog.text
    assert PERSON not in caplog.text
