"""What is Django REST Framework's own: orders of classes, permissions that compose, throttles, the browsable API."""

import logging
from itertools import permutations
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AnonymousUser, Group
from django.http import HttpResponseForbidden
from django.test import RequestFactory
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.permissions import AllowAny, BasePermission, DjangoModelPermissions, IsAuthenticated
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from resource_server.drf import AccessTokenAuthentication, AuthorizationFailed, RequiresAnyScope, RequiresScope
from resource_server.testing import FakeIssuer

BARE = 'Bearer realm="api"'
READ, WRITE = RequiresScope("read"), RequiresScope("write")


class Nobody(BasePermission):
    def has_permission(self, request, view):
        return False


class View(APIView):
    authentication_classes = [AccessTokenAuthentication]
    renderer_classes = [JSONRenderer]

    def get(self, request):
        return Response({"user": str(request.user)})


def call(view=View, authorization=None, *, user=None, **attributes):
    request = RequestFactory().get("/", headers={"Authorization": authorization} if authorization else {})
    if user is not None:
        request.user = user
    return type("Changed", (view,), attributes).as_view()(request).render()


@pytest.fixture
def bearer(issuer):
    return lambda **claims: f"Bearer {issuer.token(**claims)}"


@pytest.mark.parametrize(
    ("permission", "admitted", "asked"),
    [
        (READ, {"read", "read write"}, "read"),
        (READ & WRITE, {"read write"}, "read write"),
        (READ | WRITE, {"read", "write", "read write"}, "read"),
        (~READ, {None, "write", "anonymous"}, None),
        (IsAuthenticated & READ, {"read", "read write"}, "read"),
        (READ & IsAuthenticated, {"read", "read write"}, "read"),
        (IsAuthenticated & ~READ, {None, "write"}, None),
        (Nobody | READ, {"read", "read write"}, None),
        (READ | Nobody, {"read", "read write"}, None),
        (AllowAny | READ, {None, "read", "write", "read write", "anonymous"}, None),
        ((READ & WRITE) | (IsAuthenticated & ~READ), {None, "write", "read write"}, None),
        (RequiresAnyScope("read", "write"), {"read", "write", "read write"}, "read write"),
    ],
    ids=range(12),
)
@pytest.mark.parametrize("scope", [None, "read", "write", "read write", "anonymous"])
def test_permissions_compose(bearer, permission, admitted, asked, scope):
    authorization = None if scope == "anonymous" else bearer(scope=scope)
    response = call(authorization=authorization, permission_classes=[permission])

    expected = 200 if scope in admitted else 401 if scope == "anonymous" else 403
    assert response.status_code == expected
    if expected == 401:
        assert response["WWW-Authenticate"] == (f'{BARE}, scope="{asked}"' if asked else BARE)


@pytest.mark.parametrize(
    "permission",
    [
        READ,
        IsAuthenticated & READ,
        READ & IsAuthenticated,
        Nobody | READ,
        READ | Nobody,
        (READ | Nobody) & IsAuthenticated,
    ],
    ids=range(6),
)
def test_a_composed_permission_names_the_scope_that_lacks(bearer, permission):
    response = call(authorization=bearer(), permission_classes=[permission])

    assert response.status_code == 403
    assert response["WWW-Authenticate"].endswith('error_description="access token lacks a scope: read", scope="read"')


def test_a_scope_is_not_blamed_for_what_another_permission_says(bearer):
    class Closed(BasePermission):
        message = "closed on Sundays"

        def has_permission(self, request, view):
            return False

    response = call(authorization=bearer(), permission_classes=[READ | IsAuthenticated, Closed])

    assert (response.status_code, response.data["detail"]) == (403, "closed on Sundays")
    assert "WWW-Authenticate" not in response


@pytest.mark.parametrize(
    ("permission", "scope", "status"),
    [(READ, "read", 200), (READ, None, 403), (~READ, None, 200), (~READ, "read", 403)],
)
def test_object_permissions(bearer, permission, scope, status):
    class ObjectView(View):
        permission_classes = [AllowAny]

        def get(self, request):
            self.permission_classes = [permission]
            self.check_object_permissions(request, object())
            return Response({})

    assert call(ObjectView, bearer(scope=scope)).status_code == status


