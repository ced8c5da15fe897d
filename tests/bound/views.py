"""One endpoint that demands the scope `read`, at each edge; `twice` has three guards on one request."""

from django.http import JsonResponse
from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from resource_server import authenticate, requires_scope
from resource_server.drf import AccessTokenAuthentication, RequiresScope
from resource_server.middleware import AccessTokenMiddleware


class Rest(APIView):
    authentication_classes = [AccessTokenAuthentication]
    permission_classes = [RequiresScope("read")]

    def get(self, request):
        return Response({"user": request.user.get_username()})


@requires_scope("read")
def plain(request):
    return JsonResponse({"user": request.user.get_username()})


@requires_scope("read")
async def asynchronous(request):
    return JsonResponse({"user": (await request.auser()).get_username()})


def behind_middleware(request):
    """A view of a middleware alone."""
    if getattr(request, "auth", None) is None:
        return JsonResponse({}, status=401)
    return JsonResponse({"user": request.user.get_username()})


class Twice(Rest):
    def get(self, request):
        # A project may ask again.
        user, _token = authenticate(request._request)
        return Response({"user": user.get_username()})


def with_middleware(view):
    middleware = AccessTokenMiddleware(view)

    def call(request, *args, **kwargs):
        return middleware(request)

    return call


urlpatterns = [
    path("rest", Rest.as_view()),
    path("plain", plain),
    path("plain/<path:rest>", lambda request, rest: plain(request)),
    path("async", asynchronous),
    path("middleware", with_middleware(behind_middleware)),
    path("twice", requires_scope("read")(with_middleware(requires_scope("read")(Twice.as_view())))),
]
