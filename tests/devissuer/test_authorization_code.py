"""Authorization code with PKCE (RFC 6749, section 4.1; RFC 7636), ID tokens, and refresh, over HTTP."""

import base64
import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest


def test_a_person_signs_in_and_the_client_gets_tokens(issuer):
    before = int(time.time())
    page = issuer.sign_in_page()
    sent_back = issuer.redirected(issuer.decide(page, agreed=["openid", "example:scope"]))
    code = sent_back.pop("code")
    assert sent_back == {"state": "the state", "iss": issuer.address}

    answer = issuer.redeem(code)
    after = int(time.time())
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json()
    assert set(body) == {"access_token", "id_token", "refresh_token", "token_type", "expires_in", "scope"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)
    assert body["scope"] == "openid example:scope"

    access = issuer.verified(body["access_token"])
    kid = issuer.jwks()["keys"][0]["kid"]
    assert access.header == {"alg": "RS256", "kid": kid, "typ": "at+jwt"}
    assert before <= access.claims["auth_time"] <= access.claims["iat"] <= after
    assert access.claims == {
        "iss": issuer.address,
        "aud": "https://api.example.test",
        "sub": "auth0|ada",
        "client_id": "demo-browser",
        "iat": access.claims["iat"],
        "exp": access.claims["iat"] + 3600,
        "jti": access.claims["jti"],
        "scope": "openid example:scope",
        "auth_time": access.claims["auth_time"],
    }

    identity = issuer.verified(body["id_token"])
    half = hashlib.sha256(body["access_token"].encode()).digest()[:16]
    assert identity.header == {"alg": "RS256", "kid": kid, "typ": "JWT"}
    assert identity.claims == {
        "iss": issuer.address,
        "aud": "demo-browser",
        "sub": "auth0|ada",
        "iat": identity.claims["iat"],
        "exp": identity.claims["iat"] + 3600,
        "auth_time": access.claims["auth_time"],
        "nonce": "the nonce",
        "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
    }


def test_who_they_are_is_told_where_it_is_asked_for(issuer):
    asked = ("openid", "profile", "email")
    body = issuer.redeem(issuer.code(agreed=asked, scope=" ".join(asked), nonce=None)).json()
    claims = issuer.verified(body["id_token"]).claims

    assert "nonce" not in claims
    assert claims["name"] == "Ada Example"
    assert (claims["email"], claims["email_verified"]) == ("ada@example.test", True)


def test_without_openid_there_is_no_id_token(issuer):
    body = issuer.redeem(issuer.code(scope="example:scope")).json()

    assert "id_token" not in body


@pytest.mark.parametrize(
    ("agreed", "scope"),
    [
        ((), ""),
        (("example:scope",), "example:scope"),
        (("openid",), "openid"),
        (("example:scope", "profile", "admin"), "example:scope"),
    ],
)
def test_only_what_was_asked_for_and_agreed_to_is_granted(issuer, agreed, scope):
    body = issuer.redeem(issuer.code(agreed=agreed)).json()
    claims = issuer.verified(body["access_token"]).claims

    assert body["scope"] == scope
    assert claims.get("scope", "") == scope
    assert ("id_token" in body) == ("openid" in scope)


def test_any_subject_can_be_typed_in_and_wins_over_the_choice(issuer):
    subject = "waad|Grüße@example.test/" + "x" * 200
    code = issuer.redirected(issuer.decide(issuer.sign_in_page(), other=subject))["code"]

    assert issuer.verified(issuer.redeem(code).json()["access_token"]).claims["sub"] == subject


@pytest.mark.parametrize("fields", [{"decision": "deny"}, {"decision": "deny", "other": "x" * 300}, {"decision": ""}])
def test_a_person_may_deny(issuer, fields):
    sent_back = issuer.redirected(issuer.decide(issuer.sign_in_page(), **fields))

    assert sent_back.pop("error_description")
    assert sent_back == {"error": "access_denied", "state": "the state", "iss": issuer.address}


@pytest.mark.parametrize("parameter", ["audience", "resource"])
def test_the_audience_is_that_of_the_authorization_request(run_issuer, parameter):
    issuer = run_issuer("--audience", "https://one.test", "https://two.test")

    def granted():
        return issuer.code(**{parameter: "https://two.test"})

    body = issuer.redeem(granted()).json()
    assert issuer.verified(body["access_token"]).claims["aud"] == "https://two.test"
    refreshed = issuer.refresh(body["refresh_token"], **{parameter: "https://two.test"}).json()
    assert issuer.verified(refreshed["access_token"]).claims["aud"] == "https://two.test"
    elsewhere = {parameter: "https://one.test"}
    assert issuer.refresh(refreshed["refresh_token"], **elsewhere).json()["error"] == "invalid_target"
    assert issuer.redeem(granted(), **elsewhere).json()["error"] == "invalid_target"


