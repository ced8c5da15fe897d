"""Views with demands of every kind, for `explain`."""

from django.http import HttpResponse
from django.urls import path
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from resource_server import requires, requires_scope
from resource_server.drf import AccessTokenAuthentication, RequirementMixin, RequiresScope
from resource_server.requirements import Roles


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


urlpatterns = [
    path("per-action", PerAction.as_view({"get": "list", "post": "create"})),
    path("orders", Orders.as_view()),
    path("composed", Composed.as_view()),
    path("negated", Negated.as_view()),
    path("on-method", Open.as_view()),
    path("of-sessions", OfSessions.as_view()),
    path("needs-a-request", requires_scope("a")(NeedsARequest.as_view())),
    path("open", lambda request: HttpResponse()),
]
