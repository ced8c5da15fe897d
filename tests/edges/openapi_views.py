"""Views of every kind, each with the `security` of its OpenAPI document. To be imported while `DEFAULT_SCHEMA_CLASS` is drf-spectacular's."""

from functools import wraps

from adrf.decorators import api_view as async_api_view
from adrf.views import APIView as AsyncAPIView
from adrf.viewsets import ViewSet as AsyncViewSet
from django.contrib.auth.models import Group
from django.urls import include, path
from django.utils.decorators import method_decorator
from drf_spectacular.utils import extend_schema
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.decorators import action, api_view, authentication_classes, permission_classes
from rest_framework.permissions import (
    AllowAny,
    BasePermission,
    DjangoModelPermissions,
    IsAuthenticated,
    IsAuthenticatedOrReadOnly,
)
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet, ViewSet

from resource_server import requires_any_scope, requires_scope, requires_token
from resource_server.drf import AccessTokenAuthentication, RequiresAnyScope, RequiresScope

A, B, C = RequiresScope("a"), RequiresScope("b"), RequiresScope("c")
CLASSES = [AccessTokenAuthentication, SessionAuthentication, BasicAuthentication]
OTHERS = [{"cookieAuth": []}, {"basicAuth": []}]
ANY_CREDENTIALS = [{"accessToken": []}, *OTHERS]


def tokens(*alternatives):
    return [{"accessToken": scopes.split()} for scopes in alternatives]


class Owner(BasePermission):
    """A permission of the project."""


class Plain(APIView):
    authentication_classes = CLASSES
    permission_classes = [IsAuthenticated]
    queryset = Group.objects.none()

    @extend_schema(responses=None)
    def get(self, request):
        return Response()

    @extend_schema(request=None, responses=None)
    def post(self, request):
        return Response()


def permitting(*permissions):
    return type("Permitting", (Plain,), {"permission_classes": list(permissions)}).as_view()


def requiring(view, *scopes):
    """A view whose `get` is replaced by a guarded one."""

    class Guarded(view):
        @requires_scope(*scopes)
        @extend_schema(responses=None)
        def get(self, request):
            return Response()

    return Guarded.as_view()


def gate(view):
    @wraps(view)
    def gated(*args, **kwargs):
        return view(*args, **kwargs)

    return gated


def careless_gate(view):
    def gated(*args, **kwargs):
        return view(*args, **kwargs)

    return gated


def rest_function(*, above=(), below=(), api_view=api_view):
    def function(request):
        return Response()

    for decorator in reversed(below):
        function = decorator(function)
    function = api_view(["GET"])(authentication_classes(CLASSES)(permission_classes([IsAuthenticated])(function)))
    function = extend_schema(responses=None)(function)
    for decorator in reversed(above):
        function = decorator(function)
    return function


@requires_scope("a")
class GuardedClass(Plain):
    pass


@requires_any_scope("b", "c")
class AnotherGuardedClass(Plain):
    pass


class InheritedGuard(GuardedClass):
    pass


class TwoGuardedBases(GuardedClass, AnotherGuardedClass):
    pass


@method_decorator(requires_scope("a"), name="dispatch")
class DecoratedDispatch(Plain):
    pass


@method_decorator(requires_scope("a"), name="get")
class DecoratedGet(Plain):
    pass


class InheritedMethod(DecoratedGet):
    pass


class MethodBelowAnother(Plain):
    @extend_schema(responses=None)
    @method_decorator(gate)
    @requires_scope("a")
    def get(self, request):
        return Response()


class AsyncView(AsyncAPIView):
    authentication_classes = CLASSES

    @requires_scope("a")
    @extend_schema(responses=None)
    async def get(self, request):
        return Response()


class WithoutClasses(Plain):
    authentication_classes = []
    permission_classes = [AllowAny]


class SessionAlone(Plain):
    authentication_classes = [SessionAuthentication]


KINDS = {
    "api_view, guard below": (rest_function(below=[requires_scope("a")]), "a"),
    "api_view, guard above": (rest_function(above=[requires_scope("a")]), "a"),
    "api_view, guards above and below": (
        rest_function(above=[requires_scope("a")], below=[requires_scope("b")]),
        "b a|a b",
    ),
    "api_view, guard above a gate": (rest_function(above=[requires_scope("a"), gate]), "a"),
    "api_view, guard below a gate": (rest_function(above=[gate, requires_scope("a")]), "a"),
    "api_view, guard in a gate": (rest_function(below=[gate, requires_scope("a")]), "a"),
    "api_view, guard in a gate without wraps": (rest_function(below=[careless_gate, requires_scope("a")]), "a"),
    "api_view, guarded twice": (rest_function(below=[requires_scope("a"), requires_scope("b")]), "a b|b a"),
    "api_view, any token": (rest_function(below=[requires_token]), ""),
    "api_view, any token above": (rest_function(above=[requires_token()]), ""),
    "async api_view": (rest_function(below=[requires_scope("a")], api_view=async_api_view), "a"),
    "async class": (AsyncView.as_view(), "a"),
    "method": (requiring(Plain, "a"), "a"),
    "method by method_decorator": (DecoratedGet.as_view(), "a"),
    "method that is inherited": (InheritedMethod.as_view(), "a"),
    "method below another decorator": (MethodBelowAnother.as_view(), "a"),
    "dispatch by method_decorator": (DecoratedDispatch.as_view(), "a"),
    "class": (GuardedClass.as_view(), "a"),
    "class that is inherited": (InheritedGuard.as_view(), "a"),
    "class and method": (requiring(GuardedClass, "b"), "a b"),
    "as_view": (requires_scope("a")(Plain.as_view()), "a"),
    "as_view of a guarded class": (requires_scope("b")(GuardedClass.as_view()), "b a"),
    "as_view without an authentication class": (requires_scope("a")(WithoutClasses.as_view()), "a"),
    "method without an authentication class that reads tokens": (requiring(SessionAlone, "a"), "a"),
    "permission": (permitting(A), "a"),
    "permission and AllowAny": (permitting(AllowAny, A), "a"),
    "permission and a method": (requiring(type("P", (Plain,), {"permission_classes": [B]}), "a"), "b a"),
}