ORDERS = list(permutations([AccessTokenAuthentication, SessionAuthentication, BasicAuthentication]))


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: " ".join(cls.__name__[:6] for cls in order))
@pytest.mark.django_db
def test_the_order_of_the_classes_does_not_matter(bearer, order, django_user_model):
    person = django_user_model.objects.create_user("ada", password="secret")
    demanding = {"authentication_classes": list(order), "permission_classes": [IsAuthenticated, READ]}

    def answer(**changes):
        response = call(**{**demanding, **changes})
        return response.status_code, response.get("WWW-Authenticate", "")

    assert answer() == (401, f'{BARE}, scope="read"')
    assert answer(authorization="Bearer x")[0] == 401
    assert answer(authorization="Bearer x")[1].startswith(f'{BARE}, error="invalid_token"')
    assert answer(authorization=bearer(scope="read")) == (200, "")
    assert answer(authorization=bearer())[0] == 403
    assert 'scope="read"' in answer(authorization=bearer())[1]
    for alone in ({"user": person}, {"authorization": "Basic YWRhOnNlY3JldA=="}):
        assert answer(**alone)[0] == 403
        assert 'scope="read"' in answer(**alone)[1]
        assert answer(**alone, permission_classes=[IsAuthenticated]) == (200, "")


def test_an_exception_handler_of_the_project_sees_our_error(bearer, settings):
    seen = []

    def handler(error, context):
        seen.append(error)
        return HttpResponseForbidden()

    class Handled(View):
        def get_exception_handler(self):
            return handler

    request = RequestFactory().get("/", headers={"Authorization": "Bearer x"})
    assert Handled.as_view()(request).status_code == 403
    assert isinstance(seen[0], AuthorizationFailed)
    assert seen[0].error.reason == "token_malformed"


def test_a_throttle_counts_each_person_of_each_issuer(bearer, issuer, settings):
    class Once(UserRateThrottle):
        rate = "1/day"

    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "throttle"}}
    limited = {"throttle_classes": [Once]}

    assert call(authorization=bearer(sub="a|1"), **limited).status_code == 200
    assert call(authorization=bearer(sub="a.1"), **limited).status_code == 200
    assert call(authorization=bearer(sub="a|1"), **limited).status_code == 429


@pytest.mark.django_db
def test_the_browsable_api_shows_a_token_user(bearer):
    response = call(authorization=bearer(), renderer_classes=[BrowsableAPIRenderer])

    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/html")
    assert "auth0|ada" in response.text


@pytest.mark.django_db
def test_model_permissions_refuse_a_token_user_without_an_exception(bearer):
    class Groups(View):
        permission_classes = [DjangoModelPermissions]
        queryset = Group.objects.all()

        def post(self, request):
            return Response({})

    request = RequestFactory().post("/", headers={"Authorization": bearer()})
    assert Groups.as_view()(request).status_code == 403


def test_a_subclass_of_ours_serves_alike(issuer):
    class Ours(AccessTokenAuthentication):
        pass

    response = call(authentication_classes=[SessionAuthentication, Ours], permission_classes=[IsAuthenticated])
    assert (response.status_code, response["WWW-Authenticate"]) == (401, BARE)
    response = call(authorization=f"Bearer {FakeIssuer(algorithm='ES256').token()}", authentication_classes=[Ours])
    assert response.status_code == 401


def test_another_packages_token_is_no_access_token(issuer):
    class Foreign(SessionAuthentication):
        def authenticate(self, request):
            return AnonymousUser(), SimpleNamespace(scopes=frozenset({"read"}))

    response = call(authentication_classes=[AccessTokenAuthentication, Foreign], permission_classes=[READ])

    assert (response.status_code, response.data["reason"]) == (403, "token_missing")


def test_a_view_with_two_of_our_classes_logs_a_refusal_once(issuer, caplog):
    class Second(AccessTokenAuthentication):
        pass

    caplog.set_level(logging.INFO, logger="resource_server")
    response = call(authentication_classes=[AccessTokenAuthentication, Second], permission_classes=[IsAuthenticated])

    assert (response.status_code, response["Vary"]) == (401, "Authorization")
    assert caplog.messages.count("credentials_missing: no access token was sent (GET '/')") == 1
