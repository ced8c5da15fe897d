"""The OpenAPI document of a URLconf with every kind of view: its security, its scopes, its validity, and what making it sends."""

import logging
from importlib import import_module

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.test import override_settings
from django.urls import path
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.settings import patched_settings
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from openapi_spec_validator import validate
from rest_framework.authentication import BasicAuthentication
from rest_framework.generics import GenericAPIView, ListCreateAPIView, RetrieveUpdateDestroyAPIView
from rest_framework.permissions import (
    AllowAny,
    IsAuthenticated,
)
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from resource_server import requires_scope, requires_token, signals
from resource_server.drf import AccessTokenAuthentication, RequiresScope
from resource_server.testing import FakeIssuer
from resource_server.trusted import trusted_issuers

import_module("resource_server.spectacular")  # as the app does where drf-spectacular is installed

REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
with override_settings(REST_FRAMEWORK=REST_FRAMEWORK):
    from tests.edges.openapi_views import (
        ANY_CREDENTIALS,
        CLASSES,
        COMPOSED,
        EVERY_KIND,
        IN_WORDS,
        KINDS,
        A,
        B,
        DecoratedGet,
        Groups,
        GroupSerializer,
        Owner,
        Plain,
        SessionAlone,
        TwoGuardedBases,
        permitting,
        requiring,
        rest_function,
        router,
        tokens,
    )

PINNED = {
    "OAUTH2_AUTHORIZATION_URL": "https://issuer.test/authorize",
    "OAUTH2_TOKEN_URL": "https://issuer.test/token",
}
UNPINNED = dict.fromkeys(PINNED)
HOOKS = ["resource_server.spectacular.describe_access"]


class Routes:
    """A URLconf."""

    def __init__(self, *patterns):
        self.urlpatterns = patterns


@pytest.fixture(autouse=True)
def project(settings):
    """A project with drf-spectacular, whose issuer is down."""
    issuer = FakeIssuer(algorithm="ES256")
    issuer.failure = "fetch_failed"
    settings.RESOURCE_SERVER = issuer.settings()
    settings.REST_FRAMEWORK = REST_FRAMEWORK
    with issuer.serving():
        yield issuer
    assert issuer.fetched == []


def document(*patterns, **spectacular):
    patched = {**PINNED, "POSTPROCESSING_HOOKS": HOOKS, **spectacular}
    with patched_settings(patched):
        return SchemaGenerator(patterns=list(patterns)).get_schema(public=True)


def operation(view, method="get", route="x/", **spectacular):
    [found] = [methods[method] for methods in document(path(route, view), **spectacular)["paths"].values()]
    return found


def security(view, method="get", **spectacular):
    return operation(view, method, **spectacular)["security"]


@pytest.mark.parametrize(("view", "scopes"), KINDS.values(), ids=KINDS)
def test_scopes_of_every_kind_of_view(view, scopes):
    described = operation(view)
    assert described["security"] in [tokens(one) for one in scopes.split("|")]
    assert {"401", "403", "503"} <= set(described["responses"])
    assert "Access:" not in described.get("description", "")


@pytest.mark.parametrize("problem_details", [False, True])
def test_the_document_describes_the_body_of_a_refusal(project, settings, problem_details):
    settings.RESOURCE_SERVER = project.settings(PROBLEM_DETAILS=problem_details)
    view = permitting(A)
    found = document(path("x/", view))["components"]["responses"]
    refused = view(APIRequestFactory().get("/x/")).render()

    media = "application/problem+json" if problem_details else "application/json"
    assert refused["Content-Type"] == media
    assert {name: list(each["content"]) for name, each in found.items()} == {name: [media] for name in found}
    assert {name: list(each["headers"]) for name, each in found.items()} == {
        "Unauthenticated": ["WWW-Authenticate"],
        "InsufficientScope": ["WWW-Authenticate"],
        "Unavailable": ["Retry-After"],
    }


def test_two_guarded_bases_are_both_demanded():
    assert security(TwoGuardedBases.as_view()) == tokens("a b", "a c")


def test_a_guard_on_one_method_leaves_the_others():
    assert security(DecoratedGet.as_view(), "post") == ANY_CREDENTIALS
    assert security(requiring(Plain, "a"), "post") == ANY_CREDENTIALS