CHALLENGE_OF_PLAIN = "a" * 43


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"response_type": "token"}, "unsupported_response_type", id="implicit"),
        pytest.param({"response_type": None}, "invalid_request", id="no response type"),
        pytest.param({"scope": "other"}, "invalid_scope", id="unknown scope"),
        pytest.param({"audience": "https://other.test"}, "invalid_target", id="unknown audience"),
        pytest.param({"resource": "https://other.test"}, "invalid_target", id="unknown resource"),
        pytest.param({"code_challenge": None}, "invalid_request", id="no challenge"),
        pytest.param({"code_challenge": "short"}, "invalid_request", id="short challenge"),
        pytest.param({"code_challenge_method": None}, "invalid_request", id="plain by omission"),
        pytest.param({"code_challenge_method": "plain"}, "invalid_request", id="plain"),
        pytest.param({"code_challenge": None, "code_challenge_method": None}, "invalid_request", id="no PKCE"),
        pytest.param({"prompt": "none"}, "login_required", id="nobody is signed in yet"),
    ],
)
def test_a_bad_request_of_a_known_client_goes_back_to_it(issuer, changes, error):
    sent_back = issuer.redirected(issuer.get(issuer.authorize_url(**changes)))

    assert sent_back["error"] == error
    assert (sent_back["state"], sent_back["iss"]) == ("the state", issuer.address)
    assert "code" not in sent_back


@pytest.mark.parametrize(
    "redirect_uri",
    [
        None,
        "",
        "https://attacker.example/",
        "http://attacker.example/",
        "https://127.0.0.1:8000/callback",
        "http://127.0.0.1.attacker.example/",
        "http://127.0.0.1@attacker.example/",
        "http://127.0.0.1:8000@attacker.example/",
        "http://attacker.example\\@127.0.0.1/",
        "http://127.0.0.1\\@attacker.example/",
        "http://127.0.0.1:8000#fragment",
        "http://127.0.0.1:8000/callback#",
        "http://127.0.0.1:port/",
        "http://127.1/",
        "http://2130706433/",
        "http://0.0.0.0/",
        "http://[::1/",
        "HTTP://127.0.0.1/",
        "//127.0.0.1/",
        "/callback",
        "javascript:alert(1)//http://127.0.0.1/",
        "http://127.0.0.1/\r\nSet-Cookie: a=b",
        'http://127.0.0.1/"',
        "http://127.0.0.1/\u00fc",
        " http://127.0.0.1/",
        "app.example:/callback",
    ],
)
def test_an_untrusted_redirect_uri_is_never_followed(issuer, redirect_uri):
    answer = issuer.get(issuer.authorize_url(redirect_uri=redirect_uri))

    assert answer.status == 400
    assert "Location" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    assert "invalid_request" in answer.data.decode()


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://attacker.example/", "scope": "other"},
        {"redirect_uri": "https://attacker.example/", "response_type": "token"},
        {"redirect_uri": "https://attacker.example/", "response_type": '"'},
        {"client_id": None},
        {"client_id": "nobody"},
        {"client_id": '"<script>'},
        {"client_id": "demo-machine", "redirect_uri": "https://attacker.example/"},
    ],
)
def test_an_unknown_client_is_never_redirected(issuer, changes):
    answer = issuer.get(issuer.authorize_url(**changes))

    assert answer.status == 400
    assert "Location" not in answer.headers
    assert b"<script>" not in answer.data


def test_a_repeated_parameter_is_refused(issuer):
    url = issuer.authorize_url() + "&redirect_uri=https://attacker.example/"

    assert issuer.get(url).status == 400


@pytest.mark.parametrize(
    "redirect_uri", ["http://127.0.0.1:1/", "http://localhost:65535/a/b?c=d", "http://[::1]:8000/x", "http://127.0.0.1"]
)
def test_any_port_and_path_of_loopback_will_do(issuer, redirect_uri):
    page = issuer.sign_in_page(redirect_uri=redirect_uri)
    location = issuer.decide(page).headers["Location"]

    assert location.startswith(redirect_uri)
    assert {"code", "state", "iss"} <= set(parse_qs(urlsplit(location).query))


