"""`AccessTokenMiddleware`, and Django's own middlewares beside guards: CSRF, logins, caches."""

import functools

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction, markcoroutinefunction
from django.contrib.auth import get_user_model
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpResponse, JsonResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.test import AsyncClient, Client
from django.urls import path
from django.utils.decorators import method_decorator, sync_and_async_middleware
from django.views import View
from django.views.decorators.cache import cache_page, never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from resource_server import authentication, requires_scope, requires_token, signals
from resource_server.drf import AccessTokenAuthentication, RequiresScope
from resource_server.testing import FakeIssuer

OURS = "resource_server.middleware.AccessTokenMiddleware"
SESSIONS = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
LOGIN = "django.contrib.auth.middleware.LoginRequiredMiddleware"
read = requires_scope("read")


def who(request):
    return JsonResponse({"user": request.user.get_username(), "token": getattr(request, "auth", None) is not None})


async def who_async(request):
    user = await request.auser()
    return JsonResponse({"user": user.get_username(), "token": getattr(request, "auth", None) is not None})


class Mixed(View):
    """One guarded method, beside methods that no guard stands on."""

    def get(self, request):
        return HttpResponse("open")

    @read
    def post(self, request):
        return who(request)

    def put(self, request):
        return HttpResponse("changed")


class MixedAsync(View):
    async def get(self, request):
        return HttpResponse("open")

    @never_cache
    @read
    async def delete(self, request):
        raise AssertionError

    @read
    async def post(self, request):
        return await who_async(request)

    async def put(self, request):
        return HttpResponse("changed")


class MixedWithDispatch(Mixed):
    @read
    def patch(self, request):
        return who(request)

    def dispatch(self, request, *args, **kwargs):
        response = super().dispatch(request, *args, **kwargs)
        response["X-Dispatch"] = "ran"
        return response


class Child(Mixed):
    def post(self, request):
        return HttpResponse("unguarded")


@method_decorator(csrf_protect, name="dispatch")
class Protected(Mixed):
    pass


class Override(View):
    """Chooses the method anew, as forms of browsers need it."""

    @read
    def post(self, request):
        return HttpResponse("posted")

    def delete(self, request):
        return HttpResponse("deleted")

    def dispatch(self, request, *args, **kwargs):
        if "delete" in request.GET:
            request.method = "DELETE"
        return super().dispatch(request, *args, **kwargs)


class Acts(Mixed):
    """Acts before the guarded method is asked, or instead of it."""

    def dispatch(self, request, *args, **kwargs):
        return HttpResponse("acted")


class Copied(Mixed):
    @functools.wraps(Mixed.post)
    def put(self, request):
        return HttpResponse("changed")


class Reads(View):
    def setup(self, request, *args, **kwargs):
        super().setup(request, *args, **kwargs)
        if "setup" in request.GET:
            raise AssertionError("the login comes first")

    def get(self, request):
        return HttpResponse("private")

    @read
    def post(self, request):
        return who(request)


@read
class WholeClass(View):
    def post(self, request):
        return who(request)

    def put(self, request):
        return HttpResponse("changed")


class Logged:
    def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs)


class Below(Logged, WholeClass):
    @requires_scope("write")
    def put(self, request):
        return HttpResponse("changed")


class Rest(APIView):
    authentication_classes = [AccessTokenAuthentication]
    permission_classes = [RequiresScope("read")]

    def get(self, request):
        return Response({"user": request.user.get_username(), "token": request.auth.subject})

    post = get


class RestOfSessions(Rest):
    authentication_classes = [SessionAuthentication, AccessTokenAuthentication]


class RestWithoutOurs(Rest):
    authentication_classes = [SessionAuthentication]
    permission_classes = [IsAuthenticated]

    def get(self, request):
        return Response({"user": request.user.get_username()})


@sync_and_async_middleware
def remote_user(get_response):
    """A server that authenticates browsers, by Kerberos or certificates."""

    def middleware(request):
        request.META["REMOTE_USER"] = "ada"
        return get_response(request)

    return markcoroutinefunction(middleware) if iscoroutinefunction(get_response) else middleware


urlpatterns = [
    path("who", who),
    path("who-async", who_async),
    path("guarded", read(who)),
    path("guarded-async", read(who_async)),
    path("any", requires_token(who)),
    path("mixed", Mixed.as_view()),
    path("mixed-async", MixedAsync.as_view()),
    path("mixed-dispatch", MixedWithDispatch.as_view()),
    path("mixed-exempt", csrf_exempt(Mixed.as_view())),
    path("child", Child.as_view()),
    path("protected", Protected.as_view()),
    path("override", Override.as_view()),
    path("acts", Acts.as_view()),
    path("copied", Copied.as_view()),
    path("reads", Reads.as_view()),
    path("below", Below.as_view()),
    path("rest", Rest.as_view()),
    path("rest-of-sessions", RestOfSessions.as_view()),
    path("rest-without-ours", RestWithoutOurs.as_view()),
    path("cached", cache_page(60)(read(who))),
    path("cached-rest", cache_page(60)(Rest.as_view())),
]


