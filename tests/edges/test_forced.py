"""REST framework's `force_authenticate` with a verified token: guards and permissions read it, and nothing is logged."""

import logging

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.urls import path
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import api_view, permission_classes
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory, force_authenticate
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from resource_server import requires_scope, verify
from resource_server.drf import RequiresScope
from resource_server.testing import FakeIssuer
from resource_server.users.token_user import TokenUser


def who(request):
    return Response({"user": str(request.user), "subject": request.auth.subject})


@api_view(["GET"])
@requires_scope("read")
def below(request):
    return who(request)


@requires_scope("read")
@api_view(["GET"])
def above(request):
    return who(request)


@api_view(["GET"])
@permission_classes([RequiresScope("read")])
def permitted(request):
    return who(request)


class Permitted(APIView):
    permission_classes = [RequiresScope("read")]

    def get(self, request):
        return who(request)


@requires_scope("read")
class Guarded(APIView):
    permission_classes = []

    def get(self, request):
        return who(request)


class Method(APIView):
    permission_classes = []

    @requires_scope("read")
    def get(self, request):
        return who(request)


@requires_scope("read")
class Sessions(APIView):
    """The view's own authentication classes do not read tokens, and a test forces past them."""

    authentication_classes = [SessionAuthentication]
    permission_classes = []

    def get(self, request):
        return who(request)


class Set(ViewSet):
    permission_classes = [RequiresScope("read")]

    def list(self, request):
        return who(request)


VIEWS = {
    "a guard below api_view": below,
    "a guard above api_view": above,
    "a permission of a function": permitted,
    "a permission of a class": Permitted.as_view(),
    "a guarded class": Guarded.as_view(),
    "a guarded method": Method.as_view(),
    "a guard around as_view": requires_scope("read")(Method.as_view()),
    "a guarded class without our authentication": Sessions.as_view(),
    "a view set": Set.as_view({"get": "list"}),
}
urlpatterns = [path(f"{number}", view) for number, view in enumerate(VIEWS.values())]


@pytest.fixture
def token(settings):
    """Makes a verified token, after which nothing of the issuer is needed."""
    settings.ROOT_URLCONF = __name__
    issuer = FakeIssuer(algorithm="ES256")
    settings.RESOURCE_SERVER = issuer.settings()

    def verified(**claims):
        with issuer.serving():
            return verify(issuer.token(**claims))

    return verified


def by_client(user, token, name):
    client = APIClient()
    client.force_authenticate(user=user, token=token)
    return client.get(f"/{list(VIEWS).index(name)}")


def by_factory(user, token, name):
    request = APIRequestFactory().get("/")
    force_authenticate(request, user=user, token=token)
    return VIEWS[name](request)


def ours(caplog):
    """The records of this package; Django logs each refusal of a client too."""
    return [record for record in caplog.records if record.name == "resource_server"]


CALLS = {"APIClient": by_client, "APIRequestFactory": by_factory}


@pytest.fixture(params=CALLS.values(), ids=CALLS)
def call(request):
    return request.param


@pytest.fixture(params=["a user of the project", "a TokenUser"])
def user_of(request):
    if request.param == "a TokenUser":
        return TokenUser
    return lambda token: get_user_model()(username=token.subject)


@pytest.mark.parametrize("name", VIEWS)
def test_a_forced_token_with_the_scope_passes_and_nothing_is_logged(token, call, user_of, name, caplog):
    forced = token(scope="read")
    with caplog.at_level(logging.DEBUG, logger="resource_server"):
        response = call(user_of(forced), forced, name)
    assert (response.status_code, response.data) == (200, {"user": "auth0|ada", "subject": "auth0|ada"})
    assert ours(caplog) == []


@pytest.mark.parametrize("name", VIEWS)
def test_a_forced_token_without_the_scope_is_refused_and_is_logged_as_any(token, call, user_of, name, caplog):
    forced = token(scope="write")
    with caplog.at_level(logging.INFO, logger="resource_server"):
        response = call(user_of(forced), forced, name)
    assert response.status_code == 403
    assert 'error="insufficient_scope", ' in response["WWW-Authenticate"]
    assert [record.reason for record in ours(caplog)] == ["scope_missing"]


@pytest.mark.parametrize("name", VIEWS)
def test_a_user_who_is_forced_without_a_token_has_no_scope_and_no_setting_is_blamed(token, call, name, caplog):
    user = get_user_model()(username="ada")
    token()
    with caplog.at_level(logging.INFO, logger="resource_server"):
        response = call(user, None, name)
    assert response.status_code == 403
    assert [record.levelname for record in ours(caplog)] == ["INFO"]


def test_the_async_door_takes_a_forced_token_too(token, caplog):
    adrf = pytest.importorskip("adrf.views")

    @requires_scope("read")
    class Async(adrf.APIView):
        permission_classes = []

        async def get(self, request):
            return who(request)

    for scope, status in (("read", 200), ("write", 403)):
        request = APIRequestFactory().get("/")
        forced = token(scope=scope)
        force_authenticate(request, user=TokenUser(forced), token=forced)
        with caplog.at_level(logging.WARNING, logger="resource_server"):
            assert async_to_sync(Async.as_view())(request).status_code == status
    assert ours(caplog) == []