def test_a_registered_redirect_uri_is_compared_exactly(run_issuer):
    issuer = run_issuer("--redirect-uri", "app.example:/callback", "https://app.example/cb")

    for uri in ("app.example:/callback", "https://app.example/cb"):
        location = issuer.decide(issuer.sign_in_page(redirect_uri=uri)).headers["Location"]
        assert location.startswith(f"{uri}?code=")
    for uri in ("app.example:/callback/", "https://app.example/cb?x", "https://app.example/"):
        assert issuer.get(issuer.authorize_url(redirect_uri=uri)).status == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"code_verifier": "b" * 43}, "invalid_grant", id="wrong verifier"),
        pytest.param({"code_verifier": ""}, "invalid_request", id="no verifier"),
        pytest.param({"code_verifier": "ü" * 43}, "invalid_request", id="garbled verifier"),
        pytest.param({"redirect_uri": "http://127.0.0.1:8000/other"}, "invalid_grant", id="another redirect URI"),
        pytest.param({"redirect_uri": ""}, "invalid_grant", id="no redirect URI"),
        pytest.param({"code": "guessed"}, "invalid_grant", id="unknown code"),
        pytest.param({"client_id": "nobody"}, "invalid_client", id="unknown client"),
        pytest.param({"client_id": ""}, "invalid_client", id="no client"),
        pytest.param({"client_secret": "x"}, "invalid_client", id="a secret that was never given"),
    ],
)
def test_a_code_is_good_only_for_whom_it_was_meant(issuer, changes, error):
    code = issuer.code()
    refused = issuer.redeem(code, **changes) if "code" not in changes else issuer.redeem(changes["code"])

    assert refused.status in {400, 401}
    assert refused.json()["error"] == error
    # A wrong guess costs the honest client nothing.
    assert issuer.redeem(code).status == 200


def test_a_code_that_is_used_twice_ends_what_it_began(issuer):
    code = issuer.code()
    body = issuer.redeem(code).json()
    replay = issuer.redeem(code)

    assert (replay.status, replay.json()["error"]) == (400, "invalid_grant")
    assert issuer.refresh(body["refresh_token"]).json()["error"] == "invalid_grant"


def test_of_many_who_redeem_a_code_at_once_one_succeeds(issuer):
    code = issuer.code()
    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(answer.status for answer in pool.map(issuer.redeem, [code] * 8))

    assert statuses == [200] + [400] * 7


class TestRefresh:
    def test_it_rotates(self, issuer):
        first = issuer.redeem(issuer.code()).json()
        answer = issuer.refresh(first["refresh_token"])
        second = answer.json()

        assert answer.status == 200
        assert second["refresh_token"] != first["refresh_token"]
        assert second["scope"] == "openid example:scope"
        old, new = (issuer.verified(body["access_token"]).claims for body in (first, second))
        assert new["jti"] != old["jti"]
        for name in ("iss", "aud", "sub", "client_id", "scope", "auth_time"):
            assert new[name] == old[name]
        assert issuer.refresh(second["refresh_token"]).status == 200

    def test_reuse_ends_the_session(self, issuer):
        first = issuer.redeem(issuer.code()).json()
        second = issuer.refresh(first["refresh_token"]).json()

        assert issuer.refresh(first["refresh_token"]).json()["error"] == "invalid_grant"
        assert issuer.refresh(second["refresh_token"]).json()["error"] == "invalid_grant"

    def test_a_session_that_ended_ends_no_other(self, issuer):
        mine, theirs = (issuer.redeem(issuer.code()).json()["refresh_token"] for _ in range(2))
        issuer.refresh(mine)
        issuer.refresh(mine)

        assert issuer.refresh(theirs).status == 200

    def test_less_may_be_asked_for_but_not_more(self, issuer):
        first = issuer.redeem(issuer.code()).json()
        more = issuer.refresh(first["refresh_token"], scope="openid example:scope profile")
        less = issuer.refresh(first["refresh_token"], scope="example:scope").json()
        again = issuer.refresh(less["refresh_token"]).json()

        assert more.json()["error"] == "invalid_scope"
        assert less["scope"] == "example:scope"
        assert issuer.verified(less["access_token"]).claims["scope"] == "example:scope"
        assert again["scope"] == "openid example:scope"

    @pytest.mark.parametrize("token", ["guessed", ""])
    def test_an_unknown_token_is_refused(self, issuer, token):
        assert issuer.refresh(token).json()["error"] == "invalid_grant"

    def test_no_token_is_a_bad_request(self, issuer):
        answer = issuer.post("/token", {"grant_type": "refresh_token", "client_id": "demo-browser"})

        assert (answer.status, answer.json()["error"]) == (400, "invalid_request")
