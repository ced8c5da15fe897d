"""What is django-ninja's own: lists of authentications, routers, plain APIs, its OpenAPI document."""

import asyncio

import pytest
from django.test import AsyncClient, Client
from django.urls import include, path
from ninja import NinjaAPI, Router
from ninja.errors import HttpError
from ninja.security import APIKeyHeader, django_auth
from openapi_spec_validator import validate

from resource_server.authentication import aauthorize, authorize
from resource_server.errors import InsufficientScope
from resource_server.ninja import AccessRefused, AccessToken, AccessTokenAPI
from resource_server.requirements import Organisation, Roles, Scopes
from resource_server.signals import token_rejected
from resource_server.testing import FakeIssuer

BARE = 'Bearer realm="api"'


class Key(APIKeyHeader):
    param_name = "X-Key"

    def authenticate(self, request, key):
        return "by key" if key == "good" else None


api = AccessTokenAPI(auth=AccessToken(), urls_namespace="full")
router = Router(auth=AccessToken("router"))


@api.get("/any")
def anything(request):
    return {"auth": request.auth.subject, "user": request.user.get_username()}


@api.get("/open", auth=None)
def open_to_all(request):
    return {}


@api.get("/key-or-token", auth=[Key(), AccessToken("read")])
def key_or_token(request):
    return {"auth": str(getattr(request.auth, "subject", request.auth))}


@api.get("/async-token-or-key", auth=[AccessToken("read"), Key()])
async def token_or_key(request):
    return {"auth": str(getattr(request.auth, "subject", request.auth))}


@api.get("/token-or-key", auth=[AccessToken("read"), Key()])
def token_before_key(request):
    return {"auth": str(getattr(request.auth, "subject", request.auth))}


@api.get("/two-tokens", auth=[Key(), AccessToken("read"), AccessToken("admin")])
def two_tokens(request):
    return {}


@api.get("/session-or-token", auth=[django_auth, AccessToken("read")])
def session_or_token(request):
    return {"auth": str(getattr(request.auth, "subject", request.auth))}


@api.post("/session-or-token", auth=[django_auth, AccessToken("read")])
def change(request):
    return {}


@router.get("/inherited")
def inherited(request):
    return {}


@router.post("/own", auth=AccessToken((Roles("r") & Scopes("a")) | Scopes("b")), description="Its own.")
def own_right(request):
    """Does a thing."""
    return {}


PER_METHOD = AccessToken({"GET": "a", "POST": "b"})


@router.get("/methods", auth=PER_METHOD)
def read(request):
    return {}


@router.post("/methods", auth=PER_METHOD)
def write(request):
    return {}


@router.get("/org/{org}", auth=AccessToken(Organisation(argument="org")))
def organisation(request, org: str):
    return {}


api.add_router("/r", router)
bare = NinjaAPI(auth=AccessToken("read"), urls_namespace="bare")
ours = AccessTokenAPI(auth=AccessToken("read"), urls_namespace="ours")
own = NinjaAPI(auth=AccessToken("read"), urls_namespace="own")


@own.exception_handler(HttpError)
def own_answer(request, error):
    return own.create_response(request, {"own": True}, status=error.status_code)


@own.exception_handler(Exception)
def caught(request, error):
    return own.create_response(request, {"caught": type(error).__name__}, status=418)


for each in (bare, ours, own):

    @each.get("/any")
    def plain_anything(request):
        return {}

    @each.get("/async-/any")
    async def async_anything(request):
        return {}

    @each.get("/inside")
    def inside(request):
        authorize(request, Scopes("other"))

    @each.get("/async-/inside")
    async def async_inside(request):
        await aauthorize(request, Scopes("other"))

    @each.get("/key", auth=Key())
    def by_key(request):
        return {}


urlpatterns = [
    path("api/", api.urls),
    *(path(f"{each.urls_namespace}/", each.urls) for each in (bare, ours, own)),
    path("", include("resource_server.urls")),
]


@pytest.fixture
def issuer(settings):
    issuer = FakeIssuer(algorithm="ES256")
    settings.ROOT_URLCONF = __name__
    settings.RESOURCE_SERVER = issuer.settings()
    with issuer.serving():
        yield issuer


def get(url, token=None, method="get", client=None, **headers):
    sent = {**headers, **({} if token is None else {"Authorization": f"Bearer {token}"})}
    return getattr(client or Client(), method)(url, headers=sent)


