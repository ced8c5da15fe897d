"""The challenge: to the letter, by a strict grammar, and as clients read it that search it without parsing it."""

import re
from types import SimpleNamespace

import pytest
from django.test import RequestFactory
from django.views import View as PlainView
from hypothesis import given, strategies
from rest_framework.permissions import BasePermission, IsAdminUser, IsAuthenticated
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet
from tests.edges.views import GUARDED, PLAIN, REST, url

from resource_server import error_response, requires_scope
from resource_server.challenge import Answers, challenge, headers
from resource_server.drf import AccessTokenAuthentication, RequirementMixin, Requires, RequiresAnyScope, RequiresScope
from resource_server.errors import (
    InsufficientScope,
    InsufficientUserAuthentication,
    InvalidToken,
    NoCredentials,
    Unavailable,
)
from resource_server.protected_resource import ProtectedResource
from resource_server.reasons import CredentialsReason, ScopeReason, TokenReason, UnavailableReason
from resource_server.requirements import Owner, Roles, Scopes

ORIGIN = "https://public.test"
DOCUMENT = f"{ORIGIN}/.well-known/oauth-protected-resource"
METADATA = f'resource_metadata="{DOCUMENT}"'
BARE = 'Bearer realm="api"'

guarded = pytest.mark.parametrize("view", GUARDED)


@pytest.fixture
def published(issuer, settings):
    settings.RESOURCE_SERVER = issuer.settings(PUBLIC_ORIGIN=ORIGIN)
    return settings.RESOURCE_SERVER


@guarded
def test_without_a_token_the_challenge_names_the_metadata_and_the_scope(get, published, view):
    response = get(url(view))

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == f'{BARE}, {METADATA}, scope="read"'


@guarded
def test_a_bad_token_is_sent_to_the_metadata(get, published, view):
    response = get(url(view), "Bearer x")

    description = "access token is not a JWT in compact serialisation"
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == (
        f'{BARE}, error="invalid_token", error_description="{description}", {METADATA}'
    )


@guarded
def test_a_token_without_the_scope_is_sent_to_the_metadata_with_it(get, issuer, published, view):
    response = get(url(view), f"Bearer {issuer.token(scope='other')}")

    description = "access token lacks a scope: read"
    assert response.status_code == 403
    assert response["WWW-Authenticate"] == (
        f'{BARE}, error="insufficient_scope", error_description="{description}", {METADATA}, scope="read"'
    )


def test_an_endpoint_for_any_token_names_no_scope(get, published):
    assert get(url("any token function"))["WWW-Authenticate"] == f"{BARE}, {METADATA}"
    assert get(url("any token rest function"))["WWW-Authenticate"] == f"{BARE}, {METADATA}"


@pytest.mark.parametrize(
    ("permissions", "scope"),
    [
        ([IsAuthenticated], None),
        ([IsAuthenticated & RequiresScope("a", "b")], "a b"),
        ([IsAuthenticated & (RequiresScope("a") | RequiresAnyScope("b", "a"))], "a"),
        ([IsAuthenticated & (RequiresScope("a", "b") | RequiresScope("c"))], "c"),
        ([IsAuthenticated & (RequiresScope("a") | (RequiresScope("b") & IsAdminUser))], "b"),
        ([IsAuthenticated & (RequiresScope("a") | IsAuthenticated)], None),
        ([IsAuthenticated, RequiresScope("a"), RequiresScope("b")], "a b"),
    ],
)
def test_a_refusal_by_rest_framework_itself_names_the_least_that_the_view_demands(published, permissions, scope):
    class View(APIView):
        authentication_classes = [AccessTokenAuthentication]
        permission_classes = permissions

        def get(self, request):
            return Response({})

    expected = f'{BARE}, {METADATA}, scope="{scope}"' if scope else f"{BARE}, {METADATA}"
    assert View.as_view()(APIRequestFactory().get("/"))["WWW-Authenticate"] == expected


class Refusing(BasePermission):
    def has_permission(self, request, view):
        return False


class Admitting(BasePermission):
    pass


A, B, C = (RequiresScope(name) for name in "abc")
ROLE = Requires(Roles("r") & Scopes("a"))