COMPOSED = {
    "and": (A & B, tokens("a b")),
    "or": (A | B, tokens("a", "b")),
    "IsAuthenticated and two ways": (
        IsAuthenticated & (A | RequiresAnyScope("b", "c")),
        tokens("a", "b", "c"),
    ),
    "or and or": ((A | B) & (B | C), tokens("a c", "b")),
    "and in or": ((A & B) | C, tokens("a b", "c")),
    "absorbed": (A | (A & B), tokens("a")),
    "IsAuthenticated or": (IsAuthenticated | A, ANY_CREDENTIALS),
    "AllowAny or": (AllowAny | A, [*ANY_CREDENTIALS, {}]),
    "another permission and": (Owner & A, tokens("a")),
    "model permissions and": (DjangoModelPermissions & A, tokens("a")),
    "read-only or": (IsAuthenticatedOrReadOnly | A, [*ANY_CREDENTIALS, {}]),
    "read-only and": (IsAuthenticatedOrReadOnly & A, tokens("a")),
}


IN_WORDS = {
    "not": (IsAuthenticated & ~A, ANY_CREDENTIALS, "`IsAuthenticated` and not (scope `a`)"),
    "not alone": (~A, [*ANY_CREDENTIALS, {}], "not (scope `a`)"),
    "not of two": (B & ~(A | C), tokens("b"), "scope `b` and not (scope `a` or scope `c`)"),
    "another permission or": (Owner | A, [*tokens("", "a"), *OTHERS], "`Owner` or scope `a`"),
    "another permission and in or": (
        IsAuthenticated & ((Owner & A) | B),
        tokens("a", "b"),
        "`IsAuthenticated` and (`Owner` and scope `a` or scope `b`)",
    ),
}


class GroupSerializer(ModelSerializer):
    class Meta:
        model = Group
        fields = ["id", "name"]


class Groups(ModelViewSet):
    """The groups, with a scope for each kind of action."""

    queryset = Group.objects.all()
    serializer_class = GroupSerializer
    authentication_classes = CLASSES
    permission_classes = [IsAuthenticated]

    def get_permissions(self):
        if self.action == "list":
            return [AllowAny()]
        return [*super().get_permissions(), *([A()] if self.action == "create" else [])]

    @requires_scope("update")
    def update(self, request, *args, **kwargs):
        return super().update(request, *args, **kwargs)

    @requires_scope("inside")
    @action(detail=False)
    def inside(self, request):
        return Response()

    @action(detail=True, methods=["post"], permission_classes=[B])
    @requires_any_scope("c", "d")
    def outside(self, request, pk):
        return Response()

    @action(detail=False, authentication_classes=[SessionAuthentication])
    def session(self, request):
        return Response()


@requires_scope("class")
class GuardedGroups(Groups):
    pass


class Nothing(ViewSet):
    authentication_classes = CLASSES
    permission_classes = [AllowAny]

    @extend_schema(responses=None)
    def list(self, request):
        return Response()


class AsyncNothing(AsyncViewSet):
    authentication_classes = CLASSES

    @extend_schema(responses=None)
    @requires_scope("a")
    async def list(self, request):
        return Response()


def router():
    router = DefaultRouter()
    router.register("groups", Groups, basename="groups")
    router.register("guarded", GuardedGroups, basename="guarded")
    router.register("nothing", Nothing, basename="nothing")
    router.register("async-nothing", AsyncNothing, basename="async-nothing")
    return path("router/", include(router.urls))


EVERY_KIND = [
    *(path(f"kind-{number}/", view) for number, (view, _) in enumerate(KINDS.values())),
    *(path(f"composed-{number}/", permitting(permission)) for number, (permission, _) in enumerate(COMPOSED.values())),
    *(path(f"words-{number}/", permitting(case[0])) for number, case in enumerate(IN_WORDS.values())),
    path("two/", TwoGuardedBases.as_view()),
    path("open/", WithoutClasses.as_view()),
    path("session/", SessionAlone.as_view()),
    path("plain/", lambda request: None),
    router(),
]
