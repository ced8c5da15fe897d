"""Kinds of views, each built anew around one body, with decorators at the places where that kind admits them."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from adrf.decorators import api_view as async_api_view
from adrf.views import APIView as AsyncAPIView
from django.db import connection
from django.http import JsonResponse
from django.urls import URLPattern, URLResolver, path
from django.utils.decorators import method_decorator
from django.views import View
from ninja import NinjaAPI
from ninja.decorators import decorate_view
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action, api_view, authentication_classes, permission_classes, throttle_classes
from rest_framework.generics import ListCreateAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import Serializer
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from resource_server.drf import AccessTokenAuthentication

Decorator = Callable[[Any], Any]
Routes = tuple[URLPattern | URLResolver, ...]

# The bodies of views that have run for the request, by their callers' subjects.
ran: list[str | None] = []
# How many transactions were open around the body.
transactions: list[int] = []

READ, WRITE = {"GET", "HEAD", "OPTIONS"}, {"POST", "PUT"}
AUTHENTICATION = [AccessTokenAuthentication, SessionAuthentication]


def body(request: Any) -> dict[str, Any]:
    subject = getattr(getattr(request, "auth", None), "subject", None)
    ran.append(subject)
    transactions.append(len(connection.atomic_blocks))
    return {"subject": subject}


class Throttle(BaseThrottle):
    def allow_request(self, request: Request, view: APIView) -> bool:
        return "X-Busy" not in request.headers


@dataclass(frozen=True)
class Place:
    """A place for a decorator. A smaller depth runs first; `takes` turns the decorator into what Python needs there."""

    name: str
    depth: float
    takes: Callable[[Decorator], Decorator] = field(default=lambda decorator: decorator)


def by_dispatch(decorator: Decorator) -> Decorator:
    return method_decorator(decorator, name="dispatch")


# REST framework authenticates, and throttles, at depth 2; the method is chosen at depth 4, django-ninja's at -1.
OUTSIDE = Place("outside", 0)
AS_VIEW = Place("around as_view()", 0)
DISPATCH = Place("on dispatch by method_decorator", 1, by_dispatch)
CLASS = Place("on the class", 1)
INITIAL = Place("on the class", 3)
METHOD = Place("on the method", 5)
METHOD_DECORATOR = Place("on the method by method_decorator", 5, method_decorator)
INSIDE = Place("inside", 6)
IN_ACTION = Place("inside @action by method_decorator", 6, method_decorator)


@dataclass(frozen=True)
class Kind:
    name: str
    build: Callable[[Callable[["Place"], Decorator]], Routes]
    guards: tuple[Place, ...]
    neighbours: tuple[Place, ...]
    is_async: bool = False
    is_rest: bool = False
    is_ninja: bool = False
    meets_few: bool = False  # one neighbour of each sort: another kind has the same `dispatch`, or a request takes long
    methods: frozenset[str] = frozenset(READ | WRITE)  # that have the body
    others: int = 405  # the status of the other methods, apart from OPTIONS
    options: int = 200

    @property
    def chooses_method_at(self) -> float:
        return -1 if self.is_ninja else 4


def apply(decorators: Sequence[Decorator], view: Any) -> Any:
    """The view below the decorators; the first one stands on top."""
    for decorator in reversed(decorators):
        view = decorator(view)
    return view


def function(at):
    def view(request):
        return JsonResponse(body(request))

    return (path("", at(OUTSIDE)(view)),)


def async_function(at):
    async def view(request):
        return JsonResponse(body(request))

    return (path("", at(OUTSIDE)(view)),)


def plain_class(at):
    class Plain(View):
        @at(METHOD)
        def get(self, request):
            return JsonResponse(body(request))

        @at(METHOD)
        def post(self, request):
            return JsonResponse(body(request))

    return (path("", at(AS_VIEW)(at(CLASS)(Plain).as_view())),)


def async_class(at):
    class Plain(View):
        @at(METHOD)
        async def get(self, request):
            return JsonResponse(body(request))

        @at(METHOD)
        async def post(self, request):
            return JsonResponse(body(request))

    return (path("", at(AS_VIEW)(at(CLASS)(Plain).as_view())),)


def inherited_class(at):
    """Guard and neighbours stand on a base class; the methods are a subclass's own."""

    @at(CLASS)
    class Base(View):
        pass

    class Plain(Base):
        def get(self, request):
            return JsonResponse(body(request))

        post = get

    return (path("", at(AS_VIEW)(Plain.as_view())),)


