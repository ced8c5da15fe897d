"""What an edge does where something is missing: no authentication in the view, HEAD and OPTIONS, a session beside a token."""

import pytest
from django.contrib.auth.models import User
from django.http import JsonResponse
from django.test import Client
from django.urls import path
from ninja import NinjaAPI
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from resource_server import requires_scope
from resource_server.drf import AccessTokenAuthentication, RequirementMixin, RequiresScope
from resource_server.testing import FakeIssuer

ran = []
read = requires_scope("read")


def run(request, *args, **kwargs):
    """The body of each view here."""
    ran.append(request.method)
    return {}


class Without(APIView):
    """No authentication class at all; open but for the edge that is added."""

    authentication_classes = []
    permission_classes = [AllowAny]

    def get(self, request):
        return Response(run(request))

    post = put = patch = delete = get


class GuardedMethods(Without):
    get = post = put = patch = delete = read(Without.get)


class Permission(Without):
    permission_classes = [RequiresScope("read")]


class Mixin(RequirementMixin, ViewSet):
    authentication_classes = []
    permission_classes = [AllowAny]
    requirement = "read"

    def list(self, request):
        return Response(run(request))

    def create(self, request):
        return Response(run(request))


@read
def plain(request):
    return JsonResponse(run(request))


bare = NinjaAPI(urls_namespace="slips")


@bare.api_operation(["GET", "POST"], "/operation")
@read
def operation(request):
    return run(request)


class FirstSessions(APIView):
    authentication_classes = [SessionAuthentication, AccessTokenAuthentication]
    permission_classes = [IsAuthenticated]

    def get(self, request):
        return Response(run(request))

    post = put = patch = delete = get


class FirstTokens(FirstSessions):
    authentication_classes = [AccessTokenAuthentication, SessionAuthentication]


class GuardedMixed(FirstTokens):
    permission_classes = [RequiresScope("read")]


router = SimpleRouter()
router.register("mixin", Mixin, basename="mixin")
WITHOUT = {
    "plain": "/plain",
    "guard around as_view()": "/around",
    "guard on a class": "/class",
    "guard on a method": "/methods",
    "permission class": "/permission",
    "mixin": "/mixin/",
    "operation of django-ninja": "/ninja/operation",
}
SESSIONS = ["/sessions-first", "/tokens-first", "/guarded-mixed"]
urlpatterns = [
    path("plain", plain),
    path("around", read(Without.as_view())),
    path("class", read(Without).as_view()),
    path("methods", GuardedMethods.as_view()),
    path("permission", Permission.as_view()),
    path("ninja/", bare.urls),
    path("sessions-first", FirstSessions.as_view()),
    path("tokens-first", FirstTokens.as_view()),
    path("guarded-mixed", GuardedMixed.as_view()),
    *router.urls,
]


@pytest.fixture(autouse=True)
def issuer(settings):
    issuer = FakeIssuer(algorithm="ES256")
    settings.ROOT_URLCONF = __name__
    settings.RESOURCE_SERVER = issuer.settings()
    ran.clear()
    with issuer.serving():
        yield issuer


METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("edge", WITHOUT)
def test_without_authentication_and_without_a_token_no_body_runs(issuer, edge, method):
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Bearer {issuer.token()}"}):
        response = Client().generic(method, WITHOUT[edge], headers=headers)

        assert ran == []
        # A method that the guard does not stand on is refused by the framework, or described by it.
        allowed = {401, 403, 405} | ({200} if (edge, method) == ("guard on a method", "OPTIONS") else set())
        assert response.status_code in allowed
        if response.status_code in {401, 403}:
            assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("edge", ["guard on a class", "guard on a method", "permission class", "mixin"])
def test_a_view_of_rest_framework_without_authentication_refuses_a_good_token_too(issuer, caplog, edge, method):
    good = {"Authorization": f"Bearer {issuer.token(scope='read')}"}
    response = Client().generic(method, WITHOUT[edge], headers=good)

    assert (response.status_code, ran) == (403, [])
    assert response["Cache-Control"] == "no-store"
    assert "none of its authentication classes reads access tokens" in caplog.text


@pytest.mark.parametrize(
    ("method", "status"), [("POST", 403), ("PUT", 403), ("PATCH", 403), ("DELETE", 403), ("GET", 200), ("HEAD", 200)]
)
@pytest.mark.parametrize("address", SESSIONS[:2])
def test_a_session_needs_its_csrf_token(db, address, method, status):
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_user("ada"))

    assert client.generic(method, address).status_code == status
    assert len(ran) == (status == 200)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("address", SESSIONS)
def test_a_token_beside_a_session_does_not_dodge_csrf(db, issuer, address, method):
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_user("ada"))
    bad = [FakeIssuer(algorithm="ES256").token(scope="read"), issuer.token(exp=1, scope="read"), "x", ""]
    for token in bad:
        response = client.generic(method, address, headers={"Authorization": f"Bearer {token}"})
        assert response.status_code in {401, 403}
        assert ran == []

    good = client.generic(method, address, headers={"Authorization": f"Bearer {issuer.token(scope='read')}"})
    # The token decides where it is read first: then the session is not used, so nothing is forged by its cookie.
    if address == "/sessions-first":
        assert (good.status_code, ran) == (403, [])
    else:
        assert (good.status_code, ran) == (200, [method])


# What each method gets behind each edge, without a token and with a good one.
ANSWERS = {
    "plain": {"HEAD": (401, 200), "OPTIONS": (401, 200)},
    "permission class": {"HEAD": (401, 200), "OPTIONS": (401, 200)},
    "guard on a class": {"HEAD": (401, 200), "OPTIONS": (401, 200)},
    "guard on a method": {"HEAD": (401, 200), "OPTIONS": (200, 200)},
    "guard around as_view()": {"HEAD": (401, 200), "OPTIONS": (401, 200)},
    "mixin": {"HEAD": (401, 200), "OPTIONS": (401, 200)},
    "operation of django-ninja": {"HEAD": (405, 405), "OPTIONS": (405, 405)},
}


@pytest.mark.parametrize("edge", ANSWERS)
def test_head_and_options_by_the_table(issuer, monkeypatch, edge):
    for view in (Without, GuardedMethods, Permission, Mixin):
        monkeypatch.setattr(view, "authentication_classes", [AccessTokenAuthentication])
    good = {"Authorization": f"Bearer {issuer.token(scope='read')}"}
    for method, (without, with_token) in ANSWERS[edge].items():
        assert Client().generic(method, WITHOUT[edge]).status_code == without
        assert ran == []
        answer = Client().generic(method, WITHOUT[edge], headers=good)
        assert answer.status_code == with_token
        ran.clear()
