"""Cache-Control and the body of answers: no-store on a refusal, private on what a token opened, problem details."""

import pytest
from django.http import HttpResponse, JsonResponse
from django.test import Client, RequestFactory
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import cache_control, cache_page, never_cache
from ninja import NinjaAPI
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView, exception_handler
from tests.edges import views
from tests.edges.views import GUARDED, REST, url

from resource_server import error_response, requires_scope
from resource_server.challenge import problem_details
from resource_server.drf import AccessTokenAuthentication, AuthorizationFailed, RequiresScope, require
from resource_server.errors import InvalidToken
from resource_server.ninja import AccessToken, AccessTokenAPI
from resource_server.reasons import TokenReason
from resource_server.requirements import Scopes

guarded = pytest.mark.parametrize("view", GUARDED)


@requires_scope("read")
def fails(request, status):
    return JsonResponse({}, status=status)


class Rest(APIView):
    authentication_classes = [AccessTokenAuthentication]
    permission_classes = [IsAuthenticated]

    def get(self, request, status=200):
        return Response({}, status=status)

    def post(self, request, status=200):
        raise ValidationError({"name": ["is missing"], "detail": ["is missing"]})


class SaysOtherwise(Rest):
    def get(self, request):
        return Response({}, headers={"Cache-Control": "max-age=60"})


class Open(Rest):
    permission_classes = [AllowAny]


class OfSessions(Rest):
    authentication_classes = [SessionAuthentication]
    permission_classes = [RequiresScope("read")]


class Browsable(Rest):
    renderer_classes = [BrowsableAPIRenderer, JSONRenderer]


class Own405(View):
    @requires_scope("read")
    def get(self, request):
        return HttpResponse()

    def http_method_not_allowed(self, request):
        return HttpResponse(status=405, headers={"Cache-Control": "max-age=5"})


class OwnAsync405(View):
    @requires_scope("read")
    async def get(self, request):
        return HttpResponse()

    async def http_method_not_allowed(self, request):
        return HttpResponse(status=405, headers={"Cache-Control": "max-age=5"})


@method_decorator(requires_scope("read"), name="get")
class ByDecorator(View):
    def get(self, request):
        return HttpResponse()


@method_decorator(requires_scope("read"), name="dispatch")
class OnDispatch(View):
    def get(self, request):
        return HttpResponse()


plain_ninja = NinjaAPI(auth=AccessToken("read"), urls_namespace="headers-plain")
our_ninja = AccessTokenAPI(auth=AccessToken("read"), urls_namespace="headers-ours")


@our_ninja.get("/our-ninja")
@plain_ninja.get("/plain-ninja")
def operation(request):
    return {}


@our_ninja.get("/our-async-ninja")
async def async_operation(request):
    return {}


read = requires_scope("read")
urlpatterns = [
    path("by-decorator", ByDecorator.as_view()),
    path("on-dispatch", OnDispatch.as_view()),
    path("", plain_ninja.urls),
    path("", our_ninja.urls),
    path("own-405", Own405.as_view()),
    path("own-async-405", OwnAsync405.as_view()),
    *views.urlpatterns,
    path("fails/<int:status>", fails),
    path("rest-fails/<int:status>", Rest.as_view()),
    path("rest-says-otherwise", SaysOtherwise.as_view()),
    path("rest-open", Open.as_view()),
    path("of-sessions", OfSessions.as_view()),
    path("browsable", Browsable.as_view()),
    path("says-otherwise", read(cache_control(public=True, max_age=60)(lambda request: HttpResponse()))),
    path("says-never", read(never_cache(lambda request: HttpResponse()))),
    path("cached-below", read(cache_page(60)(lambda request: HttpResponse()))),
    path("who", lambda request: HttpResponse(status=int(request.GET.get("status", "200")))),
]


@pytest.fixture(autouse=True)
def _routes(issuer, settings):
    settings.ROOT_URLCONF = __name__


@guarded
def test_what_a_token_opened_is_private(get, issuer, view):
    assert get(url(view), f"Bearer {issuer.token(scope='read')}")["Cache-Control"] == "private"


@guarded
def test_a_refusal_is_not_stored(get, issuer, view):
    for header in (None, "Bearer x", f"Bearer {issuer.token()}"):
        response = get(url(view), header)
        assert response.status_code in {401, 403}
        assert response["Cache-Control"] == "no-store"


