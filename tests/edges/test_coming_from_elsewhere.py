"""What views and permission classes of django-oauth-toolkit read works on our tokens and views."""

import time

import pytest
from django.test import RequestFactory
from rest_framework.permissions import BasePermission
from rest_framework.response import Response
from rest_framework.views import APIView
from tests.verified import token_of

from resource_server.drf import AccessTokenAuthentication, RequirementMixin
from resource_server.requirements import AnyToken, PerMethod, Scopes, requirement_of_scopes
from resource_server.testing import FakeIssuer


class TokenHasScope(BasePermission):
    """Reads a token and a view as the permission class of this name in django-oauth-toolkit 3 does."""

    def has_permission(self, request, view):
        token = request.auth
        if not token or not hasattr(token, "scope"):
            return False
        return token.is_valid(view.required_scopes)


class View(APIView):
    authentication_classes = [AccessTokenAuthentication]

    def get(self, request):
        return Response({"scope": request.auth.scope})

    post = get


class Theirs(View):
    permission_classes = [TokenHasScope]
    required_scopes = ["read", "music"]


class Ours(RequirementMixin, View):
    required_scopes = ["read", "music"]


class Alternates(RequirementMixin, View):
    required_scopes = ["ignored"]
    required_alternate_scopes = {"GET": [["read"]], "POST": [["create"], ["post", "widget"]]}


class Inherits(Ours):
    pass


class Overrides(Ours):
    requirement = "other"


@pytest.fixture
def status(settings):
    issuer = FakeIssuer(algorithm="ES256")
    settings.RESOURCE_SERVER = issuer.settings()

    def status(view, scope, method="get"):
        request = getattr(RequestFactory(), method)(
            "/", headers={"Authorization": f"Bearer {issuer.token(scope=scope)}"}
        )
        return view.as_view()(request).status_code

    with issuer.serving():
        yield status


@pytest.mark.parametrize("view", [Theirs, Ours, Inherits])
def test_required_scopes(status, view):
    assert status(view, "music read x") == 200
    assert status(view, "read") == 403
    assert status(view, None) == 403


def test_alternate_scopes_of_each_method(status):
    assert status(Alternates, "read") == 200
    assert status(Alternates, "ignored") == 403
    assert status(Alternates, "create", "post") == 200
    assert status(Alternates, "post widget", "post") == 200
    assert status(Alternates, "post", "post") == 403
    assert status(Alternates, "read", "head") == 200
    assert status(Alternates, "read create", "options") == 403


def test_a_requirement_wins(status):
    assert status(Overrides, "other") == 200
    assert status(Overrides, "read music") == 403


def test_the_names_on_a_token():
    token = token_of(scope="b a", exp=int(time.time()) + 60)

    assert token.scope == "a b"
    assert token.allow_scopes(["a"])
    assert token.allow_scopes([])
    assert token.allow_scopes(None)
    assert not token.allow_scopes(["a", "c"])
    assert token.is_valid()
    assert (token.is_expired(), token_of(exp=int(time.time())).is_expired()) == (False, True)
    assert token.is_valid(("a", "b"))
    assert not token.is_valid(["c"])
    assert not token_of(scope="a", exp=int(time.time()) - 1).is_valid(["a"])
    for read in (token.allow_scopes, token.is_valid):
        with pytest.raises(TypeError):
            read("ab")  # its letters would be scopes


@pytest.mark.parametrize(
    ("scopes", "alternates"),
    [
        (None, None),
        ([], None),
        ("read", None),
        ([1], None),
        (["a"], {}),
        (["a"], []),
        (["a"], {"get": [["a"]]}),
        (["a"], {"GET": "read"}),
        (["a"], {"GET": ["read"]}),
        (["a"], {"GET": [[]]}),
        (["a"], {"GET": []}),
    ],
)
def test_what_cannot_be_meant_is_an_error_where_it_is_defined(scopes, alternates):
    with pytest.raises((TypeError, ValueError)):
        requirement_of_scopes(scopes, alternates)


def test_what_is_declared_reads_back():
    assert Ours.requirement == Scopes("read", "music")
    assert Alternates.requirement == PerMethod(
        {"GET": "read", "POST": Scopes("create") | Scopes("post", "widget")},
    )
    assert RequirementMixin.requirement == ~AnyToken()
