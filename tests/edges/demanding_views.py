"""Views with demands of every kind, for `explain`."""

from django.http import HttpResponse
from django.urls import include, path
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from resource_server import requires, requires_scope
from resource_server.drf import AccessTokenAuthentication, RequirementMixin, RequiresScope
from resource_server.requirements import Roles, Scopes


class OnMondays(BasePermission):
    pass


class Orders(APIView):
    authentication_classes = [AccessTokenAuthentication]
    permission_classes = [RequiresScope("read") & OnMondays]

    def get(self, request):
        return Response()

    @requires(Roles("clerk"))
    def post(self, request):
        return Response()


class Composed(Orders):
    permission_classes = [RequiresScope("a") & IsAuthenticated | RequiresScope("b")]


class Negated(Orders):
    permission_classes = [~RequiresScope("a") | RequiresScope("b")]


class Open(Orders):
    permission_classes = [AllowAny | RequiresScope("a")]

    @requires_scope("on:the:method")
    def get(self, request):
        return Response()


class OfSessions(Orders):
    authentication_classes = [SessionAuthentication]


class NeedsARequest(Orders):
    def get_permissions(self):
        return [self.request.user.permission]


class PerAction(RequirementMixin, ViewSet):
    authentication_classes = [AccessTokenAuthentication]
    requirement = {"list": "a", "create": "b", "metadata": "c"}

    def list(self, request):
        return Response()

    def create(self, request):
        return Response()


class Unguarded(ViewSet):
    authentication_classes = [AccessTokenAuthentication]

    def list(self, request):
        return Response()

    def create(self, request):
        return Response()


class WithActions(RequirementMixin, ViewSet):
    """Actions that set another requirement, as text and for each method."""

    authentication_classes = [AccessTokenAuthentication]
    requirement = "view"

    @action(detail=False, requirement="of:text")
    def text(self, request):
        return Response()

    @action(detail=False, requirement={"GET": "of:get"})
    def methods(self, request):
        return Response()

    @action(detail=False, requirement=Scopes("of:scopes"))
    def scopes(self, request):
        return Response()

    @action(detail=False, requirement=5)
    def mistake(self, request):
        return Response()


router = SimpleRouter()
router.register("actions", WithActions, basename="actions")

urlpatterns = [
    path("", include(router.urls)),
    path("", include("resource_server.urls")),
    path(
        "per-action-outside",
        requires(PerAction.requirement)(Unguarded.as_view({"get": "list", "post": "create"})),
    ),
    path("per-action", PerAction.as_view({"get": "list", "post": "create"})),
    path("orders", Orders.as_view()),
    path("composed", Composed.as_view()),
    path("negated", Negated.as_view()),
    path("on-method", Open.as_view()),
    path("of-sessions", OfSessions.as_view()),
    path("needs-a-request", requires_scope("a")(NeedsARequest.as_view())),
    path("open", lambda request: HttpResponse()),
]