def test_a_class_stays_unguarded_beside_its_guarded_as_view():
    paths = document(path("a/", requires_scope("a")(Plain.as_view())), path("b/", Plain.as_view()))["paths"]
    assert paths["/a/"]["get"]["security"] == tokens("a")
    assert paths["/b/"]["get"]["security"] == ANY_CREDENTIALS


@pytest.mark.parametrize(("permission", "expected"), COMPOSED.values(), ids=COMPOSED)
def test_composed_permissions_become_alternatives(permission, expected):
    described = operation(permitting(permission))
    assert described["security"] == expected
    assert "Access:" not in described.get("description", "")


@pytest.mark.parametrize(("permission", "expected", "words"), IN_WORDS.values(), ids=IN_WORDS)
def test_what_alternatives_cannot_say_stands_in_the_description(permission, expected, words):
    described = operation(permitting(permission))
    assert described["security"] == expected
    assert described["description"] == f"Access: {words}."


def test_a_comment_follows_the_views_own_description():
    class Documented(Plain):
        permission_classes = [~A]

        @extend_schema(responses=None)
        def get(self, request):
            """List what there is."""
            return Response()

    assert operation(Documented.as_view())["description"] == "List what there is.\n\nAccess: not (scope `a`)."


def test_many_alternatives_are_cut_and_said_in_words():
    permission = IsAuthenticated
    for number in range(40):
        permission &= RequiresScope(f"a{number}") | RequiresScope(f"b{number}")
    described = operation(permitting(permission))
    assert 1 < len(described["security"]) <= 64
    assert all(list(entry) == ["accessToken"] for entry in described["security"])
    assert "(scope `a39` or scope `b39`)" in described["description"]


OPEN = {
    "AllowAny": ([AllowAny], [*ANY_CREDENTIALS, {}]),
    "IsAuthenticated": ([IsAuthenticated], ANY_CREDENTIALS),
    "another permission": ([Owner | IsAuthenticated], ANY_CREDENTIALS),
    "not, without a scope": ([~IsAuthenticated], ANY_CREDENTIALS),
}


@pytest.mark.parametrize(("permissions", "expected"), OPEN.values(), ids=OPEN)
def test_a_view_that_demands_no_scope_stays_as_it_was(permissions, expected):
    described = operation(permitting(*permissions))
    assert described["security"] == expected
    assert "description" not in described
    assert "403" not in described["responses"]


def test_viewsets_of_a_router_have_scopes_by_action():
    paths = document(router())["paths"]
    found = {
        (route.removeprefix("/router/groups/"), method): described["security"]
        for route, methods in paths.items()
        for method, described in methods.items()
        if route.startswith("/router/groups/")
    }
    assert found == {
        ("", "get"): [*ANY_CREDENTIALS, {}],
        ("", "post"): tokens("a"),
        ("{id}/", "get"): ANY_CREDENTIALS,
        ("{id}/", "put"): tokens("update"),
        ("{id}/", "patch"): tokens("update"),
        ("{id}/", "delete"): ANY_CREDENTIALS,
        ("inside/", "get"): tokens("inside"),
        ("{id}/outside/", "post"): tokens("b c", "b d"),
        ("session/", "get"): [{"cookieAuth": []}],
    }
    assert paths["/router/guarded/"]["get"]["security"] == tokens("class")
    assert paths["/router/guarded/{id}/outside/"]["post"]["security"] == tokens("b class c", "b class d")
    assert paths["/router/nothing/"]["get"]["security"] == [*ANY_CREDENTIALS, {}]
    assert paths["/router/async-nothing/"]["get"]["security"] == tokens("a")


def test_generic_views_with_a_guard_on_what_answers():
    class Collection(ListCreateAPIView):
        queryset = Group.objects.all()
        serializer_class = GroupSerializer
        authentication_classes = CLASSES
        permission_classes = [AllowAny]

        @requires_scope("a")
        def list(self, request, *args, **kwargs):
            return super().list(request, *args, **kwargs)

    class Item(RetrieveUpdateDestroyAPIView):
        queryset = Group.objects.all()
        serializer_class = GroupSerializer
        authentication_classes = CLASSES
        permission_classes = [IsAuthenticated]

        @requires_scope("b")
        def update(self, request, *args, **kwargs):
            return super().update(request, *args, **kwargs)

    assert security(Collection.as_view()) == tokens("a")
    assert security(Collection.as_view(), "post") == [*ANY_CREDENTIALS, {}]
    item = {method: operation(Item.as_view(), method, "x/<int:pk>/")["security"] for method in ("get", "put", "patch")}
    assert item == {"get": ANY_CREDENTIALS, "put": tokens("b"), "patch": tokens("b")}


