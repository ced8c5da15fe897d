"""Each requirement of the parity table behind every edge."""

from adrf.viewsets import ViewSet as AsyncViewSet
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import URLRouter
from django.http import JsonResponse
from django.urls import path
from django.views import View
from rest_framework.decorators import api_view, authentication_classes
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from resource_server import requires
from resource_server.channels import AccessTokenWebSocketMiddleware
from resource_server.drf import AccessTokenAuthentication, RequirementMixin, Requires
from resource_server.ninja import AccessToken, AccessTokenAPI
from resource_server.requirements import (
    Actor,
    AnyScope,
    AnyToken,
    AuthenticationContext,
    AuthorizationDetail,
    Claim,
    Client,
    Groups,
    Machine,
    Organisation,
    Owner,
    PerMethod,
    Permissions,
    Roles,
    Scopes,
)


def starts_with_x(value):
    return value.startswith("x")


REQUIREMENTS = {
    "any token": AnyToken(),
    "scopes": Scopes("a", "b"),
    "any scope": AnyScope("a", "b"),
    "text": "a b",
    "either scope": Scopes("a") | Scopes("b"),
    "not a scope": ~Scopes("a"),
    "role": Roles("r") & Scopes("a"),
    "not a role": ~Roles("r"),
    "permission or group": Permissions("p") | Groups("g"),
    "claim": Claim("/deep/er", equals=1),
    "function": Claim("name", matches=starts_with_x),
    "step-up": AuthenticationContext("gold", max_age_seconds=10**6),
    "detail": AuthorizationDetail("pay", actions=("send",)),
    "actor": ~Actor(),
    "client": Client("app"),
    "organisation": Organisation(argument="org"),
    "machine": Machine(),
    "owner": Scopes("admin") | Owner("owner"),
    "least": Scopes("admin") | Scopes("read") & Owner("owner"),
    "fewest": Scopes("a", "b") | Scopes("c"),
    "overlapping": (Scopes("a") | Scopes("b")) & Scopes("b"),
    "method": {"GET": "a", "POST": "b"},
    "other method": PerMethod({"POST": "a"}),
}


def answer(request):
    return {"subject": request.auth.subject, "user": request.user.get_username()}


def plain(declared):
    @requires(declared)
    def view(request, org):
        return JsonResponse(answer(request))

    return view


def plain_async(declared):
    @requires(declared)
    async def view(request, org):
        return JsonResponse({"subject": request.auth.subject, "user": (await request.auser()).get_username()})

    return view


def plain_class(declared):
    @requires(declared)
    class Guarded(View):
        def get(self, request, org):
            return JsonResponse(answer(request))

    return Guarded.as_view()


def plain_method(declared):
    class Guarded(View):
        @requires(declared)
        def get(self, request, org):
            return JsonResponse(answer(request))

    return Guarded.as_view()


def rest_permission(declared):
    class Guarded(APIView):
        authentication_classes = [AccessTokenAuthentication]
        permission_classes = [Requires(declared)]

        def get(self, request, org):
            return Response(answer(request))

    return Guarded.as_view()


def rest_class(declared):
    @requires(declared)
    class Guarded(APIView):
        authentication_classes = [AccessTokenAuthentication]

        def get(self, request, org):
            return Response(answer(request))

    return Guarded.as_view()


def rest_function(declared):
    @api_view(["GET"])
    @authentication_classes([AccessTokenAuthentication])
    @requires(declared)
    def view(request, org):
        return Response(answer(request))

    return view


def rest_outside(declared):
    @requires(declared)
    @api_view(["GET"])
    @authentication_classes([AccessTokenAuthentication])
    def view(request, org):
        return Response(answer(request))

    return view


def rest_mixin(declared):
    class Guarded(RequirementMixin, ViewSet):
        requirement = declared
        authentication_classes = [AccessTokenAuthentication]

        def list(self, request, org):
            return Response(answer(request))

    return Guarded.as_view({"get": "list"})


def async_rest_mixin(declared):
    class Guarded(RequirementMixin, AsyncViewSet):
        requirement = declared
        authentication_classes = [AccessTokenAuthentication]

        async def list(self, request, org):
            return Response(answer(request))

    return Guarded.as_view({"get": "list"})


EDGES = {
    "plain": plain,
    "plain-async": plain_async,
    "plain-class": plain_class,
    "plain-method": plain_method,
    "rest-permission": rest_permission,
    "rest-class": rest_class,
    "rest-function": rest_function,
    "rest-outside": rest_outside,
    "rest-mixin": rest_mixin,
    "async-rest-mixin": async_rest_mixin,
}

api = AccessTokenAPI()


def add_operations(number, declared):
    auth = AccessToken(declared)

    @api.get(f"/{number}/{{org}}", auth=auth, operation_id=f"sync{number}")
    def operation(request, org: str):
        return answer(request)

    @api.get(f"/async/{number}/{{org}}", auth=auth, operation_id=f"async{number}")
    async def async_operation(request, org: str):
        return answer(request)


for number, declared in enumerate(REQUIREMENTS.values()):
    add_operations(number, declared)


class Echo(AsyncWebsocketConsumer):
    """Answers each message with the caller's names, then the message."""

    async def connect(self):
        await self.accept()

    async def receive(self, text_data=None, bytes_data=None):
        names = f"{self.scope['auth'].subject} {self.scope['user'].get_username()}"
        await self.send(text_data=f"{names} {text_data}")


websocket = URLRouter(
    [
        path(f"ws/{number}/<org>", AccessTokenWebSocketMiddleware(Echo.as_asgi(), declared))
        for number, declared in enumerate(REQUIREMENTS.values())
    ]
)

urlpatterns = [
    *(
        path(f"{edge}/{number}/<org>", make(declared))
        for edge, make in EDGES.items()
        for number, declared in enumerate(REQUIREMENTS.values())
    ),
    path("ninja/", api.urls),
]