# (permission classes, scopes of the token, scope of the challenge; None without a challenge of ours)
COMPOSED = {
    "or": ([A | B], "", "a"),
    "or, the fewest": ([RequiresScope("a", "b") | C], "", "c"),
    "or, the least beside those of the token": ([RequiresScope("a", "b") | C], "a", "a b"),
    "or, with a condition": ([A | (B & ROLE)], "", "a"),
    "and": ([A & B], "", "a b"),
    "and of or": ([(A | B) & C], "", "a c"),
    "two classes": ([A, B], "", "a b"),
    "two classes, one is met": ([A, B], "a", "a b"),
    "beside classes of others": ([IsAuthenticated, Admitting & A, B], "", "a b"),
    "or, another package refuses": ([A | Refusing], "", "a"),
    "or, another package refuses, in the other order": ([Refusing | A], "", "a"),
    "met by or, so another package refuses": ([A | B, Refusing], "b", None),
    "the others of a class that another package admits are not asked": ([Admitting | A, B | C], "", "b"),
    "not": ([A | B, ~B], "b", None),
}


@pytest.mark.parametrize(("permissions", "granted", "scope"), COMPOSED.values(), ids=COMPOSED)
def test_a_403_names_the_least_of_all_permissions_together(issuer, published, permissions, granted, scope):
    class View(APIView):
        authentication_classes = [AccessTokenAuthentication]
        permission_classes = permissions

        def get(self, request):
            return Response({})

        def post(self, request):
            self.check_object_permissions(request, object())
            return Response({})

    factory = APIRequestFactory()
    for make in (factory.get, factory.post):
        response = View.as_view()(make("/", headers={"Authorization": f"Bearer {issuer.token(scope=granted)}"}))
        assert response.status_code == 403
        found = parsed(response["WWW-Authenticate"]) if response.has_header("WWW-Authenticate") else {}
        assert (found.get("error"), found.get("scope")) == (scope and "insufficient_scope", scope)


def test_objects_are_refused_by_the_scopes_of_all_permissions_together(issuer, published):
    class View(APIView):
        authentication_classes = [AccessTokenAuthentication]
        permission_classes = [Requires(Scopes("a") & Owner("owner")) | Requires(Scopes("b") & Owner("owner"))]
        lookup_field = "pk"

        def get_object(self):
            found = SimpleNamespace(owner="auth0|ada")
            self.check_object_permissions(self.request, found)
            return found

        def get(self, request, pk):
            return Response({"owner": self.get_object().owner})

    def get(**claims):
        headers = {"Authorization": f"Bearer {issuer.token(**claims)}"}
        return View.as_view()(APIRequestFactory().get("/", headers=headers), pk=1)

    assert get(scope="a").status_code == 200
    assert parsed(get(scope="c")["WWW-Authenticate"])["scope"] == "a"
    assert "scope" not in parsed(get(scope="a", sub="eve")["WWW-Authenticate"])


def test_the_scopes_of_a_challenge_are_those_of_this_request(published):
    """Guards are read once for each class and method, permissions and `requirement` for each request."""

    class View(APIView):
        authentication_classes = [AccessTokenAuthentication]

        def get_permissions(self):
            return [IsAuthenticated(), RequiresScope(self.request.GET["scope"])()]

        @requires_scope("of:get")
        def get(self, request):
            return Response({})

        @requires_scope("of:post")
        def post(self, request):
            return Response({})

    class Mixed(RequirementMixin, ViewSet):
        authentication_classes = [AccessTokenAuthentication]

        def list(self, request):
            return Response({})

    view, factory = View.as_view(), APIRequestFactory()
    for scope in ("a", "b"):
        for make, guard in ((factory.get, "get"), (factory.head, "get"), (factory.post, "post")):
            refused = view(make(f"/?scope={scope}"))
            assert refused["WWW-Authenticate"] == f'{BARE}, {METADATA}, scope="{scope} of:{guard}"'
        refused = Mixed.as_view({"get": "list"}, requirement=Scopes(scope))(factory.get("/"))
        assert refused["WWW-Authenticate"] == f'{BARE}, {METADATA}, scope="{scope}"'


def test_permissions_that_fail_to_describe_themselves_cost_the_scope_alone(published):
    class View(APIView):
        authentication_classes = [AccessTokenAuthentication]
        asked = 0

        def get_permissions(self):
            self.asked += 1
            if self.asked > 1:
                raise RuntimeError("asked by the challenge")
            return [IsAuthenticated()]

    assert View.as_view()(APIRequestFactory().get("/"))["WWW-Authenticate"] == f"{BARE}, {METADATA}"