@guarded
def test_no_verdict_is_not_stored(get, issuer, view):
    issuer.failure = "fetch_failed"
    response = get(url(view), f"Bearer {issuer.token(scope='read')}")

    assert (response.status_code, response["Cache-Control"]) == (503, "no-store")


@pytest.mark.parametrize(
    ("status", "value"),
    [(200, "private"), (404, "private"), (409, "private"), (500, "private")]
    + [(status, "no-store") for status in (401, 403, 405, 503)],
)
@pytest.mark.parametrize("name", ["fails", "rest-fails"])
def test_the_status_of_the_view_decides(get, issuer, name, status, value):
    response = get(f"/{name}/{status}", f"Bearer {issuer.token(scope='read')}")

    assert (response.status_code, response["Cache-Control"]) == (status, value)


@pytest.mark.parametrize("view", [name for name in REST if "async" not in name])
def test_a_method_that_a_view_lacks_is_not_stored(client, issuer, view):
    response = client.delete(url(view), headers={"Authorization": f"Bearer {issuer.token(scope='read')}"})

    assert (response.status_code, response["Cache-Control"]) == (405, "no-store")


@pytest.mark.parametrize("view", ["method", "async method", "own 405", "own async 405"])
def test_a_method_beside_a_guarded_one_is_not_stored(get, client, issuer, view):
    for authorization in ({}, {"Authorization": f"Bearer {issuer.token(scope='read')}"}):
        response = client.delete(url(view), headers=authorization)
        stored = "max-age=5" if "own" in view else "no-store"
        assert (response.status_code, response["Cache-Control"]) == (405, stored)
    assert "Cache-Control" not in client.options(url(view))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rest-says-otherwise", "max-age=60"),
        ("says-otherwise", "public, max-age=60"),
        ("says-never", "max-age=0, no-cache, no-store, must-revalidate, private"),
        ("cached-below", "max-age=60"),
    ],
)
def test_a_view_may_say_otherwise(get, issuer, name, value):
    response = get(f"/{name}", f"Bearer {issuer.token(scope='read')}")

    assert (response.status_code, response["Cache-Control"]) == (200, value)


def test_what_no_token_opened_is_left_as_it_is(get, issuer):
    assert "Cache-Control" not in get("/rest-open")
    assert get("/rest-open", f"Bearer {issuer.token()}")["Cache-Control"] == "private"


def test_a_view_without_our_class_refuses_without_being_stored(get, issuer):
    response = get("/of-sessions", f"Bearer {issuer.token(scope='read')}")

    assert (response.status_code, response["Cache-Control"]) == (401, "no-store")


