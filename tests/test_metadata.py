"""The metadata of protected resources (RFC 9728): which documents exist, what they hold, and to whom they are answered."""

import pytest
from asgiref.sync import async_to_sync
from django.conf.urls.i18n import i18n_patterns
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.http import HttpResponse, JsonResponse
from django.test import AsyncClient, Client
from django.test.utils import override_script_prefix
from django.urls import clear_url_caches, include, path, re_path
from django.views import View
from ninja import NinjaAPI
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from resource_server import requires_any_scope, requires_scope, requires_token
from resource_server.drf import RequiresScope
from resource_server.testing import FakeIssuer

WELL_KNOWN = "/.well-known/oauth-protected-resource"
ORIGIN = "https://public.test"
ISSUER = "https://issuer.test/"
OTHER = "https://other.test"
GOOD = {"ISSUER": ISSUER, "AUDIENCE": "https://api.test/mcp", "PUBLIC_ORIGIN": ORIGIN, "SCOPES_SUPPORTED": []}
BOTH = {
    "PUBLIC_ORIGIN": ORIGIN,
    "SCOPES_SUPPORTED": [],
    "ISSUERS": [
        {"ISSUER": ISSUER, "AUDIENCE": ["https://api.test/a", "https://api.test/b"]},
        {"ISSUER": OTHER, "AUDIENCE": "https://api.test/b"},
    ],
}


@requires_scope("read", "plain:function")
def function(request):
    return JsonResponse({})


class Guarded(View):
    @requires_scope("plain:method")
    def get(self, request):
        return HttpResponse()

    @requires_any_scope("plain:one", "plain:other")
    def post(self, request):
        return HttpResponse()


@requires_scope("plain:class")
class GuardedClass(View):
    pass


class Rest(APIView):
    permission_classes = [IsAuthenticated & (RequiresScope("rest:permission") | RequiresScope("offline_access"))]

    @requires_scope("rest:method")
    def put(self, request):
        return Response()


class Orders(ViewSet):
    def get_permissions(self):
        return {"list": [RequiresScope("orders:list")()], "create": [RequiresScope("orders:create")()]}.get(
            self.action, [AllowAny()]
        )

    def list(self, request):
        return Response()

    def create(self, request):
        return Response()

    @requires_scope("orders:retrieve")
    def retrieve(self, request, pk=None):
        return Response()


class Broken(APIView):
    def get_permissions(self):
        raise RuntimeError("needs a request")

    @requires_scope("never")
    def get(self, request):
        return Response()


api = NinjaAPI(urls_namespace="metadata-tests")


@api.get("/operation")
@requires_scope("ninja:operation")
def operation(request):
    return {}


router = SimpleRouter()
router.register("orders", Orders, basename="orders")

urlpatterns = [
    path("", include("resource_server.urls")),
    path("function", function),
    path("any", requires_token(function.__wrapped__)),
    path("guarded", Guarded.as_view()),
    path("nested/", include([path("class", GuardedClass.as_view())])),
    path("rest", Rest.as_view()),
    path("rest/outside", requires_scope("rest:outside")(Rest.as_view())),
    path("broken", Broken.as_view()),
    path("", include(router.urls)),
    path("ninja/", api.urls),
    path("admin", lambda request: HttpResponse()),
]

GATHERED = [
    "ninja:operation",
    "orders:create",
    "orders:list",
    "orders:retrieve",
    "plain:class",
    "plain:function",
    "plain:method",
    "plain:one",
    "plain:other",
    "read",
    "rest:method",
    "rest:outside",
    "rest:permission",
]


@pytest.fixture(autouse=True)
def _routes(settings):
    settings.ROOT_URLCONF = __name__
    settings.RESOURCE_SERVER = GOOD