def test_as_view_of_a_viewset_inside_a_guard():
    view = requires_scope("a")(Groups.as_view({"get": "retrieve", "post": "create"}))
    described = document(path("x/", view))["paths"]["/x/"]
    assert described["get"]["security"] == tokens("a")
    assert described["post"]["security"] == tokens("a")


def test_a_view_extension_of_the_project_still_replaces_its_view():
    class Library(APIView):
        authentication_classes = CLASSES

        def get(self, request):
            return Response()

    class Described(OpenApiViewExtension):
        target_class = Library

        def view_replacement(self):
            class Replacement(self.target):
                @extend_schema(responses=None, description="described elsewhere")
                def get(self, request):
                    return Response()

            return Replacement

    try:
        described = operation(requires_scope("a")(Library.as_view()))
    finally:
        OpenApiViewExtension._registry.remove(Described)
    assert (described["description"], described["security"]) == ("described elsewhere", tokens("a"))


def test_security_that_a_view_describes_itself_stays():
    class Own(Plain):
        @extend_schema(responses=None, auth=[{"accessToken": ["own"]}, {"cookieAuth": []}])
        @requires_scope("a")
        def get(self, request):
            return Response()

    described = operation(Own.as_view())
    assert described["security"] == [{"accessToken": ["own"]}, {"cookieAuth": []}]
    assert {"401", "403", "503"} <= set(described["responses"])


TRUSTED = {
    "pinned": (PINNED, {}, "oauth2"),
    "discovered": (UNPINNED, {}, "openIdConnect"),
    "discovered on this machine while tests run": (UNPINNED, {"ISSUER": "http://127.0.0.1:9000"}, "openIdConnect"),
    "static keys": (UNPINNED, {"JWKS": FakeIssuer().keys.jwks()}, "http"),
    "keys at an address": (UNPINNED, {"JWKS_URI": "https://issuer.test/keys"}, "http"),
    "wrong settings": (UNPINNED, {"AUDIENCE": None}, "http"),
}


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0", "3.1.1"])
@pytest.mark.parametrize(("pins", "trusted", "scheme"), TRUSTED.values(), ids=TRUSTED)
def test_a_document_with_every_kind_of_view_is_valid(settings, pins, trusted, scheme, version):
    settings.RESOURCE_SERVER = {**settings.RESOURCE_SERVER, **trusted}
    GENERATOR_STATS.reset()
    made = document(*EVERY_KIND, OAS_VERSION=version, **pins)

    validate(made)
    assert not GENERATOR_STATS, (GENERATOR_STATS._warn_cache, GENERATOR_STATS._error_cache)
    assert made["openapi"] == version
    assert made["components"]["securitySchemes"]["accessToken"]["type"] == scheme
    for described in (described for methods in made["paths"].values() for described in methods.values()):
        scopes = [scope for entry in described["security"] for scope in entry.get("accessToken", ())]
        if scheme == "http" and version == "3.0.3":
            assert scopes == []
        assert set(entry_names(described)) <= set(made["components"]["securitySchemes"])


def entry_names(described):
    return (name for entry in described["security"] for name in entry)


STATIC = {**UNPINNED, "OAS_VERSION": "3.0.3"}


def test_scopes_of_a_bearer_scheme_stand_in_the_description(settings):
    settings.RESOURCE_SERVER = {**settings.RESOURCE_SERVER, "JWKS": FakeIssuer().keys.jwks()}
    described = operation(permitting(A | B), **STATIC)
    assert described["security"] == tokens("")
    assert described["description"] == "Access: scope `a` or scope `b`."
    assert "description" not in operation(rest_function(below=[requires_token]), **STATIC)
    described = operation(permitting(A | B), **{**STATIC, "OAS_VERSION": "3.1.0"})
    assert described["security"] == tokens("a", "b")
    assert "description" not in described


def schemes(**spectacular):
    return document(*EVERY_KIND, **spectacular)["components"]["securitySchemes"]["accessToken"]