def rest_function(at):
    @at(OUTSIDE)
    @api_view(["GET", "POST"])
    @authentication_classes(AUTHENTICATION)
    @permission_classes([AllowAny])
    @throttle_classes([Throttle])
    @at(INSIDE)
    def view(request):
        return Response(body(request))

    return (path("", view),)


def rest_class(at):
    class Rest(APIView):
        authentication_classes = AUTHENTICATION
        permission_classes = [AllowAny]
        throttle_classes = [Throttle]

        @at(METHOD)
        def get(self, request):
            return Response(body(request))

        @at(METHOD)
        def post(self, request):
            return Response(body(request))

    return (path("", at(AS_VIEW)(at(CLASS)(Rest).as_view())),)


def generic_class(at):
    class Generic(ListCreateAPIView):
        authentication_classes = AUTHENTICATION
        permission_classes = [AllowAny]
        throttle_classes = [Throttle]
        serializer_class = Serializer

        @at(METHOD)
        def list(self, request):
            return Response(body(request))

        @at(METHOD)
        def create(self, request):
            return Response(body(request))

    return (path("", at(AS_VIEW)(at(CLASS)(Generic).as_view())),)


def view_set(at):
    class Things(ViewSet):
        authentication_classes = AUTHENTICATION
        permission_classes = [AllowAny]
        throttle_classes = [Throttle]

        @at(METHOD)
        def list(self, request):
            return Response(body(request))

        @at(METHOD)
        def create(self, request):
            return Response(body(request))

    return (path("", at(AS_VIEW)(at(CLASS)(Things).as_view({"get": "list", "post": "create"}))),)


def routed_view_set(at):
    class Things(ViewSet):
        authentication_classes = AUTHENTICATION
        permission_classes = [AllowAny]
        throttle_classes = [Throttle]

        @at(METHOD)
        def list(self, request):
            return Response(body(request))

        @at(METHOD)
        def create(self, request):
            return Response(body(request))

    router = SimpleRouter()
    router.register("", at(CLASS)(Things), basename="thing")
    return tuple(router.urls)


def routed_action(at):
    class Things(ViewSet):
        authentication_classes = AUTHENTICATION
        permission_classes = [AllowAny]
        throttle_classes = [Throttle]

        @at(METHOD)
        @action(detail=False, methods=["get", "post"], url_path="")
        @at(INSIDE)
        def recent(self, request):
            return Response(body(request))

    return (path("", at(CLASS)(Things).as_view({"get": "recent", "post": "recent"})),)


def async_rest_function(at):
    @at(OUTSIDE)
    @async_api_view(["GET", "POST"])
    @authentication_classes(AUTHENTICATION)
    @permission_classes([AllowAny])
    @throttle_classes([Throttle])
    @at(INSIDE)
    async def view(request):
        return Response(body(request))

    return (path("", view),)


def async_rest_class(at):
    class Rest(AsyncAPIView):
        authentication_classes = AUTHENTICATION
        permission_classes = [AllowAny]
        throttle_classes = [Throttle]

        @at(METHOD)
        async def get(self, request):
            return Response(body(request))

        @at(METHOD)
        async def post(self, request):
            return Response(body(request))

    return (path("", at(AS_VIEW)(at(CLASS)(Rest).as_view())),)


_namespaces = count()


def ninja_operation(at):
    api = NinjaAPI(urls_namespace=f"stackings-{next(_namespaces)}")

    @api.api_operation(["GET", "POST"], "/")
    @decorate_view(at(OUTSIDE))
    @at(INSIDE)
    def operation(request):
        return body(request)

    return (path("", api.urls),)


def async_ninja_operation(at):
    api = NinjaAPI(urls_namespace=f"stackings-{next(_namespaces)}")

    @api.api_operation(["GET", "POST"], "/")
    @decorate_view(at(OUTSIDE))
    @at(INSIDE)
    async def operation(request):
        return body(request)

    return (path("", api.urls),)