@pytest.fixture(params=["sync", "async"])
def call(request):
    """A request without credentials, under WSGI and under ASGI."""

    def call(method, path, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if request.param == "sync":
            return Client(enforce_csrf_checks=True).generic(method, path, headers=headers)

        async def send():
            return await AsyncClient(enforce_csrf_checks=True).generic(method, path, headers=headers)

        return async_to_sync(send)()

    return call


def document(identifier, *servers, **more):
    return {
        "resource": identifier,
        "authorization_servers": list(servers) or [ISSUER],
        **more,
        "bearer_methods_supported": ["header"],
    }


# {sentence: (settings, {path behind the well-known one: document})}
PUBLISHED = {
    "the path of the audience is appended": (GOOD, {"/mcp": document("https://api.test/mcp")}),
    "an identifier of another origin is served as it is": (
        {**GOOD, "AUDIENCE": "https://quickstart/api"},
        {"/api": document("https://quickstart/api")},
    ),
    "without a path nothing is appended": (
        {**GOOD, "AUDIENCE": "https://api.test"},
        {"": document("https://api.test")},
    ),
    "nor with a slash alone": ({**GOOD, "AUDIENCE": "https://api.test/"}, {"": document("https://api.test/")}),
    "a slash after a path stays": (
        {**GOOD, "AUDIENCE": "https://api.test/a/"},
        {"/a/": document("https://api.test/a/")},
    ),
    "RESOURCE stands in for the audience": (
        {**GOOD, "AUDIENCE": "my-api", "RESOURCE": "https://api.test/x"},
        {"/x": document("https://api.test/x")},
    ),
    "several resources": (
        {**GOOD, "RESOURCE": ["https://api.test", "https://api.test/x/y"]},
        {"": document("https://api.test"), "/x/y": document("https://api.test/x/y")},
    ),
    "each audience has the issuers that write it": (
        BOTH,
        {"/a": document("https://api.test/a"), "/b": document("https://api.test/b", ISSUER, OTHER)},
    ),
    "RESOURCE has all issuers": (
        {**BOTH, "RESOURCE": "https://api.test/c"},
        {"/c": document("https://api.test/c", ISSUER, OTHER)},
    ),
    "an audience that is no address is left out": (
        {**GOOD, "AUDIENCE": ["my-api", "urn:x", "http://api.test", "https://api.test/?a=1", "https://api.test/ok"]},
        {"/ok": document("https://api.test/ok")},
    ),
    "issuers of a function cannot be listed": (
        {"ISSUERS": "tests.test_metadata.settings_of", "AUDIENCE": "https://api.test", "PUBLIC_ORIGIN": ORIGIN}
        | {"SCOPES_SUPPORTED": []},
        {"": {"resource": "https://api.test", "bearer_methods_supported": ["header"]}},
    ),
    "scopes of the setting": (
        {**GOOD, "SCOPES_SUPPORTED": ["mcp:read", "offline_access"]},
        {"/mcp": document("https://api.test/mcp", scopes_supported=["mcp:read"])},
    ),
    "an encoded path": (
        {**GOOD, "AUDIENCE": "https://api.test/a%20b=c"},
        {"/a%20b=c": document("https://api.test/a%20b=c"), "/a b%3Dc": document("https://api.test/a%20b=c")},
    ),
    "of two with the same path the first": (
        {**GOOD, "AUDIENCE": ["https://a.test/", "https://b.test"]},
        {"": document("https://a.test/")},
    ),
}
NEIGHBOURS = ("", "/", "/mcp", "/mcp/", "/MCP", "/mcp/x", "/a", "/a/", "//mcp", "/mcp?x=1", "/.", "/%2e", "x", "%0a")


def settings_of(issuer):
    return None


@pytest.mark.parametrize(("value", "documents"), PUBLISHED.values(), ids=PUBLISHED)
def test_the_documents_are_those_and_no_other(call, settings, value, documents):
    settings.RESOURCE_SERVER = value
    for suffix, expected in documents.items():
        response = call("GET", WELL_KNOWN + suffix)
        assert (response.status_code, response["Content-Type"]) == (200, "application/json")
        assert response.json() == expected
    for suffix in {*NEIGHBOURS} - {*documents, *(f"{known}?x=1" for known in documents)}:
        assert call("GET", WELL_KNOWN + suffix).status_code == 404, suffix
    for other in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", f"/api{WELL_KNOWN}"):
        assert call("GET", other).status_code == 404


def test_scopes_are_gathered_from_views_of_every_kind(call, settings):
    settings.RESOURCE_SERVER = {**GOOD, "SCOPES_SUPPORTED": None}

    assert call("GET", f"{WELL_KNOWN}/mcp").json()["scopes_supported"] == GATHERED
    assert call("GET", f"{WELL_KNOWN}/mcp").json()["scopes_supported"] == GATHERED  # as remembered


def guarded(scope):
    return requires_scope(scope)(lambda request: HttpResponse())


def placed(*scopes):
    """Views whose scope is their place."""
    return [path(f"{scope}/<int:pk>", guarded(scope)) for scope in scopes]


orders = SimpleRouter()
orders.register("archive", Orders, basename="archive")
old = SimpleRouter(trailing_slash=False)
old.register("old", Orders, basename="old")

# (addresses, {path of a resource: scopes in its document})
PLACES = {
    "below, at and beside the paths of resources": (
        [path("a", guarded("at")), *placed("a", "a/b", "a/bc", "elsewhere", "d/e")],
        {"/a": "a a/bc at elsewhere", "/a/b": "a/b", "/d": "d/e"},
    ),
    "includes": (
        [path("a/", include([*placed("x"), path("b/", include(placed("y")))])), path("", include(placed("d")))],
        {"/a": "x", "/a/b": "y", "/d": "d"},
    ),
    "included twice": (
        [path("a/", include(SHARED := placed("x"))), path("d/", include(SHARED))],
        {"/a": "x", "/a/b": "", "/d": "x"},
    ),
    "an address that begins with a variable": (
        [path("<str:tenant>/orders", guarded("x")), path("d/<str:x>/", include(placed("y")))],
        {"/a": "x", "/a/b": "x", "/d": "x y"},
    ),
    "a variable where another resource begins": (
        [
            path("a/<int:pk>", guarded("number")),
            path("a/<slug:x>", guarded("slug")),
            path("a/b/<int:pk>", guarded("y")),
        ],
        {"/a": "number slug", "/a/b": "slug y", "/a/1": "number slug"},
    ),
    "regular expressions": (
        [
            re_path(r"^a/(?P<pk>\d+)$", guarded("x")),
            re_path(r"^a/b\.json\Z", guarded("dot")),
            re_path(r"^d/?$", guarded("slash")),
            re_path(r"^a/x$|^d/y$", guarded("either")),
            re_path(r"^d/(y|z)$", guarded("one")),
            re_path(r"^a/bb?$", guarded("maybe")),
        ],
        {"/a": "dot either maybe x", "/a/b": "either maybe x", "/d": "either one slash"},
    ),
    "a variable that goes on after a path": (
        [path("a/b<slug:x>", guarded("same")), path("a/b/<slug:x>", guarded("next"))],
        {"/a": "same", "/a/b": "next"},
    ),
    "routers": (
        [path("a/", include(orders.urls)), path("d/", include(old.urls))],
        {
            "/a": "orders:create orders:list orders:retrieve",
            "/a/b": "",
            "/d": "orders:create orders:list orders:retrieve",
        },
    ),
    "languages": (
        i18n_patterns(*placed("x"), path("a/", guarded("y"))),
        {"/a": "x", "/a/b": "", "/d": "", "/en": "x y", "/de/a": "y"},
    ),
    "languages, the default one without its prefix": (
        i18n_patterns(*placed("x"), path("a/", guarded("y")), prefix_default_language=False),
        {"/d": "x", "/a": "y", "/en": "x y", "/de/a": "y"},
    ),
}


@pytest.mark.parametrize(("patterns", "documents"), PLACES.values(), ids=PLACES)
def test_each_document_has_the_scopes_of_the_views_of_its_resource(call, settings, patterns, documents):
    settings.LANGUAGES = [("en", "English"), ("de", "German")]
    settings.RESOURCE_SERVER = {
        **GOOD,
        "SCOPES_SUPPORTED": None,
        "RESOURCE": [f"https://api.test{suffix}" for suffix in documents],
    }
    settings.ROOT_URLCONF = Elsewhere(path("", include("resource_server.urls")), *patterns)

    found = {suffix: call("GET", WELL_KNOWN + suffix).json().get("scopes_supported", []) for suffix in documents}
    assert {suffix: " ".join(scopes) for suffix, scopes in found.items()} == documents


def test_the_document_and_the_challenge_agree_on_the_resource_of_a_view(call, settings):
    places = ("a", "a/b", "a/bc", "elsewhere", "d/e")
    identifiers = [f"https://api.test{suffix}" for suffix in ("/a", "/a/b", "/d")]
    settings.RESOURCE_SERVER = {**GOOD, "SCOPES_SUPPORTED": None, "RESOURCE": identifiers}
    settings.ROOT_URLCONF = Elsewhere(path("", include("resource_server.urls")), *placed(*places))
    for place in places:
        challenge = call("GET", f"/{place}/1")["WWW-Authenticate"]
        named = challenge.partition('resource_metadata="')[2].partition('"')[0]
        assert place in call("GET", named.removeprefix(ORIGIN)).json()["scopes_supported"]


def test_below_a_prefix_of_the_server_the_prefix_counts(call, settings):
    identifiers = ["https://api.test/d", "https://api.test/a"]
    settings.RESOURCE_SERVER = {**GOOD, "SCOPES_SUPPORTED": None, "RESOURCE": identifiers}
    settings.ROOT_URLCONF = Elsewhere(path("", include("resource_server.urls")), *placed("d", "x"))

    assert call("GET", f"{WELL_KNOWN}/d").json()["scopes_supported"] == ["d", "x"]
    with override_script_prefix("/a/"):
        assert call("GET", f"{WELL_KNOWN}/a").json()["scopes_supported"] == ["d", "x"]
        assert "scopes_supported" not in call("GET", f"{WELL_KNOWN}/d").json()


def test_the_settings_may_list_the_scopes_of_single_resources(call, settings):
    identifiers = [f"https://api.test{suffix}" for suffix in ("/a", "/b", "/c")]
    listed = {identifiers[0]: ["x", "y"], identifiers[1]: []}
    settings.RESOURCE_SERVER = {**GOOD, "SCOPES_SUPPORTED": listed, "RESOURCE": identifiers}
    settings.ROOT_URLCONF = Elsewhere(path("", include("resource_server.urls")), *placed("a", "b", "c"))

    found = {suffix: call("GET", WELL_KNOWN + suffix).json().get("scopes_supported") for suffix in ("/a", "/b", "/c")}
    assert found == {"/a": ["x", "y"], "/b": None, "/c": ["c"]}


def test_without_views_that_demand_a_scope_the_member_is_left_out(call, settings):
    settings.RESOURCE_SERVER = {**GOOD, "SCOPES_SUPPORTED": None}
    settings.ROOT_URLCONF = "resource_server.urls"

    assert call("GET", f"{WELL_KNOWN}/mcp").json() == document("https://api.test/mcp")


@pytest.mark.parametrize("value", [None, ""])
def test_without_an_origin_nothing_is_published(call, settings, value):
    settings.RESOURCE_SERVER = {**GOOD, "PUBLIC_ORIGIN": value}

    assert call("GET", f"{WELL_KNOWN}/mcp").status_code == 404
    assert "resource_metadata" not in call("GET", "/function")["WWW-Authenticate"]
    assert "resource_metadata" not in call("GET", "/function", authorization="Bearer x")["WWW-Authenticate"]


def test_the_host_of_a_request_decides_nothing(call, settings):
    settings.ALLOWED_HOSTS = ["*"]
    settings.USE_X_FORWARDED_HOST = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    hostile = {"host": "stolen.test", "x_forwarded_host": "stolen.test", "x_forwarded_proto": "http"}

    assert call("GET", f"{WELL_KNOWN}/mcp", **hostile).json() == document("https://api.test/mcp")
    challenge = call("GET", "/function", **hostile)["WWW-Authenticate"]
    assert f'resource_metadata="{ORIGIN}{WELL_KNOWN}/mcp"' in challenge


def test_pages_of_any_origin_may_read_it_and_caches_may_keep_it(call):
    for path_ in (f"{WELL_KNOWN}/mcp", f"{WELL_KNOWN}/none"):
        assert call("GET", path_, origin="https://page.test")["Access-Control-Allow-Origin"] == "*"
    found = call("GET", f"{WELL_KNOWN}/mcp")
    assert found["Cache-Control"] == "public, max-age=300"
    assert "Set-Cookie" not in found
    assert "Vary" not in found


def test_the_preflight_allows_the_header_of_mcp(call):
    response = call(
        "OPTIONS",
        f"{WELL_KNOWN}/mcp",
        origin="https://page.test",
        access_control_request_method="GET",
        access_control_request_headers="mcp-protocol-version",
    )

    assert (response.status_code, response.content) == (204, b"")
    assert response["Access-Control-Allow-Origin"] == "*"
    assert response["Access-Control-Allow-Headers"] == "MCP-Protocol-Version"
    assert response["Access-Control-Allow-Methods"] == response["Allow"] == "GET, HEAD, OPTIONS"


def test_head_is_get_without_a_body(call):
    got, head = call("GET", f"{WELL_KNOWN}/mcp"), call("HEAD", f"{WELL_KNOWN}/mcp")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == got.headers
    assert call("HEAD", f"{WELL_KNOWN}/none").status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
def test_other_methods_are_405(call, settings, method):
    # CsrfViewMiddleware would answer 403 first.
    settings.MIDDLEWARE = ["django.middleware.csrf.CsrfViewMiddleware"]
    response = call(method, f"{WELL_KNOWN}/mcp")

    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize("append_slash", [True, False])
def test_middleware_of_django_does_not_stand_in_the_way(call, settings, append_slash):
    settings.APPEND_SLASH = append_slash
    settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
        "resource_server.middleware.AccessTokenMiddleware",
    ]
    assert call("GET", f"{WELL_KNOWN}/mcp").status_code == 200
    assert call("GET", f"{WELL_KNOWN}/none").status_code == 404
    assert call("GET", f"{WELL_KNOWN}/mcp/").status_code == 404