@pytest.fixture(params=["sync", "async"])
def call(request, issuer, settings):
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = [*SESSIONS, OURS]

    def call(method, url, *, scope=None, token=None, user=None, csrf=True):
        headers = {}
        if token is not None or scope is not None:
            headers["Authorization"] = f"Bearer {token or issuer.token(scope=scope)}"
        client = (Client if request.param == "sync" else AsyncClient)(
            enforce_csrf_checks=csrf, raise_request_exception=False
        )
        if user is not None:
            client.force_login(user)
        send = getattr(client, method)
        return (send if request.param == "sync" else async_to_sync(send))(url, headers=headers)

    return call


@pytest.mark.parametrize("url", ["/who", "/who-async"])
@pytest.mark.django_db
def test_it_sets_the_user_of_a_token_and_of_nothing_else(call, url):
    ada = get_user_model().objects.create_user("ada")

    assert call("get", url, scope="").json() == {"user": "auth0|ada", "token": True}
    assert call("get", url).json() == {"user": "", "token": False}
    assert call("get", url, user=ada).json() == {"user": "ada", "token": False}
    assert call("get", url, user=ada, scope="").json() == {"user": "auth0|ada", "token": True}


@pytest.mark.parametrize("url", ["/who", "/guarded", "/rest", "/rest-without-ours"])
def test_a_bad_token_is_answered_at_once(call, issuer, url):
    response = call("get", url, token=FakeIssuer(algorithm="ES256").token())

    assert (response.status_code, response["Content-Type"]) == (401, "application/json")
    assert response["WWW-Authenticate"].startswith('Bearer realm="api", error="invalid_token"')
    assert "Authorization" in response["Vary"]
    issuer.failure = "fetch_failed"
    authentication.current.__globals__["forget"]()
    assert call("get", url, scope="read").status_code == 503


@pytest.mark.parametrize("url", ["/guarded", "/guarded-async", "/rest", "/rest-of-sessions", "/any"])
def test_guards_and_permissions_behind_it(call, url):
    assert call("get", url).status_code == 401
    assert call("get", url, scope="other").status_code == (200 if url == "/any" else 403)
    assert call("get", url, scope="read").status_code == 200
    if "async" not in url and url != "/any":
        assert call("post", url, scope="read").status_code == 200


def test_one_request_is_hashed_and_judged_once(call, monkeypatch):
    hashed, judged = [], []

    def accepted(sender, **event):
        judged.append(event["user"])

    digest = authentication.digest
    monkeypatch.setattr(authentication, "digest", lambda token: hashed.append(1) or digest(token))
    for url in ("/guarded", "/rest", "/who"):
        hashed.clear()
        assert call("get", url, scope="read").status_code == 200
        assert len(hashed) == 1
    signals.token_accepted.connect(accepted)
    try:
        call("get", "/rest", scope="read")
    finally:
        signals.token_accepted.disconnect(accepted)
    assert len(judged) == 1


def test_rest_framework_without_our_class_sees_the_user_of_the_middleware(call):
    assert call("get", "/rest-without-ours", scope="read").json() == {"user": "auth0|ada"}
    assert call("get", "/rest-without-ours").status_code == 403


@pytest.mark.django_db
def test_csrf_is_spared_for_a_token_and_never_for_a_session(call, settings):
    settings.MIDDLEWARE = [*SESSIONS, OURS, CSRF]
    ada = get_user_model().objects.create_user("ada")

    assert call("post", "/who", scope="").status_code == 200
    assert call("post", "/who").status_code == 403
    assert call("post", "/who", user=ada).status_code == 403
    assert call("post", "/who", user=ada, scope="").status_code == 403  # a session took part
    assert call("post", "/who", user=ada, csrf=False).status_code == 200
    assert call("post", "/who", token="a.b.c").status_code == 401
    settings.MIDDLEWARE = [*SESSIONS, "tests.edges.test_middleware.remote_user", OURS, CSRF]
    assert call("post", "/who", scope="").status_code == 403  # the server has authenticated the browser
    settings.MIDDLEWARE = [CSRF, *SESSIONS, OURS]
    assert call("post", "/who", scope="").status_code == 200
    assert call("post", "/who", user=ada, scope="").status_code == 403


@pytest.mark.parametrize("url", ["/mixed", "/mixed-async", "/mixed-dispatch"])
@pytest.mark.django_db
def test_a_guarded_method_needs_no_csrf_token_and_the_others_do(call, settings, url):
    settings.MIDDLEWARE = [*SESSIONS, CSRF]
    ada = get_user_model().objects.create_user("ada")

    assert call("post", url, scope="read").json() == {"user": "auth0|ada", "token": True}
    assert call("post", url, scope="other").status_code == 403
    assert call("post", url).status_code == 401
    assert call("put", url, scope="read").status_code == 403
    assert call("put", url, user=ada).status_code == 403
    assert call("put", url, csrf=False).content == b"changed"
    assert call("get", url).content == b"open"
    if url == "/mixed-dispatch":
        assert call("post", url, scope="read")["X-Dispatch"] == "ran"
        assert call("patch", url, scope="read").status_code == 200


