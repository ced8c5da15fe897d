"""Views of every kind give the same answers, to the letter of the challenge."""

import pytest
from tests.edges.views import GUARDED, PLAIN, REST, url

from resource_server.testing import FakeIssuer

BARE = 'Bearer realm="api"'
ANONYMOUS = f'{BARE}, scope="read"'
LACKS = f'{BARE}, error="insufficient_scope", error_description="access token lacks a scope: read", scope="read"'

guarded = pytest.mark.parametrize("view", GUARDED)


def assert_refused(response, status, challenge, reason):
    assert response.status_code == status
    assert response.headers.get("WWW-Authenticate") == challenge
    assert response["Content-Type"] == "application/json"
    assert response.json().get("reason", "credentials_missing") == reason


@guarded
@pytest.mark.parametrize("header", [None, "", " ", "Basic", "Token abc", "DPoP abc", "\xff\xfe"])
def test_without_bearer_credentials_the_challenge_has_the_scope_and_no_error(get, view, header):
    response = get(url(view), header)

    assert_refused(response, 401, ANONYMOUS, "credentials_missing")


@guarded
@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("Bearer", "credentials_malformed"),
        ("Bearer ", "credentials_malformed"),
        ("bearer\tabc", "credentials_malformed"),
        ("Bearer a b", "credentials_malformed"),
        ("Bearer \xff", "credentials_malformed"),
        ("Bearer invalidToken", "token_malformed"),
        ("BEARER a.b.c", "token_malformed"),
    ],
)
def test_malformed_credentials_are_401(get, view, header, reason):
    response = get(url(view), header)

    assert response["WWW-Authenticate"].startswith(f'{BARE}, error="invalid_token", error_description="')
    assert_refused(response, 401, response["WWW-Authenticate"], reason)


@guarded
def test_two_tokens_are_400(get, issuer, view):
    response = get(url(view), f"Bearer {issuer.token()},Bearer {issuer.token()}")

    assert response.json()["error"] == "invalid_request"
    assert_refused(response, 400, response["WWW-Authenticate"], "credentials_repeated")


@guarded
def test_a_forged_token_is_401(get, issuer, view):
    stranger = FakeIssuer(algorithm="ES256")
    token = stranger.token(scope="read", header={"kid": issuer.keys.current_kid})

    challenge = f'{BARE}, error="invalid_token", error_description="signature is not valid"'
    assert_refused(get(url(view), f"Bearer {token}"), 401, challenge, "signature_invalid")


@guarded
@pytest.mark.parametrize("scope", [None, "", "other", "rea read2", "READ", ["other"], ["x read"]])
def test_without_the_scope_it_is_403_and_names_it(get, issuer, view, scope):
    assert_refused(get(url(view), f"Bearer {issuer.token(scope=scope)}"), 403, LACKS, "scope_missing")


@guarded
@pytest.mark.parametrize("scope", ["read", "a read b", ["a", "read"]])
def test_with_the_scope_the_view_answers(get, issuer, view, scope):
    response = get(url(view), f"Bearer {issuer.token(scope=scope)}")

    assert (response.status_code, response.json()) == (200, {"user": "auth0|ada", "token": "auth0|ada"})
    assert not response.cookies


@guarded
@pytest.mark.django_db
def test_a_session_has_no_scopes(get, view, django_user_model):
    user = django_user_model.objects.create_superuser("root")
    response = get(url(view), user=user)

    if view in REST:
        assert_refused(response, 403, response["WWW-Authenticate"], "token_missing")
        assert 'scope="read"' in response["WWW-Authenticate"]
    else:
        assert_refused(response, 401, ANONYMOUS, "credentials_missing")


@guarded
@pytest.mark.parametrize("scheme", ["Bearer", "JWT", "Token", "DPoP", "bearer\t"])
@pytest.mark.django_db
def test_a_session_with_a_forged_token_never_passes(get, view, django_user_model, scheme):
    user = django_user_model.objects.create_user("ada")
    response = get(url(view), f"{scheme} {FakeIssuer(algorithm='ES256').token(scope='read')}", user=user)

    assert response.status_code in {401, 403}


@guarded
def test_an_issuer_that_is_down_is_not_the_callers_fault(get, issuer, view):
    issuer.failure = "fetch_failed"
    response = get(url(view), f"Bearer {issuer.token(scope='read')}")

    assert_refused(response, 503, None, "fetch_failed")
    assert int(response["Retry-After"]) >= 1


@guarded
def test_a_known_key_outlives_its_issuer(get, issuer, view):
    assert get(url(view), f"Bearer {issuer.token(scope='read')}").status_code == 200
    issuer.failure = "fetch_failed"

    assert get(url(view), f"Bearer {issuer.token(scope='read')}").status_code == 200


@guarded
def test_wrong_settings_are_503_and_tell_the_caller_nothing(get, issuer, settings, view):
    token = issuer.token(scope="read")
    settings.RESOURCE_SERVER = {"ISSUER": "no-scheme.example", "AUDIENCE": "secret-audience"}
    response = get(url(view), f"Bearer {token}")

    assert_refused(response, 503, None, "settings_invalid")
    assert "secret-audience" not in response.text
    assert "Traceback" not in response.text


@pytest.mark.parametrize("view", PLAIN)
def test_caches_are_told_that_plain_answers_vary(get, issuer, view):
    assert "Authorization" in get(url(view))["Vary"]
    assert "Authorization" in get(url(view), f"Bearer {issuer.token(scope='read')}")["Vary"]


@pytest.mark.parametrize(("scope", "status"), [("read write", 200), ("read", 403), ("write", 403), (None, 403)])
def test_requires_scope_demands_all(get, issuer, scope, status):
    response = get("/both", f"Bearer {issuer.token(scope=scope)}")

    assert response.status_code == status
    if scope == "read":
        assert 'description="access token lacks a scope: write"' in response["WWW-Authenticate"]
        assert response["WWW-Authenticate"].endswith(', scope="read write"')


@pytest.mark.parametrize(("scope", "status"), [("read", 200), ("write", 200), ("other", 403), (None, 403)])
def test_requires_any_scope_demands_one(get, issuer, scope, status):
    response = get("/either", f"Bearer {issuer.token(scope=scope)}")

    assert response.status_code == status
    if status == 403:
        assert response.json()["reason"] == "scope_missing_any"


def test_a_view_that_decorates_as_view_leaves_the_class_unguarded(get, issuer):
    assert get("/unguarded", f"Bearer {issuer.token()}").status_code == 200


def test_a_bad_credential_is_never_taken_for_none(get, issuer):
    assert get("/anyone").status_code == 200
    assert get("/anyone", "Bearer x").status_code == 401
    assert get("/anyone", f"Bearer {FakeIssuer(algorithm='ES256').token()}").status_code == 401


def test_a_rest_view_without_our_class_refuses_loudly(get, issuer, caplog):
    response = get("/without-authentication", f"Bearer {issuer.token(scope='read')}")

    assert_refused(response, 403, response["WWW-Authenticate"], "token_missing")
    assert [record.levelname for record in caplog.records if "reads access tokens" in record.message] == ["ERROR"]