def test_invalid_settings_are_503(call, settings):
    settings.RESOURCE_SERVER = {**GOOD, "PUBLIC_ORIGIN": "public.test"}
    response = call("GET", f"{WELL_KNOWN}/mcp")

    assert (response.status_code, response.json()["reason"]) == (503, "settings_invalid")
    assert response["Cache-Control"] == "no-store"


# {sentence: (changed settings, id, a piece of the message or the hint)}
PROBLEMS = {
    "an origin without scheme": ({"PUBLIC_ORIGIN": "public.test"}, "E039", "has no scheme https"),
    "an origin over http": ({"PUBLIC_ORIGIN": "http://public.test"}, "E039", "is http"),
    "an origin with a path": ({"PUBLIC_ORIGIN": "https://public.test/api"}, "E039", "more than a scheme"),
    "an origin with a slash": ({"PUBLIC_ORIGIN": "https://public.test/"}, "E039", "more than a scheme"),
    "an origin with a query": ({"PUBLIC_ORIGIN": "https://public.test?a"}, "E039", "more than a scheme"),
    "an origin with a line break": ({"PUBLIC_ORIGIN": "https://public.test\r\nX: y"}, "E039", "is not a URL"),
    "an origin with a quote": ({"PUBLIC_ORIGIN": 'https://public.test"'}, "E039", "no URL has"),
    "an origin that is a number": ({"PUBLIC_ORIGIN": 5}, "E039", "is not a URL"),
    "an origin with a user": ({"PUBLIC_ORIGIN": "https://a@public.test"}, "E039", "user name"),
    "a resource that is no address": ({"RESOURCE": "my-api"}, "E040", "RESOURCE"),
    "a resource over http": ({"RESOURCE": "http://api.test"}, "E040", "RESOURCE"),
    "a resource with a query": ({"RESOURCE": "https://api.test?a=b"}, "E040", "without query"),
    "a resource with a fragment": ({"RESOURCE": "https://api.test#a"}, "E040", "fragment"),
    "one resource that is none": ({"RESOURCE": ["https://api.test", "x"]}, "E040", "RESOURCE"),
    "no resource in the list": ({"RESOURCE": []}, "E040", "RESOURCE"),
    "a resource that is a number": ({"RESOURCE": 5}, "E040", "RESOURCE"),
    "scopes in one text": ({"SCOPES_SUPPORTED": "a b"}, "E041", "SCOPES_SUPPORTED"),
    "a scope with a quote": ({"SCOPES_SUPPORTED": ['a"']}, "E041", "SCOPES_SUPPORTED"),
    "a scope that is a number": ({"SCOPES_SUPPORTED": [5]}, "E041", "SCOPES_SUPPORTED"),
    "scopes of a resource in one text": ({"SCOPES_SUPPORTED": {"https://api.test/mcp": "a b"}}, "E041", "by resource"),
    "scopes of a resource that is not published": (
        {"SCOPES_SUPPORTED": {"https://api.test": ["a"]}},
        "E041",
        "by resource",
    ),
    "a flag in words": ({"PROBLEM_DETAILS": "yes"}, "E042", "PROBLEM_DETAILS is not True or False"),
    "a flag that is a number": ({"CHALLENGE_GRANTED_SCOPES": 1}, "E042", "CHALLENGE_GRANTED_SCOPES is not"),
    "nothing to publish": ({"AUDIENCE": "my-api"}, "W011", "no AUDIENCE is an https address"),
}


