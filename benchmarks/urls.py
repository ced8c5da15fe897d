"""One view per way of authenticating: the same tiny JSON, in DRF and in plain Django."""

from typing import Any

from benchmarks import floors, peers
from django.core.handlers.wsgi import WSGIRequest
from django.http import JsonResponse
from django.urls import path
from oauth2_provider.contrib.rest_framework import OAuth2Authentication
from oidc_auth.authentication import JSONWebTokenAuthentication
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.authentication import JWTAuthentication, JWTStatelessUserAuthentication

from resource_server import requires_scope
from resource_server.drf import AccessTokenAuthentication

_MESSAGE = {"message": "All good."}


def _rest(authentication: type[Any] | None) -> Any:
    class View(APIView):
        authentication_classes = [authentication] if authentication else []
        permission_classes = [IsAuthenticated if authentication else AllowAny]

        def get(self, request: Any) -> Response:
            return Response(_MESSAGE)

    return View.as_view()


def _plain(request: Any) -> JsonResponse:
    return JsonResponse(_MESSAGE)


_VIEWS = [
    path("open", _rest(None)),
    path("constant", _rest(peers.Constant)),
    path("hashes", _rest(peers.Hashes)),
    path("hashes-and-varies", _rest(peers.HashesAndVaries)),
    path("one-function", _rest(peers.OneFunction)),
    path("reads", _rest(peers.ReadsUser)),
    path("checks-rsa", _rest(peers.ChecksRsa)),
    path("ours", _rest(AccessTokenAuthentication)),
    path("es256", _rest(floors.ChecksEs256)),
    path("add", _rest(floors.Adds)),
    path("es256-and-add", _rest(floors.ChecksEs256AndAdds)),
    path("get-many", _rest(floors.ReadsMany)),
    path("session", _rest(SessionAuthentication)),
    path("simplejwt", _rest(JWTAuthentication)),
    path("simplejwt-stateless", _rest(JWTStatelessUserAuthentication)),
    path("pyjwt", _rest(peers.PyJwt)),
    path("joserfc", _rest(peers.Joserfc)),
    path("drf-oidc-auth", _rest(JSONWebTokenAuthentication)),
    path("django-oauth-toolkit", _rest(OAuth2Authentication)),
    path("plain/open", _plain),
    path("plain/ours", requires_scope("read:orders")(_plain)),
    path("plain/authlib-introspection", peers.authlib_introspector("read:orders")(_plain)),
    path("plain/authlib", peers.authlib_protector("read:orders")(_plain)),
]


class _UrlConf:
    """The addresses of one case: one, as the time to find a view grows with those that stand before it."""

    def __init__(self, view: Any) -> None:
        self.urlpatterns = [view]


_URLCONFS = {f"/{view.pattern}": _UrlConf(view) for view in _VIEWS}
urlpatterns = _VIEWS


class Request(WSGIRequest):
    """A request that is resolved among the addresses of its own case."""

    @property
    def urlconf(self) -> _UrlConf:
        return _URLCONFS[self.path_info]