@pytest.mark.parametrize(
    ("granted", "scope"),
    [
        ("profile other", "read other profile"),
        ("offline_access", "read"),
        (["two words", 'a"b', "\u00e4", "fine"], "read fine"),
        ([f"scope-{number:04}" for number in range(300)], "read"),  # too long for a header
    ],
)
@pytest.mark.parametrize("view", ["function", "rest permission class", "async function", "rest class"])
def test_a_client_that_steps_up_loses_no_scope_if_the_settings_say_so(
    get, issuer, settings, published, view, granted, scope
):
    settings.RESOURCE_SERVER = {**published, "CHALLENGE_GRANTED_SCOPES": True}
    response = get(url(view), f"Bearer {issuer.token(scope=granted)}")

    assert response.status_code == 403
    assert response["WWW-Authenticate"].endswith(f', scope="{scope}"')


RESOURCES = {"RESOURCE": ["https://a.test/orders", "https://a.test/orders/old/", "https://a.test/st%20ock"]}


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/orders", "/orders"),
        ("/orders/7", "/orders"),
        ("/orders/old", "/orders/old/"),
        ("/orders/old/7", "/orders/old/"),
        ("/orders/older", "/orders"),
        ("/st ock/1", "/st%20ock"),
        ("/elsewhere", "/orders"),
        ("/", "/orders"),
    ],
)
def test_of_several_resources_the_challenge_names_the_one_of_the_path(settings, published, path, document):
    settings.RESOURCE_SERVER = {**published, **RESOURCES}

    class View(APIView):
        authentication_classes = [AccessTokenAuthentication]
        permission_classes = [IsAuthenticated]

    class Method(PlainView):
        @requires_scope("read")
        def post(self, request):
            raise AssertionError("refused before")

    plain = requires_scope("read")(lambda request: None)
    for headers_ in ({}, {"Authorization": "Bearer x"}):
        get, post = (getattr(RequestFactory(), name)(path, headers=headers_) for name in ("get", "post"))
        # A guarded method of a plain view refuses in front of CsrfViewMiddleware.
        settings.MIDDLEWARE = ["django.middleware.csrf.CsrfViewMiddleware"]
        for refused in (plain(get), View.as_view()(get), Method.as_view()(post)):
            assert f'resource_metadata="{DOCUMENT}{document}"' in refused["WWW-Authenticate"]


def test_an_answer_without_its_request_names_the_first_resource(settings, published):
    settings.RESOURCE_SERVER = {**published, **RESOURCES}
    refused = error_response(InvalidToken(TokenReason.TOKEN_EXPIRED))

    assert f'resource_metadata="{DOCUMENT}/orders"' in refused["WWW-Authenticate"]


def test_no_verdict_has_no_challenge():
    found = headers(Answers(realm="api"), Unavailable(UnavailableReason.FETCH_FAILED, retry_after=7))

    assert found == {"Cache-Control": "no-store", "Retry-After": "7"}


def step_up(acr_values, max_age, message):
    """A step-up with this message (RFC 9470 section 3)."""
    error = InsufficientUserAuthentication("authentication_context_missing", acr_values=acr_values, max_age=max_age)
    error.message = message
    return error


def test_a_step_up_names_what_it_wants():
    value = challenge(Answers(realm="api"), step_up(("urn:a", "phr"), 0, "too old"))

    assert value == (
        'Bearer realm="api", error="insufficient_user_authentication", error_description="too old",'
        ' acr_values="urn:a phr", max_age="0"'
    )
    assert "acr_values" not in challenge(Answers(realm="api"), step_up((), None, "too old"))


# RFC 9110 sections 5.6.2, 5.6.4 and 11.6.1, narrowed for the three parameters of RFC 6750 section 3.
QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*)"')
NARROW = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")


def parsed(value):
    """The parameters of one challenge, each of them once, or an AssertionError."""
    assert value.startswith("Bearer ")
    position, found = len("Bearer "), {}
    while True:
        name = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)=").match(value, position)
        assert name, value[position:]
        content = QUOTED.match(value, name.end())
        assert content, value[position:]
        assert name[1] not in found
        if name[1] in {"error", "error_description", "scope"}:
            assert NARROW.fullmatch(content[1])
        found[name[1]] = re.sub(r"\\(.)", r"\1", content[1])
        position = content.end()
        if position == len(value):
            return found
        assert value.startswith(", ", position)
        position += 2


