"""What Django, REST framework and others have noted on a view is still there under a guard, and the view is as it was."""

import functools

import pytest
from django.contrib.auth.decorators import login_not_required, permission_required
from django.db import connection, transaction
from django.http import JsonResponse
from django.urls import path
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action, api_view, permission_classes, throttle_classes
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet
from tests.stackings import views
from tests.stackings.conftest import CALLERS, Call

from resource_server import requires_any_scope, requires_scope, requires_token

pytestmark = pytest.mark.django_db

GUARDS = {
    "requires_scope": requires_scope("read"),
    "requires_any_scope": requires_any_scope("read", "admin"),
    "requires_token": requires_token,
    "requires_token, called": requires_token(),
}


def plain(request):
    """Answers."""
    return JsonResponse(views.body(request))


def another():
    """A function of its own, for what a decorator notes on it."""

    def view(request):
        return plain(request)

    return view


async def plain_async(request):
    """Answers."""
    return JsonResponse(views.body(request))


class Plain(View):
    def get(self, request):
        return JsonResponse(views.body(request))


class Rest(APIView):
    def get(self, request):
        return Response(views.body(request))


class Things(ViewSet):
    @action(detail=False, methods=["get"], url_path="latest", permission_classes=[IsAuthenticated])
    def recent(self, request):
        return Response(views.body(request))


@api_view(["GET"])
@permission_classes([AllowAny])
def rest(request):
    return Response(views.body(request))


def with_login_url(view):
    # What Django's decorators of users leave for LoginRequiredMiddleware to read.
    view.login_url, view.redirect_field_name = "/enter/", "then"
    return view


VIEWS = {
    "function": plain,
    "async function": plain_async,
    "partial": functools.partial(plain),
    "as_view()": Plain.as_view(),
    "APIView.as_view()": Rest.as_view(),
    "ViewSet.as_view()": Things.as_view({"get": "recent"}),
    "@api_view": rest,
    "csrf_exempt": csrf_exempt(plain),
    "login_not_required": login_not_required(another()),
    "login_url": with_login_url(another()),
    "permission_required": permission_required("auth.view_user", login_url="/login/")(plain),
    "non_atomic_requests": transaction.non_atomic_requests(another()),
    "extend_schema": extend_schema(summary="Things")(rest),
}


@pytest.mark.parametrize("guard", GUARDS.values(), ids=GUARDS)
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_marks_on_a_view_are_on_its_guarded_self_and_it_stays_as_it_was(view, guard):
    before = dict(vars(view))
    guarded = guard(view)

    assert dict(vars(view)) == before
    set_by_the_guard = {"csrf_exempt": True, "login_required": False}
    for name in before.keys() - {"__wrapped__"}:
        assert getattr(guarded, name) == set_by_the_guard.get(name, before[name]), name
    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        assert getattr(guarded, name, None) == getattr(view, name, None) or isinstance(view, functools.partial), name
    assert guarded.__wrapped__ is view
    assert {name: getattr(guarded, name) for name in set_by_the_guard} == set_by_the_guard


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_the_view_itself_stays_open(view, send, settings):
    settings.REST_FRAMEWORK = {}
    requires_scope("read")(view)
    is_async = view is plain_async
    [outcome] = send((path("", view),), [Call(CALLERS["session"])], is_async=is_async)
    assert outcome.response.status_code == 200


def test_the_marks_of_rest_framework_lead_to_the_class_of_the_view():
    guarded = requires_scope("read")(VIEWS["ViewSet.as_view()"])
    assert guarded.cls is Things
    assert guarded.actions["get"] == "recent"
    assert requires_scope("read")(Plain.as_view()).view_class is Plain
    assert requires_scope("read")(Plain).as_view().view_class.__mro__[1] is Plain


@pytest.mark.parametrize("guard_above", [True, False], ids=["guard above", "guard below"])
def test_an_action_keeps_its_route_beside_a_guard(guard_above):
    mark = action(detail=False, methods=["post"], url_path="latest", permission_classes=[IsAuthenticated])
    guard = requires_scope("read")

    def recent(self, request):
        """The latest."""
        return Response(views.body(request))

    function = guard(mark(recent)) if guard_above else mark(guard(recent))
    router = SimpleRouter()
    router.register("things", type("Things", (ViewSet,), {"recent": function}), basename="thing")

    [route] = [url for url in router.urls if "latest" in str(url.pattern)]
    assert route.callback.actions == {"post": "recent"}
    assert route.callback.initkwargs["permission_classes"] == [IsAuthenticated]
    assert route.callback.initkwargs["description"] == "The latest."


def test_policies_of_rest_framework_reach_api_view_through_a_guard():
    @api_view(["GET"])
    @requires_scope("read")
    @permission_classes([IsAuthenticated])
    @throttle_classes([views.Throttle])
    def view(request):
        return Response(views.body(request))

    assert view.cls.permission_classes == [IsAuthenticated]
    assert view.cls.throttle_classes == [views.Throttle]


@pytest.mark.django_db(transaction=True)
def test_a_view_outside_transactions_stays_outside_under_a_guard(send, settings, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    atomic = requires_scope("read")(plain)
    non_atomic = requires_scope("read")(VIEWS["non_atomic_requests"])

    depths = [send((path("", view),), [Call(CALLERS["ada"])])[0].transactions for view in (atomic, non_atomic)]
    assert depths == [(1,), (0,)]
