"""Opaque tokens, introspection (RFC 7662, RFC 9701) and revocation (RFC 7009), over HTTP."""

import time

import pytest
import urllib3
from tests.devissuer.conftest import basic


def _revoke(issuer, token, client=None, **fields):
    if client is None:
        return issuer.post("/revoke", {"token": token, "client_id": "demo-browser", **fields})
    return issuer.post("/revoke", {"token": token, **fields}, basic(client))


def _opaque(issuer):
    answer = issuer.machine("demo-opaque")
    assert answer.status == 200, answer.data
    return answer.json()["access_token"]


def _active(issuer, token):
    return issuer.introspect(token).json()["active"]


class TestIntrospection:
    @pytest.mark.parametrize("client", ["demo-opaque", "demo-machine"])
    def test_it_tells_the_claims_of_a_token_opaque_or_not(self, issuer, client):
        before = int(time.time())
        token = issuer.machine(client, scope="example:scope").json()["access_token"]
        answer = issuer.introspect(token)
        told = answer.json()

        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
        assert answer.headers["Cache-Control"] == "no-store"
        assert ("." in token) == (client == "demo-machine")
        assert before <= told["iat"] <= time.time()
        assert len(told["jti"]) >= 16
        assert told == {
            "active": True,
            "token_type": "Bearer",
            "iss": issuer.address,
            "aud": "https://api.example.test",
            "sub": f"{client}@clients",
            "client_id": client,
            "iat": told["iat"],
            "exp": told["iat"] + 3600,
            "jti": told["jti"],
            "scope": "example:scope",
        }

    def test_it_says_what_a_jwt_says(self, issuer):
        token = issuer.redeem(issuer.code()).json()["access_token"]
        told = issuer.introspect(token).json()

        assert told == {"active": True, "token_type": "Bearer", **issuer.verified(token).claims}

    def test_what_is_no_access_token_is_not_active(self, issuer):
        body = issuer.redeem(issuer.code()).json()
        for value in ("guessed", "a.b.c", "\x00", "ü", body["refresh_token"], body["id_token"]):
            answer = issuer.introspect(value)
            assert (answer.status, answer.json()) == (200, {"active": False}), value

    def test_an_expired_token_is_not_active(self, run_issuer):
        issuer = run_issuer("--token-seconds", "1")
        token = _opaque(issuer)
        deadline = time.monotonic() + 10
        while _active(issuer, token):
            assert time.monotonic() < deadline
            time.sleep(0.05)  # until it expires

        assert time.monotonic() > deadline - 10 + 0.5

    def test_a_signed_answer_is_given_to_those_who_ask(self, issuer):
        token = _opaque(issuer)
        accept = "application/token-introspection+jwt"
        answers = {value: issuer.introspect(value, Accept=accept) for value in (token, "guessed")}
        signed = {value: issuer.verified(answer.data.decode()) for value, answer in answers.items()}

        assert all(answer.headers["Content-Type"] == accept for answer in answers.values())
        for value, jwt in signed.items():
            assert jwt.header["typ"] == "token-introspection+jwt"
            assert set(jwt.claims) == {"iss", "aud", "iat", "token_introspection"}
            assert (jwt.claims["iss"], jwt.claims["aud"]) == (issuer.address, "demo-api")
            assert jwt.claims["token_introspection"] == issuer.introspect(value).json()

    @pytest.mark.parametrize(
        ("fields", "headers"),
        [
            pytest.param({}, {}, id="no client"),
            pytest.param({}, urllib3.make_headers(basic_auth="demo-api:wrong"), id="wrong secret"),
            pytest.param({}, urllib3.make_headers(basic_auth="nobody:x"), id="unknown client"),
            pytest.param({"client_id": "demo-browser"}, {}, id="public client"),
            pytest.param({}, urllib3.make_headers(basic_auth="demo-browser:"), id="public client, basic"),
            pytest.param({"client_id": "demo-api", "client_secret": "wrong"}, {}, id="wrong secret in the body"),
        ],
    )
    def test_a_client_without_the_secret_learns_nothing(self, issuer, fields, headers):
        answer = issuer.post("/introspect", {"token": _opaque(issuer), **fields}, dict(headers))

        assert (answer.status, answer.json()["error"]) == (401, "invalid_client")
        assert "WWW-Authenticate" in answer.headers

    def test_the_secret_may_be_in_the_body(self, issuer):
        fields = {"token": _opaque(issuer), "client_id": "demo-api", "client_secret": "demo-api-secret"}

        assert issuer.post("/introspect", fields).json()["active"]

    @pytest.mark.parametrize("body", [b"", b"token=", b"token=a&token=b"])
    def test_a_request_without_one_token_is_refused(self, issuer, body):
        answer = issuer.post("/introspect", body, basic("demo-api"))

        assert (answer.status, answer.json()["error"]) == (400, "invalid_request")

    def test_a_token_in_the_address_is_refused(self, issuer):
        assert issuer.post("/introspect?token=x", {}, basic("demo-api")).json()["error"] == "invalid_request"

    def test_the_client_of_the_api_gets_no_token(self, issuer):
        assert issuer.machine("demo-api").json()["error"] == "unauthorized_client"