def test_behind_the_middleware_a_token_makes_any_answer_private(get, issuer, settings):
    settings.MIDDLEWARE = ["resource_server.middleware.AccessTokenMiddleware"]
    token = f"Bearer {issuer.token()}"

    assert "Cache-Control" not in get("/who")
    assert get("/who", token)["Cache-Control"] == "private"
    assert get("/who?status=405", token)["Cache-Control"] == "no-store"
    assert get("/who", "Bearer x")["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["who?status=405", "by-decorator", "plain-ninja"])
def test_behind_the_middleware_no_refusal_of_any_view_is_stored(client, issuer, settings, name):
    """The 405 of these views comes before any guard."""
    headers = {"Authorization": f"Bearer {issuer.token(scope='read')}"}
    for sent in ({}, headers):
        assert client.delete(f"/{name}", headers=sent).status_code == 405
        assert "Cache-Control" not in client.delete(f"/{name}", headers=sent)
    settings.MIDDLEWARE = ["resource_server.middleware.AccessTokenMiddleware"]
    for sent in ({}, headers):
        assert Client().delete(f"/{name}", headers=sent)["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["on-dispatch", "our-ninja", "our-async-ninja"])
def test_there_are_ways_without_the_middleware(client, issuer, name):
    for sent in ({}, {"Authorization": f"Bearer {issuer.token(scope='read')}"}):
        answer = client.delete(f"/{name}", headers=sent)
        assert answer.status_code in {401, 405}
        assert answer["Cache-Control"] == "no-store"
    assert answer.status_code == 405


def test_behind_the_middleware_a_refusal_keeps_its_own(client, issuer, settings):
    settings.MIDDLEWARE = ["resource_server.middleware.AccessTokenMiddleware"]
    assert client.delete("/own-405")["Cache-Control"] == "max-age=5"


PROBLEM = "application/problem+json"


@pytest.fixture
def problems(issuer, settings):
    settings.RESOURCE_SERVER = issuer.settings(PROBLEM_DETAILS=True)


@guarded
def test_refusals_are_problem_details_if_the_settings_say_so(get, issuer, problems, view):
    response = get(url(view), f"Bearer {issuer.token()}")

    assert (response.status_code, response["Content-Type"]) == (403, PROBLEM)
    assert {**response.json()} == {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "detail": "access token lacks a scope: read",
        "reason": "scope_missing",
        "error": "insufficient_scope",
    }
    bad = get(url(view), "Bearer x")
    assert (bad["Content-Type"], bad.json()["title"], bad.json()["status"]) == (PROBLEM, "Unauthorized", 401)
    assert bad["WWW-Authenticate"].startswith('Bearer realm="api", error="invalid_token"')
    none = get(url(view))
    assert (none["Content-Type"], none.json()["status"], none["Cache-Control"]) == (PROBLEM, 401, "no-store")


@pytest.mark.parametrize(("status", "title"), [(409, "Conflict"), (499, None), (599, None)])
def test_a_status_that_nobody_has_registered_has_no_title(status, title):
    detail = {"detail": "no", "status": "pending", "type": "own"}
    found = problem_details(status, detail)
    assert (found["status"], found["type"], found["detail"], found.get("title")) == (status, "about:blank", "no", title)


def test_other_answers_keep_their_form(get, client, issuer, problems):
    token = f"Bearer {issuer.token(scope='read')}"

    assert get("/rest-fails/404", token)["Content-Type"] == "application/json"
    invalid = client.post("/rest-fails/200", headers={"Authorization": token})
    assert (invalid.status_code, invalid["Content-Type"]) == (400, "application/json")
    # A serializer may have a field of this name.
    assert invalid.json() == {"name": ["is missing"], "detail": ["is missing"]}
    page = client.get("/browsable", headers={"Accept": "text/html"})
    assert (page.status_code, page["Content-Type"]) == (401, "text/html; charset=utf-8")
    assert "about:blank" not in page.text


def own_handler(exception, context):
    return Response({"detail": "in its own words", "own": exception.detail}, status=exception.status_code)


def test_a_handler_of_the_project_decides_by_itself(get, issuer, problems, monkeypatch):
    monkeypatch.setattr(api_settings, "EXCEPTION_HANDLER", own_handler, raising=False)
    response = get(url("rest class"), f"Bearer {issuer.token()}")

    assert (response.status_code, response["Content-Type"]) == (403, "application/json")
    assert response.json() == {
        "detail": "in its own words",
        "own": {
            "detail": "access token lacks a scope: read",
            "reason": "scope_missing",
            "error": "insufficient_scope",
        },
    }
    assert response["Cache-Control"] == "no-store"


def test_a_handler_may_answer_without_rest_framework(get, issuer, problems, monkeypatch):
    monkeypatch.setattr(
        api_settings, "EXCEPTION_HANDLER", lambda exc, context: JsonResponse({}, status=401), raising=False
    )
    response = get(url("rest class"))

    assert (response.status_code, response["Content-Type"], response.json()) == (401, "application/json", {})
    assert (response["Cache-Control"], "WWW-Authenticate" in response) == ("no-store", True)


# The others are refused before REST framework sees the request.
HANDLED = sorted(
    {*REST} - {"rest function, decorated outside", "async rest function, decorated outside", "rest as_view, decorated"}
)


@pytest.mark.parametrize("view", HANDLED)
@pytest.mark.parametrize("case", ["no credentials", "a bad token", "too little", "no verdict"])
def test_a_handler_that_drops_the_headers_drops_no_challenge(get, issuer, monkeypatch, view, case):
    """Reported to better-auth in #10039: errors that are built anew lose what a client needs to go on."""
    if case == "no verdict":
        issuer.failure = "fetch_failed"
    header = {
        "no credentials": None,
        "a bad token": "Bearer invalid",
        "too little": f"Bearer {issuer.token()}",
        "no verdict": f"Bearer {issuer.token()}",
    }[case]
    names = ("WWW-Authenticate", "Cache-Control")
    usual = get(url(view), header)
    monkeypatch.setattr(api_settings, "EXCEPTION_HANDLER", own_handler, raising=False)
    own = get(url(view), header)

    assert own.json()["detail"] == "in its own words"
    assert own.status_code == usual.status_code
    assert [own.headers.get(name) for name in names] == [usual.headers.get(name) for name in names]
    assert ("Retry-After" in own.headers) == ("Retry-After" in usual.headers) == (case == "no verdict")
    assert ("WWW-Authenticate" in own.headers) == (case != "no verdict")


class Catches(APIView):
    """Catches a refusal, and answers with one of its own or with that refusal."""

    authentication_classes = [AccessTokenAuthentication]
    permission_classes = []

    def get(self, request, raises):
        try:
            require(request, Scopes("admin"))
        except AuthorizationFailed as first:
            if raises == "another refusal":
                require(request, Scopes("other"))
            try:
                require(request, Scopes("other"))
            except AuthorizationFailed:
                raise first if raises == "the first refusal" else PermissionDenied("locked") from first


@api_view()
@authentication_classes([AccessTokenAuthentication])
@permission_classes([])
def catches(request, raises):
    return Catches().get(request, raises)


@api_view()
@authentication_classes([AccessTokenAuthentication])
@permission_classes([])
def nests(request, raises):
    """Calls a view that refuses, and answers by itself."""
    Catches.as_view()(request._request, raises="the first refusal")
    raise PermissionDenied("locked")


@pytest.mark.parametrize("handler", [exception_handler, own_handler])
@pytest.mark.parametrize(
    ("view", "raises", "scope"),
    [
        ("class", "its own", None),
        ("class", "another refusal", "other"),
        ("class", "the first refusal", "admin"),
        ("function", "its own", None),
        ("function", "the first refusal", "admin"),
        ("nested", "its own", None),
    ],
)
def test_a_refusal_that_the_view_catches_leaves_no_challenge(issuer, monkeypatch, handler, view, raises, scope):
    monkeypatch.setattr(api_settings, "EXCEPTION_HANDLER", handler, raising=False)
    request = RequestFactory().get("/", headers={"Authorization": f"Bearer {issuer.token(scope='read')}"})
    answer = {"class": Catches.as_view(), "function": catches, "nested": nests}[view](request, raises=raises)

    assert answer.status_code == 403
    challenge = answer.headers.get("WWW-Authenticate")
    assert challenge is None if scope is None else challenge.endswith(f'scope="{scope}"')


class TriesAnother(AccessTokenAuthentication):
    """Leaves any credentials that are refused to the other classes."""

    def authenticate(self, request):
        try:
            return super().authenticate(request)
        except AuthorizationFailed:
            return None


@pytest.mark.parametrize(("header", "status"), [("Bearer a, Bearer b", 400), ("Bearer invalid", 401)])
def test_credentials_that_a_class_leaves_to_others_cost_no_other_answer(issuer, header, status):
    """A 400 of the view is about its own fields. A 401 keeps the challenge, because the credentials were refused."""
    classes = {"authentication_classes": [TriesAnother]}
    kept = {"permission_classes": [AllowAny if status == 400 else IsAuthenticated]}
    answer = Rest.as_view(**classes, **kept)(RequestFactory().post("/", headers={"Authorization": header}))

    assert answer.status_code == status
    assert ("WWW-Authenticate" in answer.headers) is (status == 401)


def test_a_handler_with_another_status_gets_no_challenge(get, issuer, monkeypatch):
    monkeypatch.setattr(api_settings, "EXCEPTION_HANDLER", lambda exc, context: Response({}, status=404), raising=False)
    response = get(url("rest class"), f"Bearer {issuer.token()}")
    assert (response.status_code, response.headers.get("WWW-Authenticate")) == (404, None)


def test_error_response_is_public(issuer, problems):
    response = error_response(InvalidToken(TokenReason.TOKEN_EXPIRED), RequestFactory().get("/"))

    assert (response["Content-Type"], response["Cache-Control"]) == (PROBLEM, "no-store")
    assert response["Vary"] == "Authorization"
    assert response["WWW-Authenticate"].startswith('Bearer realm="api", error="invalid_token"')
