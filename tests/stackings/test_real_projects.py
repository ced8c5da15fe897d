"""What real projects have met, one test each; the product holds the same for every kind of view."""

import pytest
from adrf.views import APIView as AsyncAPIView
from asgiref.sync import sync_to_async
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.http import HttpResponse, HttpResponseForbidden, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import cache_page
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema
from ninja import NinjaAPI, Schema
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet
from tests.stackings import views
from tests.stackings.conftest import CALLERS, Call
from tests.stackings.neighbours import BLOCKED_ADDRESS, gate

from resource_server import requires_any_scope, requires_scope, requires_token, signals

pytestmark = pytest.mark.django_db

guard = requires_scope("read")


class Rest(APIView):
    authentication_classes = views.AUTHENTICATION
    permission_classes = [AllowAny]

    def get(self, request):
        return Response(views.body(request))


class Things(ViewSet):
    authentication_classes = views.AUTHENTICATION
    permission_classes = [AllowAny]

    def list(self, request):
        return Response(views.body(request))


@api_view(["GET"])
@authentication_classes(views.AUTHENTICATION)
@permission_classes([AllowAny])
def rest_function(request):
    return Response(views.body(request))


def rate_limited(view):
    def limited(request, *args, **kwargs):
        return HttpResponse(status=429)

    limited.__dict__.update(view.__dict__)
    return limited


REST_VIEWS = {
    "@api_view": rest_function,
    "APIView.as_view()": Rest.as_view(),
    "ViewSet.as_view()": Things.as_view({"get": "list"}),
}
GUARDS = {
    "a guard": [guard],
    "two guards": [requires_token, guard],
    "any of two scopes": [requires_any_scope("read", "write")],
}
REFUSING = {
    "IP allow-list": (gate(name="gate", keeps_names=True)(False), 403),
    "IP allow-list without functools.wraps": (gate(name="gate", keeps_names=False)(False), 403),
    "staff_member_required": (staff_member_required(login_url="/login/"), 302),
    "permission_required": (permission_required("auth.view_user", login_url="/login/"), 302),
    "rate limiter": (rate_limited, 429),
}


@pytest.mark.parametrize("view", REST_VIEWS.values(), ids=REST_VIEWS)
@pytest.mark.parametrize(("refusing", "status"), REFUSING.values(), ids=REFUSING)
@pytest.mark.parametrize(
    "guards", [[guard], [guard, guard], [requires_token, guard], [requires_any_scope("read", "x")]]
)
def test_what_stands_between_a_guard_and_a_view_of_rest_framework_is_not_thrown_away(
    guards, refusing, status, view, send
):
    [outcome] = send((path("", views.apply(guards, refusing(view))),), [Call(CALLERS["ada"], address=BLOCKED_ADDRESS)])
    assert outcome.response.status_code == status
    assert outcome.ran == ()


@pytest.mark.parametrize("view", REST_VIEWS.values(), ids=REST_VIEWS)
@pytest.mark.parametrize("guard_above", [True, False], ids=["guard above", "guard below"])
def test_cache_page_beside_a_guard_keeps_each_callers_answer_apart(guard_above, view, send):
    cache.clear()
    layers = [guard, cache_page(60)] if guard_above else [cache_page(60), guard]
    names = ["ada", "bob", "unscoped", "anonymous", "forged", "session", "ada"]

    outcomes = send((path("", views.apply(layers, view)),), [Call(CALLERS[name]) for name in names])

    assert [outcome.response.status_code for outcome in outcomes] == [200, 200, 403, 401, 401, 403, 200]
    assert [outcomes[n].response.json()["subject"] for n in (0, 1, 6)] == ["ada", "bob", "ada"]
    # What a token opened is private, unless the view says otherwise, so Django's cache keeps none of it.
    assert outcomes[6].ran == ("ada",)
    assert outcomes[0].response.headers["Cache-Control"].startswith("private") or guard_above


@method_decorator(guard, name="dispatch")
class AsyncByDispatch(View):
    async def get(self, request):
        return JsonResponse(views.body(request))


class AsyncOpen(View):
    async def get(self, request):
        return JsonResponse(views.body(request))


class AsyncByMethod(View):
    @method_decorator(guard)
    async def get(self, request):
        return JsonResponse(views.body(request))


def threaded(request):
    return JsonResponse(views.body(request))


ASYNC_VIEWS = {
    "dispatch by method_decorator": AsyncByDispatch.as_view(),
    "around as_view()": guard(AsyncOpen.as_view()),
    "on the class": guard(AsyncOpen).as_view(),
    "method by method_decorator": AsyncByMethod.as_view(),
    "a function of sync_to_async": guard(sync_to_async(threaded)),
    "two guards": guard(requires_token(AsyncOpen.as_view())),
}