class TestOpaqueTokens:
    def test_a_flag_makes_all_tokens_opaque(self, run_issuer):
        issuer = run_issuer("--opaque")
        body = issuer.redeem(issuer.code()).json()

        assert "." not in body["access_token"]
        assert issuer.introspect(body["access_token"]).json()["sub"] == "auth0|ada"
        assert issuer.verified(body["id_token"]).claims["sub"] == "auth0|ada"
        assert "." not in issuer.machine().json()["access_token"]

    def test_a_client_can_register_for_them(self, issuer):
        client = issuer.register(redirect_uris=["http://127.0.0.1/callback"], access_token_format="opaque")
        code = issuer.code(client_id=client["client_id"])
        named = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
        token = issuer.redeem(code, **named).json()["access_token"]

        assert "." not in token
        assert issuer.introspect(token).json()["client_id"] == client["client_id"]

    def test_two_are_never_the_same(self, issuer):
        assert _opaque(issuer) != _opaque(issuer)


class TestRevocation:
    @pytest.mark.parametrize("hint", [None, "access_token", "refresh_token", "nonsense"])
    def test_a_revoked_token_is_not_active(self, issuer, hint):
        token, other = _opaque(issuer), _opaque(issuer)
        answer = _revoke(issuer, token, "demo-opaque", **({"token_type_hint": hint} if hint else {}))

        assert answer.status == 200
        assert not _active(issuer, token)
        assert _active(issuer, other)

    def test_a_jwt_can_be_revoked_too(self, issuer):
        token = issuer.machine().json()["access_token"]

        assert _revoke(issuer, token, "demo-machine").status == 200
        assert not _active(issuer, token)

    def test_a_refresh_token_takes_its_session_with_it(self, issuer):
        first = issuer.redeem(issuer.code()).json()
        second = issuer.refresh(first["refresh_token"]).json()
        other = issuer.redeem(issuer.code()).json()

        assert _revoke(issuer, second["refresh_token"]).status == 200
        assert issuer.refresh(second["refresh_token"]).json()["error"] == "invalid_grant"
        assert [_active(issuer, body["access_token"]) for body in (first, second, other)] == [False, False, True]
        assert issuer.refresh(other["refresh_token"]).status == 200

    def test_an_access_token_leaves_its_session(self, issuer):
        body = issuer.redeem(issuer.code()).json()

        assert _revoke(issuer, body["access_token"]).status == 200
        assert not _active(issuer, body["access_token"])
        assert issuer.refresh(body["refresh_token"]).status == 200

    def test_a_code_that_is_used_twice_ends_the_access_token(self, issuer):
        code = issuer.code()
        token = issuer.redeem(code).json()["access_token"]
        assert _active(issuer, token)
        issuer.redeem(code)

        assert not _active(issuer, token)

    def test_an_unknown_token_is_as_good_as_revoked(self, issuer):
        token = _opaque(issuer)
        for value in ("guessed", token, token):
            assert _revoke(issuer, value, "demo-opaque").status == 200

    def test_the_token_of_another_client_stays(self, issuer):
        body = issuer.redeem(issuer.code()).json()
        for token in (body["access_token"], body["refresh_token"]):
            answer = _revoke(issuer, token, "demo-machine")
            assert (answer.status, answer.json()["error"]) == (400, "invalid_grant")

        assert _active(issuer, body["access_token"])
        assert issuer.refresh(body["refresh_token"]).status == 200

    @pytest.mark.parametrize("fields", [{"client_id": "nobody"}, {"client_id": "demo-machine"}, {"client_id": ""}])
    def test_a_client_that_is_not_known_revokes_nothing(self, issuer, fields):
        token = _opaque(issuer)
        answer = issuer.post("/revoke", {"token": token, **fields})

        assert answer.json()["error"] == "invalid_client"
        assert _active(issuer, token)