def test_the_operation_sees_token_and_user(issuer):
    response = get("/api/any", issuer.token())

    assert response.json() == {"auth": "auth0|ada", "user": "auth0|ada"}
    assert response["Vary"] == "Authorization"
    assert get("/api/open").status_code == 200


@pytest.mark.parametrize("url", ["/api/key-or-token", "/api/token-or-key", "/api/async-token-or-key"])
def test_another_authentication_in_the_list_decides_for_its_own(issuer, url):
    assert get(url, **{"X-Key": "good"}).json() == {"auth": "by key"}
    assert get(url, issuer.token(scope="read")).json() == {"auth": "auth0|ada"}
    refused = get(url, **{"X-Key": "bad"})
    assert (refused.status_code, refused["WWW-Authenticate"], refused.json()["reason"]) == (
        401,
        f'{BARE}, scope="read"',
        "credentials_missing",
    )
    forged = FakeIssuer(algorithm="ES256").token(scope="read")
    assert get(url, forged).status_code == 401
    assert get(url, issuer.token()).json()["reason"] == "scope_missing"


def test_of_two_access_tokens_the_first_is_enforced_and_described(issuer, settings):
    settings.RESOURCE_SERVER = issuer.settings(RESOURCE="https://api.test", PUBLIC_ORIGIN="https://api.test")

    for scope, status in (("read", 200), ("admin", 403)):
        answer = Client().get("/api/two-tokens", headers={"Authorization": f"Bearer {issuer.token(scope=scope)}"})
        assert answer.status_code == status
    assert 'scope="read"' in answer["WWW-Authenticate"]
    assert 'scope="read"' in Client().get("/api/two-tokens")["WWW-Authenticate"]
    operation = Client().get("/api/openapi.json").json()["paths"]["/api/two-tokens"]["get"]
    assert operation["description"] == "Access: scope `read`."
    assert operation["security"] == [{"AccessToken": ["read"]}, {"Key": []}]
    supported = Client().get("/.well-known/oauth-protected-resource").json()["scopes_supported"]
    assert ("read" in supported, "admin" in supported) == (True, False)


def test_a_session_and_a_token_do_not_dodge_csrf(issuer, db, django_user_model):
    client = Client(enforce_csrf_checks=True)
    client.force_login(django_user_model.objects.create_user("ada"))

    assert get("/api/session-or-token", client=client).json() == {"auth": "ada"}
    assert get("/api/session-or-token", client=client, method="post").status_code == 403
    assert get("/api/session-or-token", "forged", client=client, method="post").status_code == 403
    assert get("/api/session-or-token", issuer.token(scope="read"), method="post").status_code == 200


def test_no_refusal_is_reported_for_another_credential(issuer):
    seen = []

    def receive(error, **_):
        seen.append(error.reason)

    token_rejected.connect(receive)
    try:
        get("/api/async-token-or-key", **{"X-Key": "good"})
        assert seen == []
        get("/api/async-token-or-key")
        assert seen == ["credentials_missing"]
    finally:
        token_rejected.disconnect(receive)


def test_api_router_and_operation_have_their_own(issuer):
    assert get("/api/r/inherited", issuer.token()).status_code == 403
    assert get("/api/r/inherited", issuer.token(scope="router")).status_code == 200
    assert get("/api/r/own", issuer.token(scope="router"), "post").status_code == 403
    assert get("/api/r/own", issuer.token(scope="b"), "post").status_code == 200
    assert get("/api/r/methods", issuer.token(scope="a")).status_code == 200
    assert get("/api/r/methods", issuer.token(scope="a"), "post").status_code == 403
    assert get("/api/r/org/x", issuer.token(org_id="x")).status_code == 200
    assert get("/api/r/org/y", issuer.token(org_id="x")).status_code == 403


def test_head_and_options_do_not_slip_past(issuer):
    for method in ("head", "options"):
        assert get("/api/any", method=method).status_code == 405


def refusals(prefix, issuer):
    """The answers to a request without a token, with a bad one, with a small one, and without a verdict."""
    requests = [("/any", None), ("/any", "x"), ("/any", issuer.token()), ("/inside", issuer.token(scope="read"))]
    answers = [get(f"{prefix}{url}", token) for url, token in requests]
    issuer.failure = "fetch_failed"
    answers.append(get(f"{prefix}/any", FakeIssuer(issuer.issuer, algorithm="ES256").token(scope="read")))
    issuer.failure = None
    return answers


