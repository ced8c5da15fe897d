"""The defects of the published tutorial, one by one: each test fails on a library that has the defect."""

import socket
import threading
import time
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import RequestFactory, override_settings
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from resource_server import TokenUser, authentication, requires_scope, server
from resource_server.drf import AccessTokenAuthentication
from resource_server.errors import InvalidToken, Unavailable
from resource_server.keys.http import fetch
from resource_server.testing import FakeIssuer

EXAMPLE = Path(__file__).parents[1] / "example"


@pytest.fixture
def issuer():
    issuer = FakeIssuer()
    with issuer.serving(), override_settings(RESOURCE_SERVER=issuer.settings()):
        yield issuer


def authenticate(token, scheme="Bearer"):
    return authentication.authenticate(RequestFactory().get("/", headers={"Authorization": f"{scheme} {token}"}))


def reason(token):
    with pytest.raises(InvalidToken) as refused:
        authenticate(token)
    return refused.value.reason


@requires_scope("example:scope")
def scoped(request):
    return HttpResponse("in")


def answer(token=None, *, view=scoped, user=None, scheme="Bearer"):
    request = RequestFactory().get("/", headers={"Authorization": f"{scheme} {token}"} if token else {})
    if user is not None:
        request.user = user
    response = view(request)
    return response.render() if hasattr(response, "render") else response


class Private(APIView):
    authentication_classes = [AccessTokenAuthentication, SessionAuthentication]
    permission_classes = [IsAuthenticated]

    def get(self, request):
        return Response({"user": request.user.get_username(), "token": bool(request.auth)})


class SessionFirst(Private):
    authentication_classes = [SessionAuthentication, AccessTokenAuthentication]


class PrivateScoped(SessionFirst):
    @requires_scope("example:scope")
    def get(self, request):
        return Response({})


# Keys


def test_keys_are_not_fetched_before_the_first_token(issuer):
    server.configure()
    answer()
    assert issuer.fetched == []


def test_a_fetch_has_a_deadline():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(Unavailable) as refused:
            fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/", seconds=0.2)
    assert refused.value.reason == "fetch_timeout"
    assert time.monotonic() - started < 3
    for thread in threading.enumerate():
        if thread.name == "resource-server-fetch":
            thread.join(3)
            assert not thread.is_alive()


def test_keys_are_refreshed_when_the_issuer_has_rotated(issuer):
    authenticate(issuer.token())
    issuer.keys.rotate()
    assert authenticate(issuer.token())


def test_the_key_is_found_by_its_kid_wherever_it_stands(issuer):
    old = issuer.keys.current_kid
    issuer.keys.rotate()
    assert authenticate(issuer.token(kid=old))
    assert authenticate(issuer.token())
    assert reason(issuer.token(kid=old, header={"kid": issuer.keys.current_kid})) == "signature_invalid"


def test_keys_need_no_x5c(issuer):
    assert all("x5c" not in key for key in issuer.keys.jwks()["keys"])
    assert authenticate(issuer.token())


def test_the_address_of_the_keys_is_discovered_not_guessed(issuer):
    issuer.documents["https://issuer.test/.well-known/openid-configuration"] = (
        b'{"issuer": "https://issuer.test/", "jwks_uri": "https://issuer.test/elsewhere"}'
    )
    with pytest.raises(Unavailable):
        authenticate(issuer.token())
    assert issuer.fetched[-1] == "https://issuer.test/elsewhere"


# Token


def test_the_issuer_is_compared_with_its_slash(issuer):
    assert authenticate(issuer.token())
    assert reason(issuer.token(iss="https://issuer.test")) == "issuer_not_trusted"
    assert reason(issuer.token(iss="issuer.test")) == "issuer_not_trusted"


def test_an_audience_is_compulsory(issuer):
    assert reason(issuer.token(aud=None)) == "aud_missing"
    assert reason(issuer.token(aud="https://other.test/")) == "audience_not_accepted"


def test_an_end_is_compulsory(issuer):
    assert reason(issuer.token(exp=None)) == "exp_missing"


def test_an_id_token_does_not_pass(issuer):
    assert reason(issuer.token(header={"typ": "JWT"})) == "typ_not_accepted"
    with override_settings(RESOURCE_SERVER=issuer.settings(TOKEN_TYPE="JWT")):
        assert reason(issuer.token(header={"typ": "JWT"}, nonce="n")) == "not_an_access_token"


def test_nothing_of_a_payload_is_believed_before_its_signature(issuer):
    token = FakeIssuer().token(scope="example:scope", header={"kid": issuer.keys.current_kid})
    assert reason(token) == "signature_invalid"
    assert answer(token).status_code == 401


