"""The OpenAPI document says of every operation what its requirement demands, in scopes and in words."""

from importlib import import_module

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import override_settings
from django.urls import include, path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.settings import patched_settings
from openapi_spec_validator import validate

from resource_server.testing import FakeIssuer

import_module("resource_server.spectacular")  # as the app does where drf-spectacular is installed

REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
with override_settings(REST_FRAMEWORK=REST_FRAMEWORK):
    from drf_spectacular.utils import extend_schema
    from rest_framework.permissions import AllowAny, IsAuthenticated
    from rest_framework.response import Response
    from rest_framework.routers import SimpleRouter
    from rest_framework.serializers import ModelSerializer
    from rest_framework.views import APIView
    from rest_framework.viewsets import ModelViewSet

    from resource_server import requires
    from resource_server.drf import AccessTokenAuthentication, RequirementMixin, Requires
    from resource_server.requirements import AnyScope, AnyToken, Claim, Machine, Owner, Roles, Scopes

    class Plain(APIView):
        authentication_classes = [AccessTokenAuthentication]
        permission_classes = []

        @extend_schema(responses=None)
        def get(self, request):
            return Response()

        @extend_schema(request=None, responses=None)
        def post(self, request):
            return Response()

    class UserSerializer(ModelSerializer):
        class Meta:
            model = User
            fields = ["id", "username"]

    class Users(RequirementMixin, ModelViewSet):
        requirement = {
            "list": Scopes("admin") | Scopes("read") & Owner("username"),
            "retrieve": "read",
            "create": "write",
            "*": Scopes("admin") & Machine(),
        }
        authentication_classes = [AccessTokenAuthentication]
        serializer_class = UserSerializer
        queryset = User.objects.all()

    router = SimpleRouter()
    router.register("users", Users, basename="users")

    class Mixed(RequirementMixin, Plain):
        requirement = {"GET": "read", "POST": Roles("editor") | AnyScope("write", "admin")}
        permission_classes = [IsAuthenticated]


A, ROLE = Scopes("a"), Roles("r")
PINNED = {
    "OAUTH2_AUTHORIZATION_URL": "https://issuer.test/authorize",
    "OAUTH2_TOKEN_URL": "https://issuer.test/token",
    "POSTPROCESSING_HOOKS": ["resource_server.spectacular.describe_access"],
}


@pytest.fixture(autouse=True)
def project(settings):
    issuer = FakeIssuer(algorithm="ES256")
    issuer.failure = "fetch_failed"
    settings.RESOURCE_SERVER = issuer.settings()
    settings.REST_FRAMEWORK = REST_FRAMEWORK
    with issuer.serving():
        yield
    assert issuer.fetched == []


def document(*patterns):
    with patched_settings(PINNED):
        made = SchemaGenerator(patterns=list(patterns)).get_schema(public=True)
    validate(made)
    return made


def tokens(*alternatives):
    return [{"accessToken": scopes.split()} for scopes in alternatives]


# requirement -> the alternatives for GET, the words where these do not say all
DESCRIBED = {
    "scopes": ("a b", tokens("a b"), None),
    "any scope": (AnyScope("a", "b"), tokens("a", "b"), None),
    "any token": (AnyToken(), tokens(""), None),
    "composed scopes": (A & (Scopes("b") | Scopes("c")), tokens("a b", "a c"), None),
    "role": (ROLE, tokens(""), "role `r`"),
    "role and scope": (ROLE & A, tokens("a"), "role `r` and scope `a`"),
    "role or scope": (ROLE | A, tokens("", "a"), "role `r` or scope `a`"),
    "not a scope": (~A, tokens(""), "not (scope `a`)"),
    "not beside a scope": (Scopes("b") & ~A, tokens("b"), "scope `b` and not (scope `a`)"),
    "claim": (Claim("/a/b", contains="x"), tokens(""), "claim `/a/b` with an accepted value"),
    "method": ({"GET": "a", "POST": ROLE}, tokens("a"), None),
    "another method": ({"POST": "a"}, tokens(""), "POST: scope `a`"),
    "method with a role": ({"GET": A & ROLE}, tokens("a"), "scope `a` and role `r`"),
}
WAYS = {
    "permission class": lambda declared: type("Here", (Plain,), {"permission_classes": [Requires(declared)]}).as_view(),
    "guard on the class": lambda declared: requires(declared)(Plain).as_view(),
    "guard outside": lambda declared: requires(declared)(Plain.as_view()),
    "mixin": lambda declared: type("Here", (RequirementMixin, Plain), {"requirement": declared}).as_view(),
}


@pytest.mark.parametrize("make", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("declared", "security", "words"), DESCRIBED.values(), ids=DESCRIBED)
def test_a_requirement_is_described_however_it_is_declared(make, declared, security, words):
    described = document(path("x/", make(declared)))["paths"]["/x/"]["get"]

    assert described["security"] == security
    assert described.get("description") == (None if words is None else f"Access: {words}.")
    assert {"401", "403", "503"} <= set(described["responses"])


def test_each_action_of_a_viewset_is_described():
    made = document(path("", include(router.urls)))
    many, one = made["paths"]["/users/"], made["paths"]["/users/{id}/"]

    assert many["get"]["security"] == tokens("admin", "read")
    assert many["get"]["description"] == (
        "Access: `IsAuthenticated` and (scope `admin` or scope `read` and the owner (`username`))."
    )
    assert many["post"]["security"] == tokens("write")
    assert one["get"]["security"] == tokens("read")
    for method in ("put", "patch", "delete"):
        assert one[method]["security"] == tokens("admin")
        assert one[method]["description"] == "Access: `IsAuthenticated` and scope `admin` and a machine."
    flow = made["components"]["securitySchemes"]["accessToken"]["flows"]["authorizationCode"]
    assert list(flow["scopes"]) == ["admin", "read", "write"]


def test_a_requirement_per_method_beside_other_permissions():
    operations = document(path("x/", Mixed.as_view()))["paths"]["/x/"]

    assert operations["get"]["security"] == tokens("read")
    assert operations["post"]["security"] == tokens("", "write", "admin")
    assert "role `editor` or scope `write` or scope `admin`" in operations["post"]["description"]


def test_a_requirement_among_permissions_of_rest_framework():
    either = type("Either", (Plain,), {"permission_classes": [Requires(A) | Requires(ROLE)]})
    anyone = type("Anyone", (Plain,), {"permission_classes": [AllowAny | Requires(ROLE)]})

    assert document(path("x/", either.as_view()))["paths"]["/x/"]["get"]["security"] == tokens("a", "")
    assert document(path("x/", anyone.as_view()))["paths"]["/x/"]["get"]["security"] == [{"accessToken": []}, {}]