PLAIN = {"methods": frozenset({"GET", "HEAD", "POST"})}
REST = {**PLAIN, "is_rest": True}
REST_FUNCTION = {"is_rest": True, "methods": frozenset({"GET", "POST"})}
NINJA = {"is_ninja": True, "methods": frozenset({"GET", "POST"}), "options": 405}
ON_CLASS = ((AS_VIEW, CLASS, DISPATCH, METHOD, METHOD_DECORATOR), (AS_VIEW, DISPATCH, METHOD_DECORATOR))
ON_REST_CLASS = ((AS_VIEW, INITIAL, DISPATCH, METHOD, METHOD_DECORATOR), (AS_VIEW, DISPATCH, METHOD_DECORATOR))
BY_ROUTER = ((INITIAL, DISPATCH, METHOD, METHOD_DECORATOR), (DISPATCH, METHOD_DECORATOR))
# adrf asks `inspect` whether a handler is async, which sees the mark of method_decorator since Python 3.12.
ON_ADRF_CLASS = (
    ON_REST_CLASS if sys.version_info >= (3, 12) else ((AS_VIEW, INITIAL, DISPATCH, METHOD), (AS_VIEW, DISPATCH))
)

KINDS = (
    Kind("function", function, (OUTSIDE,), (OUTSIDE,)),
    Kind("async function", async_function, (OUTSIDE,), (OUTSIDE,), is_async=True),
    Kind("class", plain_class, *ON_CLASS, **PLAIN),
    Kind("async class", async_class, *ON_CLASS, is_async=True, **PLAIN),
    Kind("inherited class", inherited_class, (AS_VIEW, CLASS, DISPATCH), (AS_VIEW, DISPATCH), **PLAIN),
    Kind("@api_view", rest_function, (OUTSIDE, INSIDE), (OUTSIDE, INSIDE), **REST_FUNCTION),
    Kind("APIView", rest_class, *ON_REST_CLASS, **REST),
    Kind("generic view", generic_class, *ON_REST_CLASS, meets_few=True, **REST),
    Kind("ViewSet.as_view", view_set, (AS_VIEW,), (AS_VIEW, DISPATCH, METHOD_DECORATOR), meets_few=True, **REST),
    Kind("ViewSet by router", routed_view_set, *BY_ROUTER, **REST),
    Kind("@action", routed_action, (INITIAL, METHOD, INSIDE), (METHOD_DECORATOR, IN_ACTION), meets_few=True, **REST),
    Kind(
        "adrf @api_view",
        async_rest_function,
        (OUTSIDE, INSIDE),
        (OUTSIDE, INSIDE),
        is_async=True,
        meets_few=True,
        **REST_FUNCTION,
    ),
    Kind("adrf APIView", async_rest_class, *ON_ADRF_CLASS, is_async=True, meets_few=True, **REST),
    Kind("django-ninja", ninja_operation, (OUTSIDE, INSIDE), (OUTSIDE, INSIDE), **NINJA),
    Kind("async django-ninja", async_ninja_operation, (OUTSIDE, INSIDE), (OUTSIDE, INSIDE), is_async=True, **NINJA),
)


@dataclass(frozen=True)
class Layer:
    """A decorator at a place."""

    place: Place
    decorator: Decorator

    def decorate(self, view: Any) -> Any:
        return self.place.takes(self.decorator)(view)


# Places that are written at one spot of a view's source.
_SPOT = {DISPATCH: CLASS, INITIAL: CLASS, METHOD_DECORATOR: METHOD, IN_ACTION: INSIDE}


def spot(place: Place) -> Place:
    return _SPOT.get(place, place)


def build(kind: Kind, layers: Sequence[Layer]) -> Routes:
    """The routes of a view with these layers. Of two at one spot the first is the outer one."""
    at: Mapping[Place, list[Decorator]] = {}
    for layer in layers:
        at.setdefault(spot(layer.place), []).append(layer.decorate)
    return kind.build(lambda place: lambda view: apply(at.get(place, ()), view))