@pytest.mark.parametrize("view", ASYNC_VIEWS.values(), ids=ASYNC_VIEWS)
@pytest.mark.parametrize("is_async", [True, False], ids=["ASGI", "WSGI"])
def test_an_async_view_answers_a_good_token(view, is_async, send):
    calls = [Call(CALLERS[name]) for name in ("ada", "unscoped", "forged", "anonymous", "session")]
    outcomes = send((path("", view),), calls, is_async=is_async)

    assert [outcome.response.status_code for outcome in outcomes] == [200, 403, 401, 401, 401]
    assert [bool(outcome.ran) for outcome in outcomes] == [True, False, False, False, False]


class AdrfByMethod(AsyncAPIView):
    authentication_classes = views.AUTHENTICATION
    permission_classes = [AllowAny]

    @guard
    async def get(self, request):
        return Response(views.body(request))


ADRF_VIEWS = {
    "method": AdrfByMethod.as_view(),
    "around as_view()": guard(AdrfByMethod.as_view()),
    "class": guard(AdrfByMethod).as_view(),
}


@pytest.mark.parametrize("guarded", ADRF_VIEWS.values(), ids=ADRF_VIEWS)
def test_receivers_of_a_refusal_may_ask_the_database_behind_adrf(guarded, send):
    def note(sender, error, **kwargs):
        Group.objects.create(name=error.reason)

    signals.token_rejected.connect(note)
    try:
        [outcome] = send((path("", guarded),), [Call(CALLERS["unscoped"])], is_async=True)
    finally:
        signals.token_rejected.disconnect(note)

    assert outcome.response.status_code == 403
    assert list(Group.objects.values_list("name", flat=True)) == ["scope_missing"]


class Thing(Schema):
    subject: str


def operations():
    def returns_dict(request):
        return views.body(request)

    def returns_number(request, number: int = 7):
        views.body(request)
        return number

    def returns_nothing(request):
        views.body(request)

    def returns_response(request):
        return JsonResponse(views.body(request))

    def returns_schema(request) -> Thing:
        return Thing(**views.body(request))

    async def returns_dict_async(request):
        return views.body(request)

    def streams(request):
        views.body(request)
        return StreamingHttpResponse([b"1"])

    return {
        "dict": (returns_dict, {"subject": "ada"}),
        "argument": (returns_number, 7),
        "None": (returns_nothing, None),
        "response": (returns_response, {"subject": "ada"}),
        "schema": (returns_schema, {"subject": "ada"}),
        "async dict": (returns_dict_async, {"subject": "ada"}),
        "stream": (streams, b"1"),
    }


@pytest.mark.parametrize("name", operations())
def test_an_operation_of_django_ninja_returns_what_it_likes(name, send):
    function, value = operations()[name]
    api = NinjaAPI(urls_namespace=f"returns-{name}")
    api.get("/")(guard(function))

    calls = [Call(CALLERS[name]) for name in ("ada", "unscoped", "anonymous")]
    ada, unscoped, anonymous = send((path("", api.urls),), calls, is_async=name == "async dict")

    assert ada.response.status_code == 200
    streams = ada.response.streaming
    assert (b"".join(ada.response.streaming_content) if streams else ada.response.json()) == value
    assert len(ada.ran) == 1
    assert (unscoped.response.status_code, unscoped.ran) == (403, ())
    assert (anonymous.response.status_code, anonymous.ran) == (401, ())


@permission_required("auth.view_user", login_url="/login/")
async def permitted(request):
    return JsonResponse(views.body(request))


def test_permission_required_on_an_async_view_refuses_a_user_without_permissions(send):
    calls = [Call(CALLERS["ada"]), Call(CALLERS["staff"]), Call(CALLERS["anonymous"])]
    outcomes = send((path("", guard(permitted)),), calls, is_async=True)
    assert [outcome.response.status_code for outcome in outcomes] == [302, 200, 401]


@pytest.mark.parametrize("guard_above", [True, False], ids=["guard above", "guard below"])
def test_extend_schema_beside_a_guard_describes_the_operation(guard_above, settings):
    settings.REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
    describe = extend_schema(summary="All things", responses=None)
    layers = [guard, describe] if guard_above else [describe, guard]

    class Described(Rest):
        schema = AutoSchema()
        get = views.apply(layers, Rest.get)

    generator = SchemaGenerator(patterns=[path("things/", Described.as_view())])
    schema = generator.get_schema(request=None, public=True)
    assert schema["paths"]["/things/"]["get"]["summary"] == "All things"


def test_a_gate_that_answers_without_asking_the_view_is_left_alone(send):
    """A guard adds nothing to an answer that it did not see."""
    closed = gate(name="gate", keeps_names=True)(False)(guard(lambda request: HttpResponseForbidden()))
    [outcome] = send((path("", closed),), [Call(CALLERS["ada"], address=BLOCKED_ADDRESS)])
    assert outcome.response.headers["X-Gate"] == "gate"
    assert "Vary" not in outcome.response.headers