def found():
    messages = (each for each in run_checks() if (each.id or "").startswith("resource_server."))
    return {each.id.rpartition(".")[2]: f"{each.msg} {each.hint}" for each in messages}


@pytest.mark.parametrize(("changes", "id_", "words"), PROBLEMS.values(), ids=PROBLEMS)
def test_each_problem_has_an_id(settings, changes, id_, words):
    settings.RESOURCE_SERVER = {**GOOD, **changes}

    assert words in found()[id_]


def test_good_settings_have_no_problem(settings):
    more = {"RESOURCE": "https://api.test/x", "PROBLEM_DETAILS": True, "CHALLENGE_GRANTED_SCOPES": True}
    for value in (GOOD, {**GOOD, **more}, {**GOOD, "PUBLIC_ORIGIN": "https://public.test:8443"}):
        settings.RESOURCE_SERVER = value
        assert not {*found()} & {"E039", "E040", "E041", "E042", "W011", "W012"}


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8000", "http://localhost", "http://[::1]:8000"])
def test_an_http_origin_on_loopback_is_for_development(settings, origin, in_production):
    settings.RESOURCE_SERVER = {**GOOD, "PUBLIC_ORIGIN": origin}
    assert "E039" in found()
    settings.DEBUG = True
    assert "E039" not in found()