@pytest.mark.parametrize("kind", ["", "/async-"])
def test_a_plain_api_answers_as_ours(issuer, kind):
    plain, ours = (refusals(f"/{name}{kind}", issuer) for name in ("bare", "ours"))
    for answer, expected in zip(plain, ours, strict=True):
        assert (answer.status_code, answer.json()) == (expected.status_code, expected.json())
        for header in ("WWW-Authenticate", "Cache-Control", "Content-Type", "Vary"):
            assert answer.headers.get(header) == expected.headers.get(header)
    assert [answer.status_code for answer in plain] == [401, 401, 403, 403, 503]
    assert plain[0]["WWW-Authenticate"] == f'{BARE}, scope="read"'
    assert plain[4].has_header("Retry-After")


def test_a_plain_api_answers_other_authentications_as_before(issuer):
    for _ in range(2):
        refused = get("/bare/key")
        assert (refused.status_code, refused.json()) == (401, {"detail": "Unauthorized"})
        assert not refused.has_header("WWW-Authenticate")
        assert get("/bare/any").status_code == 401


def test_handlers_of_the_project_stay(issuer):
    for token, status in ((None, 401), ("x", 401), (issuer.token(), 403)):
        answer = get("/own/any", token)
        assert (answer.status_code, answer.json()["own"]) == (status, True)
        assert not answer.has_header("WWW-Authenticate")
    caught = get("/own/inside", issuer.token(scope="read"))
    assert (caught.status_code, caught.json()) == (418, {"caught": "InsufficientScope"})


def test_the_error_is_kept_on_ninjas(issuer):
    response = get("/api/any", issuer.token())
    request = response.wsgi_request

    with pytest.raises(AccessRefused) as raised:
        AccessToken("other")(request)
    assert isinstance(raised.value.error, InsufficientScope)
    assert (raised.value.status_code, str(raised.value)) == (403, "access token lacks a scope: other")


def test_an_async_operation_fetches_keys_outside_the_event_loop(issuer):
    async def call():
        return await AsyncClient().get(
            "/api/async-token-or-key", headers={"Authorization": f"Bearer {issuer.token(scope='read')}"}
        )

    assert asyncio.run(call()).json() == {"auth": "auth0|ada"}


def test_the_document_names_scopes_words_and_refusals(issuer):
    document = Client().get("/api/openapi.json").json()
    validate(document)
    paths = document["paths"]

    def security(url, method="get"):
        return paths[f"/api{url}"][method].get("security")

    assert security("/any") == [{"AccessToken": []}]
    assert security("/open") is None
    assert security("/key-or-token") == [{"AccessToken": ["read"]}, {"Key": []}]
    assert security("/r/own", "post") == [{"AccessToken": ["a"]}, {"AccessToken": ["b"]}]
    words = "Its own.\n\nAccess: role `r` and scope `a` or scope `b`."
    assert paths["/api/r/own"]["post"]["description"] == words
    assert paths["/api/r/methods"]["get"]["description"] == "Access: scope `a`."
    assert security("/r/methods", "post") == [{"AccessToken": ["b"]}]
    scheme = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    assert document["components"]["securitySchemes"]["AccessToken"] == scheme
    answers = paths["/api/any"]["get"]["responses"]
    assert {status: list(answers[status].get("headers", [])) for status in answers} == {
        "200": [],
        "401": ["WWW-Authenticate"],
        "403": ["WWW-Authenticate"],
        "503": ["Retry-After"],
    }
    assert list(paths["/api/open"]["get"]["responses"]) == ["200"]


@pytest.mark.parametrize("problem_details", [False, True])
def test_the_document_describes_the_body_of_a_refusal(issuer, settings, problem_details):
    settings.RESOURCE_SERVER = issuer.settings(PROBLEM_DETAILS=problem_details)
    document = Client().get("/api/openapi.json").json()
    validate(document)
    answers = document["paths"]["/api/any"]["get"]["responses"]

    for token in (None, FakeIssuer(algorithm="ES256").token()):
        response = get("/api/any", token)
        [(media, content)] = answers["401"]["content"].items()
        assert media == response["Content-Type"]
        assert set(content["schema"]["required"]) <= set(response.json())
    assert list(answers["503"]["content"]) == list(answers["403"]["content"]) == [media]