@pytest.mark.django_db
def test_marks_of_the_project_decide_for_methods_without_a_guard(call, settings):
    settings.MIDDLEWARE = [*SESSIONS, CSRF]

    assert call("put", "/mixed-exempt").content == b"changed"
    assert call("post", "/mixed-exempt").status_code == 401
    assert call("post", "/child").status_code == 403
    assert call("post", "/child", scope="read").status_code == 403
    settings.MIDDLEWARE = SESSIONS
    assert call("put", "/mixed").content == b"changed"
    assert call("put", "/protected").status_code == 403


@pytest.mark.parametrize("url", ["/guarded", "/guarded-async", "/mixed", "/mixed-async", "/rest"])
@pytest.mark.django_db
def test_login_required_middleware_leaves_guarded_views_to_their_guard(call, settings, url):
    settings.MIDDLEWARE = [*SESSIONS, LOGIN]
    method = "post" if "mixed" in url else "get"

    assert call(method, url, scope="read").status_code == 200
    assert call(method, url).status_code == 401
    assert call(method, url, scope="other").status_code == 403
    assert call("get", "/who").status_code == 302
    if "mixed" in url:
        assert call("put", url).status_code == 302
        assert call("put", url, scope="read").status_code == 302
        ada = get_user_model().objects.create_user("ada")
        assert call("put", url, user=ada).content == b"changed"


@pytest.mark.django_db
def test_nothing_of_a_class_runs_before_the_walls(call, settings):
    ada = get_user_model().objects.create_user("ada")
    settings.MIDDLEWARE = [*SESSIONS, CSRF]
    assert call("post", "/override?delete=1", user=ada).status_code == 401
    assert call("post", "/acts", user=ada).status_code == 401
    assert call("put", "/acts", user=ada).status_code == 403
    assert call("put", "/copied", user=ada).status_code == 401
    assert call("post", "/mixed", user=ada, scope="read").status_code == 403  # a session took part
    settings.MIDDLEWARE = [*SESSIONS, LOGIN]
    assert call("post", "/override?delete=1").status_code == 401
    assert call("post", "/acts").status_code == 401
    assert call("get", "/acts").status_code == 302
    assert call("put", "/copied").status_code == 401
    assert call("get", "/reads?setup=1").status_code == 302
    assert call("post", "/reads", scope="read").status_code == 200


@pytest.mark.parametrize("wall", [CSRF, LOGIN])
def test_a_subclass_of_a_guarded_class_keeps_its_exemption(call, settings, wall):
    settings.MIDDLEWARE = [*SESSIONS, wall]

    assert call("post", "/below", scope="read").json() == {"user": "auth0|ada", "token": True}
    assert call("put", "/below", scope="read write").content == b"changed"
    assert call("put", "/below", scope="read").status_code == 403
    assert call("put", "/below", scope="write").status_code == 403
    assert call("post", "/below").status_code == 401


def login_factory(get_response):
    """A project's own wall, which reads Django's mark."""

    def middleware(request):
        return get_response(request)

    def process_view(request, callback, args, kwargs):
        return HttpResponse("wall", status=418) if getattr(callback, "login_required", True) else None

    middleware.process_view = process_view
    return middleware


class Unused(CsrfViewMiddleware):
    def __init__(self, get_response):
        raise MiddlewareNotUsed


def test_a_wall_of_the_projects_own_stays_up(issuer, settings):
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = [*SESSIONS, f"{__name__}.login_factory", f"{__name__}.Unused"]

    assert Client().get("/mixed").status_code == 418


@pytest.mark.parametrize("url", ["/cached", "/cached-rest"])
def test_a_cached_answer_is_never_given_to_another_caller(call, issuer, settings, url):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": url}}
    settings.MIDDLEWARE = SESSIONS
    bob = issuer.token(scope="read", sub="bob")

    assert call("get", url, scope="read").json()["user"] == "auth0|ada"
    assert call("get", url, token=bob).json()["user"] == "bob"
    assert call("get", url).status_code == 401
    assert call("get", url, scope="other").status_code == 403


@pytest.mark.parametrize("url", ["/rest", "/rest-of-sessions", "/guarded", "/mixed"])
def test_every_answer_that_depends_on_a_token_varies(call, settings, url):
    settings.MIDDLEWARE = SESSIONS
    method = "post" if url == "/mixed" else "get"

    for options in ({}, {"scope": "read"}, {"scope": "other"}, {"token": "x"}):
        assert "Authorization" in call(method, url, **options)["Vary"], options