class Elsewhere:
    """A URLconf whose documents are not where the challenges say."""

    def __init__(self, *urlpatterns):
        self.urlpatterns = list(urlpatterns)


@pytest.mark.parametrize(
    "routes",
    [
        Elsewhere(),
        Elsewhere(path("api/", include("resource_server.urls"))),
        Elsewhere(re_path("", lambda request: HttpResponse("the page of an application"))),
    ],
    ids=["no pattern", "below a prefix", "behind a pattern for everything"],
)
def test_a_document_that_is_not_served_is_a_warning(settings, monkeypatch, routes):
    monkeypatch.setattr("tests.test_metadata.urlpatterns", routes.urlpatterns)
    clear_url_caches()

    assert f"{ORIGIN}{WELL_KNOWN}/mcp" in found()["W012"]
    settings.RESOURCE_SERVER = {**GOOD, "PUBLIC_ORIGIN": None}
    assert "W012" not in found()
    clear_url_caches()


@pytest.mark.django_db
def test_a_session_does_not_change_the_document(client):
    client.force_login(User.objects.create_user("ada"))

    assert client.get(f"{WELL_KNOWN}/mcp").json() == document("https://api.test/mcp")


def test_a_client_with_an_old_token_reads_the_document(settings, client):
    settings.MIDDLEWARE = ["resource_server.middleware.AccessTokenMiddleware"]
    expired = {"Authorization": f"Bearer {FakeIssuer(ISSUER, GOOD['AUDIENCE']).token(exp=1)}"}

    response = client.get(f"{WELL_KNOWN}/mcp", headers=expired)

    assert (response.status_code, response["Access-Control-Allow-Origin"]) == (200, "*")
    assert client.get(f"{WELL_KNOWN}/none", headers=expired).status_code == 404
    assert client.get("/elsewhere", headers=expired).status_code == 401