@pytest.mark.parametrize("member", ["crit", "b64", "zip"])
def test_extensions_of_the_header_are_refused(issuer, member):
    assert reason(issuer.token(header={member: ["x"]})) == "header_not_supported"


def test_a_member_that_stands_twice_is_refused(issuer):
    claims = issuer.keys.sign(b'{"iss":"https://issuer.test/","iss":"https://issuer.test/"}')
    assert reason(claims) == "payload_malformed"


def test_the_size_is_limited(issuer):
    assert reason(issuer.token(padding="x" * 16384)) == "token_too_large"
    assert issuer.fetched == []


def test_a_token_that_is_bound_to_a_key_is_no_bearer_token(issuer):
    assert reason(issuer.token(cnf={"jkt": "thumbprint"})) == "proof_not_supported"


# Header


def test_no_header_is_no_500(issuer):
    assert answer().status_code == 401


def test_another_scheme_is_not_ours(issuer):
    assert authenticate(issuer.token(), scheme="Token") is None


@pytest.mark.parametrize("scheme", ["JWT", "Token", "Basic", "DPoP", "bearer2"])
@pytest.mark.django_db
def test_scope_forgery_beside_a_session_does_not_pass(issuer, scheme):
    user = User.objects.create_user("ada")
    forged = FakeIssuer().token(scope="example:scope")
    for view in (scoped, PrivateScoped.as_view()):
        assert answer(forged, view=view, user=user, scheme=scheme).status_code in {401, 403}


# Scope


def test_a_missing_scope_is_403(issuer):
    assert answer(issuer.token(scope="other")).status_code == 403


@pytest.mark.parametrize("scope", [None, [], ["other"]], ids=["absent", "empty list", "list"])
def test_an_absent_or_a_listed_scope_is_no_500(issuer, scope):
    assert answer(issuer.token(scope=scope)).status_code == 403
    assert answer(issuer.token(scope=["example:scope"])).status_code == 200


def test_the_decorator_without_api_view_checks_all_the_same(issuer):
    assert answer().status_code == 401
    assert answer(FakeIssuer().token(scope="example:scope")).status_code == 401
    assert answer(issuer.token(scope="example:scope")).content == b"in"


# Answers


def test_refusals_are_json_and_have_an_error_code(issuer):
    for view in (scoped, Private.as_view()):
        response = answer("x", view=view)
        assert response["Content-Type"] == "application/json"
        assert 'error="invalid_token"' in response["WWW-Authenticate"]


def test_a_missing_user_is_not_called_an_invalid_signature(issuer, db):
    with override_settings(RESOURCE_SERVER=issuer.settings(USERS="lookup")):
        response = answer(issuer.token(), view=Private.as_view())
    assert response.data["detail"] == "no user is known for this subject"


@pytest.mark.parametrize("view", [Private, SessionFirst])
def test_the_order_of_the_classes_does_not_decide_between_401_and_403(issuer, view):
    assert answer(view=view.as_view()).status_code == 401
    assert answer("x", view=view.as_view()).status_code == 401


def test_an_outage_of_the_issuer_is_not_the_callers_fault(issuer):
    issuer.failure = "fetch_failed"
    for view in (scoped, Private.as_view()):
        response = answer(issuer.token(), view=view)
        assert (response.status_code, "Retry-After" in response) == (503, True)


# Users


def test_users_need_not_be_made_by_hand(issuer):
    assert isinstance(authenticate(issuer.token())[0], TokenUser)


def test_a_bar_and_a_dot_are_two_people(issuer, db):
    with override_settings(RESOURCE_SERVER=issuer.settings(USERS="provision")):
        assert authenticate(issuer.token(sub="a|b"))[0] != authenticate(issuer.token(sub="a.b"))[0]


def test_an_inactive_user_stays_refused_and_a_token_makes_no_staff(issuer, db):
    with override_settings(RESOURCE_SERVER=issuer.settings(USERS="provision")):
        user, _token = authenticate(issuer.token(is_staff=True))
        assert not user.is_staff
        User.objects.update(is_active=False)
        assert reason(issuer.token(is_active=True)) == "user_inactive"


def test_the_raw_token_is_not_kept(issuer):
    raw = issuer.token()
    user, token = authenticate(raw)
    assert raw not in repr((user, token, token.claims, vars(user)))
    assert not any(raw == getattr(token, name, None) for name in dir(token))


# Project


def test_no_secret_and_no_debug_is_committed():
    settings = (EXAMPLE / "mysite" / "settings.py").read_text(encoding="utf-8")
    assert 'SECRET_KEY = env("SECRET_KEY")' in settings
    assert "DEBUG = True" not in settings
