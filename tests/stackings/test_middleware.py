"""Django's own middlewares around guarded views of every kind."""

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.http import JsonResponse
from django.test import Client
from django.urls import path
from django.views import View
from tests.stackings import views
from tests.stackings.conftest import CALLERS, Call, Sender
from tests.stackings.test_product import Stacking, check
from tests.stackings.views import KINDS

from resource_server import requires_scope, requires_token

pytestmark = pytest.mark.django_db

PEOPLE = "tests.stackings.conftest.person_of_session"
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
LOGIN = "django.contrib.auth.middleware.LoginRequiredMiddleware"
CACHE = "django.middleware.cache.UpdateCacheMiddleware", "django.middleware.cache.FetchFromCacheMiddleware"
TOKENS = "resource_server.middleware.AccessTokenMiddleware"

GUARDED = [Stacking(kind, place) for kind in KINDS for place in kind.guards]
# What `method_decorator` makes of a method says nothing to its class, and an operation of django-ninja nothing to the
# view that calls it; both middlewares ask the view as a whole.
HIDDEN = [
    each for each in GUARDED if (each.guard is views.METHOD_DECORATOR and not each.kind.is_rest) or each.kind.is_ninja
]
SEEN = [each for each in GUARDED if each not in HIDDEN]
CALLS = [Call(caller, method) for method in ("GET", "POST") for caller in CALLERS.values()]


def check_all(stacking: Stacking, send: Sender, calls: list[Call] = CALLS) -> None:
    routes = views.build(stacking.kind, stacking.layers())
    for outcome in send(routes, calls, is_async=stacking.kind.is_async):
        check(stacking, outcome)


# The view of django-ninja is exempt anyhow.
@pytest.mark.parametrize("stacking", [each for each in GUARDED if each in SEEN or each.kind.is_ninja], ids=str)
def test_csrf_middleware_lets_tokens_through_and_sessions_with_their_csrf_token(stacking, send, settings):
    settings.MIDDLEWARE = [PEOPLE, CSRF]
    check_all(stacking, send)


@pytest.mark.parametrize("stacking", SEEN, ids=str)
def test_login_required_middleware_leaves_guarded_views_to_their_guard(stacking, send, settings):
    settings.MIDDLEWARE = [PEOPLE, LOGIN]
    check_all(stacking, send)


@pytest.mark.parametrize("stacking", HIDDEN, ids=str)
def test_login_required_middleware_lets_a_token_through_that_a_middleware_has_verified(stacking, send, settings):
    settings.MIDDLEWARE = [PEOPLE, TOKENS, LOGIN]
    check_all(stacking, send, [Call(CALLERS["ada"]), Call(CALLERS["unscoped"]), Call(CALLERS["ada"], "POST")])


@pytest.mark.parametrize("stacking", HIDDEN, ids=str)
@pytest.mark.parametrize(("middleware", "status"), [(CSRF, 403), (LOGIN, 302)])
def test_a_guard_that_a_middleware_cannot_see_leaves_the_view_closed(stacking, middleware, status, send, settings):
    settings.MIDDLEWARE = [PEOPLE, middleware]
    routes = views.build(stacking.kind, stacking.layers())
    [outcome] = send(routes, [Call(CALLERS["ada"], "POST")], is_async=stacking.kind.is_async)

    is_exempt = stacking.kind.is_ninja and middleware == CSRF
    assert outcome.response.status_code == (200 if is_exempt else status)
    assert bool(outcome.ran) == is_exempt


@pytest.mark.parametrize("stacking", [each for each in GUARDED if not each.guard_sees_dict], ids=str)
def test_cache_middlewares_serve_no_answer_to_another_caller(stacking, send, settings):
    settings.MIDDLEWARE = [CACHE[0], PEOPLE, CACHE[1]]
    cache.clear()
    names = ["ada", "bob", "anonymous", "unscoped", "session", "session and ada", "forged", "ada", "bob"]
    routes = views.build(stacking.kind, stacking.layers())
    outcomes = send(routes, [Call(CALLERS[name]) for name in names], is_async=stacking.kind.is_async)

    admitted = {"ada", "bob", "session and ada"}
    for name, outcome in zip(names, outcomes, strict=True):
        assert (outcome.response.status_code == 200) == (name in admitted), name
        if name in admitted:
            assert outcome.response.json() == {"subject": CALLERS[name].subject}
            assert "Authorization" in outcome.response.headers["Vary"]
    # What a token opened is private, unless the view says otherwise, so Django's cache keeps none of it.
    assert [outcome.ran for outcome in outcomes[-2:]] == [("ada",), ("bob",)]


class Mixed(View):
    @requires_scope("read")
    def post(self, request):
        return JsonResponse(views.body(request))

    def put(self, request):
        return JsonResponse(views.body(request))


class AsyncMixed(View):
    @requires_scope("read")
    async def post(self, request):
        return JsonResponse(views.body(request))

    async def put(self, request):
        return JsonResponse(views.body(request))


MIXED = pytest.mark.parametrize(("view", "is_async"), [(Mixed, False), (AsyncMixed, True)], ids=["sync", "async"])


@MIXED
def test_a_guard_on_post_exempts_post_and_leaves_the_other_methods_to_the_csrf_middleware(
    view, is_async, send, settings
):
    settings.MIDDLEWARE = [PEOPLE, CSRF]
    calls = [Call(CALLERS[name], method) for method in ("POST", "PUT") for name in ("ada", "anonymous", "session")]

    outcomes = send((path("", view.as_view()),), calls, is_async=is_async)

    assert [outcome.response.status_code for outcome in outcomes] == [200, 401, 401, 403, 403, 200]
    assert [bool(outcome.ran) for outcome in outcomes] == [True, False, False, False, False, True]


@MIXED
def test_a_guard_on_post_leaves_the_other_methods_to_the_login_required_middleware(view, is_async, send, settings):
    settings.MIDDLEWARE = [PEOPLE, LOGIN]
    settings.LOGIN_URL = "/login/"
    calls = [Call(CALLERS[name], method) for method in ("POST", "PUT") for name in ("ada", "anonymous", "session")]

    outcomes = send((path("", view.as_view()),), calls, is_async=is_async)

    assert [outcome.response.status_code for outcome in outcomes] == [200, 401, 401, 302, 302, 200]


@requires_token
def any_token(request):
    return JsonResponse(views.body(request))


def test_with_djangos_own_sessions_a_session_is_no_token(send, settings, tokens):
    settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        CSRF,
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        LOGIN,
    ]
    settings.ROOT_URLCONF = (path("", any_token),)
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="staff"))

    assert client.post("/").status_code == 401
    assert client.post("/", headers={"Authorization": tokens.header(CALLERS["unscoped"])}).status_code == 200
    assert client.post("/", headers={"Authorization": tokens.header(CALLERS["forged"])}).status_code == 401