def test_the_flow_lists_the_scopes_that_views_demand():
    views = [
        path("a/", permitting(A | B)),
        path("b/", requiring(Plain, "c")),
        path("c/", permitting(~RequiresScope("x"))),
    ]
    made = document(*views, OAUTH2_SCOPES={"c": "see", "other": "do other things"})
    assert made["components"]["securitySchemes"]["accessToken"] == {
        "type": "oauth2",
        "flows": {
            "authorizationCode": {
                "authorizationUrl": "https://issuer.test/authorize",
                "tokenUrl": "https://issuer.test/token",
                "scopes": {"a": "", "b": "", "c": "see", "other": "do other things"},
            }
        },
    }


FLOWS = {
    "the authorization code": ([], {"authorizationCode": ["authorizationUrl", "refreshUrl", "scopes", "tokenUrl"]}),
    "a machine's": (["clientCredentials"], {"clientCredentials": ["refreshUrl", "scopes", "tokenUrl"]}),
    "both": (["authorizationCode", "clientCredentials"], {"authorizationCode": [], "clientCredentials": []}),
    "implicit": (["implicit"], {"implicit": ["authorizationUrl", "refreshUrl", "scopes"]}),
}


@pytest.mark.parametrize(("names", "expected"), FLOWS.values(), ids=FLOWS)
def test_flows_can_be_pinned(names, expected):
    scheme = schemes(OAUTH2_FLOWS=names, OAUTH2_REFRESH_URL="https://issuer.test/refresh")
    assert sorted(scheme["flows"]) == sorted(expected)
    for name, members in expected.items():
        assert not members or sorted(scheme["flows"][name]) == members
        assert "update" in scheme["flows"][name]["scopes"]


def test_a_flow_that_lacks_an_address_is_left_out():
    assert schemes(OAUTH2_AUTHORIZATION_URL=None)["type"] == "openIdConnect"
    assert list(schemes(OAUTH2_TOKEN_URL=None, OAUTH2_FLOWS=["implicit", "password"])["flows"]) == ["implicit"]


def test_the_document_is_the_same_with_the_issuer_up_and_down(settings):
    down = document(*EVERY_KIND, **UNPINNED)
    issuer = FakeIssuer(settings.RESOURCE_SERVER["ISSUER"])
    with issuer.serving():
        up = document(*EVERY_KIND, **UNPINNED)
        assert trusted_issuers()[0].metadata is not None
        known = document(*EVERY_KIND, **UNPINNED)
    assert up == down == known
    assert down["components"]["securitySchemes"]["accessToken"] == {
        "type": "openIdConnect",
        "openIdConnectUrl": f"{issuer.issuer.rstrip('/')}/.well-known/openid-configuration",
    }


SEVERAL = {
    "a list": [{"ISSUER": "https://one.test/"}, {"ISSUER": "https://two.test/"}],
    "a function": "tests.edges.test_openapi.no_issuer",
}


def no_issuer(issuer):
    return None


@pytest.mark.parametrize("issuers", SEVERAL.values(), ids=SEVERAL)
def test_several_issuers_are_a_plain_bearer_token(settings, issuers):
    settings.RESOURCE_SERVER = {"AUDIENCE": "https://api.test/", "ISSUERS": issuers}
    made = document(path("x/", permitting(A)), **UNPINNED)
    assert made["components"]["securitySchemes"]["accessToken"]["type"] == "http"


def test_subclasses_of_our_class_are_one_scheme(capsys):
    class Lenient(AccessTokenAuthentication):
        leaves_foreign_credentials = True

    lenient = type("View", (Plain,), {"authentication_classes": [Lenient]})
    views = [path("a/", lenient.as_view()), path("b/", Plain.as_view()), path("c/", requiring(SessionAlone, "a"))]
    made = document(*views)
    assert sorted(made["components"]["securitySchemes"]) == ["accessToken", "basicAuth", "cookieAuth"]
    assert capsys.readouterr().err == ""


@pytest.fixture
def rejected():
    """The reasons that receivers of `token_rejected` got."""
    reasons = []

    def receiver(error, **_):
        reasons.append(error.reason)

    signals.token_rejected.connect(receiver)
    yield reasons
    signals.token_rejected.disconnect(receiver)