def searched(value, name):
    """As the `mcp` package reads a parameter, in `extract_field_from_www_auth`."""
    match = re.search(rf'{name}=(?:"([^"]+)"|([^\s,]+))', value)
    return match and (match[1] or match[2])


DECOYS = ("error=stolen", 'scope="stolen"', "resource_metadata=https://stolen.test", "a, b", "\r\nSet-Cookie: a=b")
hostile = strategies.text(max_size=60) | strategies.lists(
    strategies.sampled_from(DECOYS) | strategies.text(max_size=3), max_size=4
).map(" ".join)
scope = strategies.text("abc=:,_./!#[]~'", min_size=1, max_size=12) | strategies.sampled_from(
    ("error=stolen", "scope=stolen", "resource_metadata=https://stolen.test", "a,b")
)
realms = strategies.text([chr(code) for code in range(0x20, 0x7F) if chr(code) not in '"\\'], min_size=1)
paths = strategies.sampled_from(("", "/mcp", "/scope=x", "/error=x/resource_metadata=y", "/a%22b"))


@given(
    realm=realms | strategies.sampled_from(("error=stolen, scope=stolen", "resource_metadata=https://stolen.test")),
    message=hostile,
    scopes=strategies.lists(scope, min_size=1, max_size=3).map(tuple),
    granted=strategies.lists(scope | hostile, max_size=3).map(tuple),
    path=paths,
)
def test_clients_that_parse_and_clients_that_search_find_the_same(realm, message, scopes, granted, path):
    resource = ProtectedResource.published(f"https://a.test{path}", ORIGIN, ())
    answers = Answers(realm=realm, resources=(resource,))
    error = InsufficientScope(ScopeReason.SCOPE_MISSING, scopes=scopes)
    error.message, error.granted = message, granted

    value = challenge(answers, error)

    found = parsed(value)
    assert found["realm"] == realm
    assert found["scope"].split(" ")[: len(dict.fromkeys(scopes))] == list(dict.fromkeys(scopes))
    assert found["resource_metadata"].replace("%3D", "=") == f"{DOCUMENT}{path}"
    for name in ("error", "scope", "resource_metadata"):
        assert searched(value, name) == found[name]


@given(realm=realms, message=hostile, acr_values=strategies.lists(hostile.filter(bool), max_size=3).map(tuple))
def test_a_parameter_that_is_not_there_is_not_found(realm, message, acr_values):
    value = challenge(Answers(realm=realm), step_up(acr_values, 5, message))

    found = parsed(value)
    assert searched(value, "error") == found["error"]
    assert searched(value, "scope") is None
    assert searched(value, "resource_metadata") is None
    assert "\r" not in value
    assert "\n" not in value
    anonymous = challenge(Answers(realm=realm), NoCredentials(CredentialsReason.CREDENTIALS_MISSING, scopes=("read",)))
    assert parsed(anonymous) == {"realm": realm, "scope": "read"}
    assert searched(anonymous, "error") is None
    assert searched(anonymous, "scope") == "read"


@pytest.mark.parametrize("realm", ["error=x, scope=y", "a b", "ok="])
def test_a_realm_of_the_settings_reaches_a_client_as_it_is(get, issuer, settings, realm):
    settings.RESOURCE_SERVER = issuer.settings(REALM=realm)
    for view in ("function", "rest function"):
        assert parsed(get(url(view))["WWW-Authenticate"]) == {"realm": realm, "scope": "read"}


ON_GET_ALONE = {"method", "method, by method_decorator"}


@pytest.mark.parametrize(
    ("view", "method"),
    [
        (view, method)
        for view in PLAIN
        for method in ("head", "options", "post", "trace")
        if method == "head" or view not in ON_GET_ALONE
    ],
)
def test_no_method_slips_past_a_guard(client, published, view, method):
    response = getattr(client, method)(url(view))

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == f'{BARE}, {METADATA}, scope="read"'


@pytest.mark.parametrize("method", ["head", "options"])
@pytest.mark.parametrize("view", REST)
def test_no_method_slips_past_a_guard_of_rest_framework(client, published, view, method):
    response = getattr(client, method)(url(view))

    # A function view that names only GET refuses HEAD, after the caller.
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith(f"{BARE}, {METADATA}")