def test_the_document_is_the_same_while_debug_is_on_and_describes_no_hint(settings):
    in_production = document(*EVERY_KIND)
    settings.DEBUG = True
    assert document(*EVERY_KIND) == in_production
    assert "hint" not in str(in_production)


@pytest.mark.parametrize("public", [True, False], ids=["all", "what the caller may see"])
@pytest.mark.parametrize("with_token", [True, False], ids=["token", "anonymous"])
def test_making_a_document_tells_of_no_refusal(settings, caplog, rejected, public, with_token):
    issuer = FakeIssuer(algorithm="ES256")
    served = SpectacularAPIView.as_view(
        schema=None,
        serve_public=public,
        authentication_classes=[AccessTokenAuthentication],
        permission_classes=[AllowAny],
        custom_settings={"POSTPROCESSING_HOOKS": HOOKS},
    )
    settings.RESOURCE_SERVER = issuer.settings()
    settings.ROOT_URLCONF = Routes(*EVERY_KIND, path("schema", served))
    with issuer.serving(), caplog.at_level(logging.INFO, logger="resource_server"):
        headers = {"Authorization": f"Bearer {issuer.token(scope='update')}"} if with_token else {}
        answer = APIClient().get("/schema?format=json", headers=headers)

    assert answer.status_code == 200
    assert rejected == []
    assert [record.message for record in caplog.records if hasattr(record, "reason")] == []
    assert ("/composed-0/" in answer.json()["paths"]) is public


def test_the_view_of_a_request_is_not_the_one_of_the_document():
    """drf-spectacular puts the described class on the URL pattern's callback for a moment; a request must not meet it."""
    view = requires_scope("a")(Plain.as_view())
    before = view.cls
    assert security(view) == security(view) == tokens("a")
    assert view.cls is before is Plain


def test_paths_of_one_view_keep_their_names():
    class Many(GenericAPIView):
        authentication_classes = CLASSES
        serializer_class = GroupSerializer
        queryset = Group.objects.all()

        def get(self, request):
            return Response()

        def post(self, request):
            return Response()

    bare = document(path("api/v1/things/", Many.as_view()))
    guarded = document(path("api/v1/things/", requires_scope("a")(Many.as_view())))
    names = [
        [described["operationId"] for described in made["paths"]["/api/v1/things/"].values()]
        for made in (bare, guarded)
    ]
    assert names[0] == names[1]


def test_a_guard_on_list_says_nothing_of_the_other_actions():
    class Groups(ModelSerializer):
        class Meta:
            model = Group
            fields = ["name"]

    class Things(ModelViewSet):
        queryset = Group.objects.all()
        serializer_class = Groups
        list = requires_scope("a")(ModelViewSet.list)

    router = SimpleRouter()
    router.register("things", Things)
    paths = document(*router.urls)["paths"]
    assert paths["/things/"]["get"]["security"] == tokens("a")
    assert paths["/things/"]["post"]["security"] == tokens("")
    assert {method: found["security"] for method, found in paths["/things/{id}/"].items()} == dict.fromkeys(
        ["get", "put", "patch", "delete"], tokens("")
    )


def test_a_class_that_refuses_subclasses_is_described_as_it_is_and_guarded_by_its_views():
    class Coded(APIView):
        def __init_subclass__(cls, *, code, **kwargs):
            super().__init_subclass__(**kwargs)

    class Final(Coded, code=1):
        authentication_classes = [BasicAuthentication]

        def get(self, request):
            return Response({})

    assert operation(requires_scope("a")(Final.as_view()))["security"]
    with pytest.raises(TypeError, match=r"guard Final.as_view\(\)"):
        requires_scope("a")(Final)


def test_a_bad_token_at_the_document_is_refused_in_its_own_form(settings):
    settings.ROOT_URLCONF = Routes(
        path("schema", SpectacularAPIView.as_view(schema=None, authentication_classes=[AccessTokenAuthentication]))
    )
    for credentials, status in {"Bearer abc": 401, "Bearer a b": 401, "": 200}.items():
        headers = {"Authorization": credentials} if credentials else {}
        answer = APIClient().get("/schema", headers=headers)
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/vnd.oai.openapi; charset=utf-8")
        if credentials:
            assert answer["WWW-Authenticate"].startswith("Bearer ")
            assert "string: token_malformed" in answer.text or "string: credentials_malformed" in answer.text
