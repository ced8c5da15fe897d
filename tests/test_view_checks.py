"""The checks of views and middleware: each kind that surprises is warned of, and a request shows that it does surprise."""

import sys
from functools import wraps
from types import ModuleType

import pytest
from django.contrib.auth.models import Group
from django.core.checks import run_checks
from django.http import HttpResponse, JsonResponse
from django.test import Client
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from rest_framework.authentication import (
    BaseAuthentication,
    BasicAuthentication,
    SessionAuthentication,
    TokenAuthentication,
)
from rest_framework.decorators import action, api_view, authentication_classes, permission_classes
from rest_framework.permissions import AllowAny, DjangoModelPermissions, IsAdminUser, IsAuthenticated
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from resource_server import authenticate, requires_scope, requires_token
from resource_server.drf import AccessTokenAuthentication, RequiresScope
from resource_server.testing import FakeIssuer
from resource_server.throttles import ClientThrottle, IssuerThrottle, SubjectThrottle

MIDDLEWARE = "resource_server.middleware.AccessTokenMiddleware"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
A = RequiresScope("a")


class Routes:
    """A URLconf."""

    def __init__(self, *patterns):
        self.urlpatterns = list(patterns)


def messages(**options):
    return [message for message in run_checks(**options) if message.id.startswith("resource_server.")]


def ids(**options):
    return [message.id.removeprefix("resource_server.") for message in messages(**options)]


@pytest.fixture
def project(settings):
    """Sets the URL patterns of a project, and returns a call to its `x/` with a good token."""
    issuer = FakeIssuer()
    settings.RESOURCE_SERVER = issuer.settings()
    settings.MIDDLEWARE = [SESSIONS, AUTHENTICATION]

    def configure(*patterns):
        settings.ROOT_URLCONF = Routes(*patterns)

        def call(method="get"):
            client = Client(enforce_csrf_checks=True, raise_request_exception=False)
            headers = {"Authorization": f"Bearer {issuer.token(scope='a')}"}
            return getattr(client, method)("/x/", headers=headers).status_code

        return call

    with issuer.serving():
        yield configure


def rest(*authentication, permissions=(), **members):
    def get(self, request):
        return Response()

    members = {"authentication_classes": list(authentication), "permission_classes": list(permissions), **members}
    return type("Rest", (APIView,), {"get": get, **members})


class OfTheProject(BaseAuthentication):
    """Reads tokens by itself."""

    def authenticate(self, request):
        return authenticate(request._request)


@api_view(["GET"])
@authentication_classes([SessionAuthentication])
@permission_classes([AllowAny])
@requires_scope("a")
def guarded_function(request):
    return Response()


def guarded_method():
    @requires_scope("a")
    def get(self, request):
        return Response()

    return rest(SessionAuthentication, get=get)


UNREAD = {
    "session": rest(SessionAuthentication, permissions=[IsAuthenticated]),
    "basic": rest(BasicAuthentication, permissions=[IsAuthenticated]),
    "another kind of token": rest(TokenAuthentication, permissions=[IsAuthenticated]),
    "a subclass of session": rest(type("Mine", (SessionAuthentication,), {}), permissions=[IsAuthenticated]),
    "no class": rest(permissions=[IsAuthenticated]),
    "a subclass of IsAuthenticated": rest(SessionAuthentication, permissions=[type("P", (IsAuthenticated,), {})]),
    "and": rest(SessionAuthentication, permissions=[AllowAny & IsAuthenticated]),
    "or": rest(SessionAuthentication, permissions=[IsAuthenticated | A]),
    "a permission of ours": rest(SessionAuthentication, permissions=[A]),
    "a guarded class": requires_scope("a")(rest(SessionAuthentication)),
    "a class that inherits a guard": type("Child", (requires_token(rest(SessionAuthentication)),), {}),
    "a guarded method": guarded_method(),
}


@pytest.mark.parametrize("view", UNREAD.values(), ids=UNREAD)
def test_a_view_that_demands_authentication_and_reads_no_tokens_is_a_warning(project, view):
    call = project(path("x/", view.as_view()))
    [warning] = messages()
    assert warning.id == "resource_server.W005"
    assert not warning.is_serious()
    assert warning.msg.startswith(f"{view.__name__}: authentication is demanded")
    assert "resource_server.drf.AccessTokenAuthentication" in warning.hint
    assert call() in {401, 403}


@pytest.mark.parametrize("outside", [lambda view: view, csrf_exempt], ids=["bare", "decorated"])
def test_a_function_that_reads_no_tokens_is_a_warning(project, outside):
    call = project(path("x/", outside(guarded_function)))
    assert ids() == ["W005"]
    assert "(SessionAuthentication)" in messages()[0].msg
    assert call() == 401


READ = {
    "our class": rest(SessionAuthentication, AccessTokenAuthentication, permissions=[IsAuthenticated]),
    "a subclass of ours": rest(type("Mine", (AccessTokenAuthentication,), {}), permissions=[IsAuthenticated]),
    "a class of the project": rest(OfTheProject, permissions=[IsAuthenticated, A]),
    "a view for anyone": rest(SessionAuthentication, permissions=[AllowAny]),
    "a view without permissions": rest(SessionAuthentication),
    "an alternative": rest(SessionAuthentication, permissions=[IsAuthenticated | AllowAny]),
    "not": rest(SessionAuthentication, permissions=[~IsAuthenticated]),
}


@pytest.mark.parametrize("view", READ.values(), ids=READ)
def test_a_view_that_reads_tokens_or_lets_anyone_in_is_not_warned_of(project, view):
    call = project(path("x/", view.as_view()))
    assert [message for message in messages() if message.id != "resource_server.W001"] == []
    assert call() == 200


def test_staff_and_model_permissions_are_not_about_tokens(project):
    staff = rest(SessionAuthentication, permissions=[IsAdminUser])
    model = rest(SessionAuthentication, permissions=[DjangoModelPermissions], queryset=Group.objects.none())
    project(path("x/", staff.as_view()), path("y/", model.as_view()))
    assert ids() == []


def test_the_middleware_reads_tokens_for_session_authentication(project, settings):
    settings.MIDDLEWARE = [SESSIONS, AUTHENTICATION, MIDDLEWARE]
    for permission in (IsAuthenticated, A):
        call = project(path("x/", rest(SessionAuthentication, permissions=[permission]).as_view()))
        assert ids() == []
        assert call() == 200
    call = project(path("x/", rest(BasicAuthentication, permissions=[IsAuthenticated]).as_view()))
    assert ids() == ["W005"]
    assert call() == 401


def test_classes_of_a_single_action_count(project):
    class Actions(ViewSet):
        authentication_classes = [AccessTokenAuthentication]
        permission_classes = [IsAuthenticated]

        def list(self, request):
            return Response()

        @action(detail=False, url_path="one", authentication_classes=[SessionAuthentication])
        def one(self, request):
            return Response()

        @action(
            detail=False, url_path="two", authentication_classes=[BasicAuthentication], permission_classes=[AllowAny]
        )
        def two(self, request):
            return Response()

    router = SimpleRouter()
    router.register("x", Actions, basename="x")
    call = project(path("", include(router.urls)))
    assert [message.msg.partition(".")[0] for message in messages()] == [
        "Actions: authentication is demanded, and no authentication class reads access tokens (SessionAuthentication)"
    ]
    assert call() == 200


def test_a_guarded_action_counts(project):
    class Actions(ViewSet):
        authentication_classes = [SessionAuthentication]
        permission_classes = []

        @requires_scope("a")
        def list(self, request):
            return Response()

    call = project(path("x/", Actions.as_view({"get": "list"})))
    assert ids() == ["W005"]
    assert call() == 401


def test_a_guard_around_as_view_reads_the_token_itself(project):
    call = project(path("x/", requires_scope("a")(rest(SessionAuthentication).as_view())))
    assert ids() == []
    assert call() == 200


def test_views_of_the_same_classes_are_one_warning(project):
    views = [type(f"View{number}", (UNREAD["session"],), {}) for number in range(5)]
    project(*(path(f"{view.__name__}/", view.as_view()) for view in [*views, views[0]]))
    [warning] = messages()
    assert warning.msg.startswith("View0, View1, View2 and 2 more: ")


DEFAULTS = {
    "not set": ({}, True),
    "no setting at all": (None, True),
    "empty": ({"DEFAULT_PERMISSION_CLASSES": []}, True),
    "AllowAny": ({"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"]}, True),
    "AllowAny as a class": ({"DEFAULT_PERMISSION_CLASSES": (AllowAny,)}, True),
    "IsAuthenticated": ({"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"]}, False),
    "a permission of ours": ({"DEFAULT_PERMISSION_CLASSES": [A]}, False),
    "both": ({"DEFAULT_PERMISSION_CLASSES": [AllowAny, IsAuthenticated]}, False),
}


@pytest.mark.parametrize(("value", "warned"), DEFAULTS.values(), ids=DEFAULTS)
def test_default_permissions_that_let_anyone_in_are_a_warning_of_deployments(project, settings, value, warned):
    project()
    if value is None:
        del settings.REST_FRAMEWORK
    else:
        settings.REST_FRAMEWORK = value
    assert ids() == []
    found = messages(include_deployment_checks=True)
    assert [message.id for message in found] == ["resource_server.W006"] * warned
    assert all("IsAuthenticated" in message.hint for message in found)


def test_default_permissions_are_not_judged_without_rest_framework_or_our_settings(project, settings):
    project()
    settings.REST_FRAMEWORK = {}
    settings.RESOURCE_SERVER = {}
    assert "W006" not in ids(include_deployment_checks=True)
    settings.RESOURCE_SERVER = FakeIssuer().settings()
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "rest_framework"]
    assert "W006" not in ids(include_deployment_checks=True)
    project(path("x/", READ["our class"].as_view()))
    assert "W006" in ids(include_deployment_checks=True)


def middleware(module, *names):
    return [f"{module}.{name}" for name in names]


ORDERS = {
    "before": ([SESSIONS, MIDDLEWARE, AUTHENTICATION], True),
    "first": ([MIDDLEWARE, SESSIONS, AUTHENTICATION], True),
    "after": ([SESSIONS, AUTHENTICATION, MIDDLEWARE], False),
    "alone": ([SESSIONS, MIDDLEWARE], False),
    "before that of remote users": (
        [SESSIONS, AUTHENTICATION, MIDDLEWARE, "django.contrib.auth.middleware.PersistentRemoteUserMiddleware"],
        True,
    ),
    "subclasses": (middleware("tests.test_view_checks", "Tokens", "Sessions"), True),
    "subclasses in order": (middleware("tests.test_view_checks", "Sessions", "Tokens"), False),
}


def __getattr__(name):
    # Middleware is imported by path; these classes are made when they are asked for.
    from django.contrib.auth.middleware import AuthenticationMiddleware

    from resource_server.middleware import AccessTokenMiddleware

    bases = {"Tokens": AccessTokenMiddleware, "Sessions": AuthenticationMiddleware}
    if name not in bases:
        raise AttributeError(name)
    return type(name, (bases[name],), {})


@pytest.mark.parametrize(("order", "warned"), ORDERS.values(), ids=ORDERS)
def test_our_middleware_before_djangos_is_a_warning(project, settings, order, warned):
    project()
    settings.MIDDLEWARE = order
    found = messages()
    assert [message.id for message in found] == ["resource_server.W007"] * warned
    assert all("after django.contrib.auth.middleware." in message.hint for message in found)


@pytest.mark.django_db
@pytest.mark.parametrize("warned", [True, False])
def test_the_order_decides_who_the_user_is(project, settings, warned):
    call = project(path("x/", lambda request: HttpResponse(status=200 if request.user.is_authenticated else 401)))
    settings.MIDDLEWARE = [SESSIONS, MIDDLEWARE, AUTHENTICATION] if warned else [SESSIONS, AUTHENTICATION, MIDDLEWARE]
    assert ids() == ["W007"] * warned
    assert call() == (401 if warned else 200)


def decorated(view):
    @wraps(view)
    def wrapper(*args, **kwargs):
        return view(*args, **kwargs)

    return wrapper


class Plain(View):
    def get(self, request):
        return JsonResponse({})

    def post(self, request):
        return JsonResponse({})


class Inner(View):
    @method_decorator(requires_scope("a"))
    def post(self, request):
        return JsonResponse({})


class Below(View):
    @decorated
    @requires_scope("a")
    def post(self, request):
        return JsonResponse({})


REFUSED = {
    "method_decorator on the class": method_decorator(requires_scope("a"), name="post")(type("Named", (Plain,), {})),
    "method_decorator on the method": Inner,
    "below another decorator": Below,
    "inherited": type("Child", (Inner,), {}),
}


@pytest.mark.parametrize("view", REFUSED.values(), ids=REFUSED)
def test_a_guarded_method_that_csrf_refuses_is_a_warning(project, settings, view):
    settings.MIDDLEWARE = [CSRF]
    call = project(path("x/", view.as_view()))
    [warning] = messages()
    assert warning.id == "resource_server.W008"
    assert warning.msg.startswith(f"{view.__name__}.post is guarded")
    assert MIDDLEWARE in warning.hint
    assert call("post") == 403
    settings.MIDDLEWARE = [SESSIONS, AUTHENTICATION, CSRF, MIDDLEWARE]
    assert ids() == []
    assert call("post") == 200


class Outermost(View):
    @requires_scope("a")
    def post(self, request):
        return JsonResponse({})


SERVED = {
    "the guard first": Outermost.as_view(),
    "a guarded class": requires_scope("a")(type("Guarded", (Plain,), {})).as_view(),
    "a guarded as_view": requires_scope("a")(Plain.as_view()),
    "dispatch": method_decorator(requires_scope("a"), name="dispatch")(type("Dispatched", (Plain,), {})).as_view(),
    "exempt by hand": csrf_exempt(Inner.as_view()),
}


@pytest.mark.parametrize("view", SERVED.values(), ids=SERVED)
def test_a_guarded_view_that_is_exempt_is_not_warned_of(project, settings, view):
    settings.MIDDLEWARE = [CSRF]
    call = project(path("x/", view))
    assert ids() == []
    assert call("post") == 200


def test_safe_methods_and_rest_framework_are_not_refused_by_csrf(project, settings):
    settings.MIDDLEWARE = [CSRF]

    class Reader(View):
        http_method_names = ["get"]

        @method_decorator(requires_scope("a"))
        def get(self, request):
            return JsonResponse({})

        @method_decorator(requires_scope("a"))
        def post(self, request):
            return JsonResponse({})

    class Writer(APIView):
        authentication_classes = [AccessTokenAuthentication]
        permission_classes = []

        @method_decorator(requires_scope("a"))
        def post(self, request):
            return Response()

    project(path("x/", Reader.as_view()), path("y/", Writer.as_view()), path("z/", Plain.as_view()))
    assert ids() == []


def test_nothing_is_warned_of_without_djangos_csrf_middleware(project, settings):
    settings.MIDDLEWARE = []
    call = project(path("x/", Inner.as_view()))
    assert ids() == []
    assert call("post") == 200


class Hostile:
    """A view that raises for any attribute that it lacks."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __call__(self, request):
        raise RuntimeError


class Strange:
    """A view with attributes that look like those of a view class, and are not."""

    cls = type("cls", (), {"authentication_classes": [object(), None, "x"], "permission_classes": [None, 3, A]})
    initkwargs = None
    actions = ["list"]
    view_class = 3

    def __call__(self, request):
        raise RuntimeError


class Property:
    cls = type("cls", (APIView,), {"authentication_classes": property(lambda self: 1 / 0), "http_method_names": 3})
    view_class = cls

    def __call__(self, request):
        raise RuntimeError


def of_module(name, source):
    module = ModuleType(name)
    module.__dict__["urlpatterns"] = source
    return module


@pytest.fixture
def checks():
    """Our checks alone: Django's own raise for such a URLconf."""
    from django.core.checks.registry import registry

    ours = [check for check in registry.get_checks(True) if check.__module__.startswith("resource_server.")]
    assert len(ours) >= 9
    return lambda: [message.id for check in ours for message in check(app_configs=None)]


BROKEN = {
    "no such module": "no.such.module",
    "a module that raises": "tests.lacking_urls",
    "without patterns": Routes,
    "patterns that are no list": of_module("strange", 3),
    "patterns that are no patterns": Routes(None, 3, "x"),
    "an include that is missing": Routes(path("a/", include(([], "x"))), path("b/", include(of_module("m", 3)))),
    "views that raise": Routes(path("a/", Hostile()), path("b/", Strange()), path("c/", Property())),
    "nothing": None,
}


@pytest.mark.parametrize("urlconf", BROKEN.values(), ids=BROKEN)
def test_no_urlconf_makes_a_check_raise(project, settings, checks, urlconf):
    project()
    settings.ROOT_URLCONF = urlconf
    settings.MIDDLEWARE = [CSRF, "no.such.Middleware", 3, "tests.test_view_checks.decorated"]
    assert set(checks()) <= {"resource_server.W006"}


def test_views_beside_a_broken_one_are_still_found(project):
    call = project(path("a/", Hostile()), path("x/", UNREAD["session"].as_view()), path("c/", Strange()))
    assert ids() == ["W005"]
    assert call() == 403


def test_a_urlconf_that_includes_itself_ends(settings, project, checks):
    project()
    routes = of_module("tests.itself", [])
    sys.modules["tests.itself"] = routes
    routes.urlpatterns += [
        path("a/", include("tests.itself")),
        path("b/", include("tests.itself")),
        path("x/", UNREAD["session"].as_view()),
    ]
    try:
        settings.ROOT_URLCONF = "tests.itself"
        assert "resource_server.W005" in checks()
    finally:
        del sys.modules["tests.itself"]


@pytest.mark.parametrize("value", [None, 3, [], "", {}])
def test_no_setting_makes_a_check_raise(project, settings, checks, value):
    project()
    for name in ("REST_FRAMEWORK", "MIDDLEWARE"):
        before = getattr(settings, name)
        setattr(settings, name, value)
        assert set(checks()) <= {"resource_server.W006"}
        setattr(settings, name, before)


THROTTLED = {
    "subject": (SubjectThrottle, {"client": "1/s", "issuer": "1/s"}, [{"subject": "1/s"}, {"scope:a": "1/s"}]),
    "client": (ClientThrottle, {"subject": "1/s", "scope:a": "1/s"}, [{"client": "1/s"}, {"client:a": "1/s"}]),
    "issuer": (IssuerThrottle, {"subject": "1/s", "client:a": "1/s"}, [{"issuer": "1/s"}]),
    "a subclass": (type("Mine", (SubjectThrottle,), {}), {}, [{"subject": "1/s"}]),
}


@pytest.mark.parametrize(("throttle", "idle", "counting"), THROTTLED.values(), ids=THROTTLED)
def test_a_throttle_without_a_rate_is_a_warning(project, settings, throttle, idle, counting):
    ours = settings.RESOURCE_SERVER
    view = rest(AccessTokenAuthentication, permissions=[IsAuthenticated], throttle_classes=[throttle])
    bare = rest(AccessTokenAuthentication, permissions=[IsAuthenticated])
    bare.__name__ = "Bare"
    call = project(path("x/", view.as_view()), path("y/", bare.as_view(throttle_classes=[throttle])))

    settings.RESOURCE_SERVER = {**ours, "THROTTLE_RATES": idle}
    assert [call() for _ in range(3)] == [200] * 3
    (warning,) = messages()
    assert warning.id == "resource_server.W016"
    assert "Throttle counts nothing (Rest, Bare)" in warning.msg
    for rates in ({}, {"unknown": "1/s"}):
        settings.RESOURCE_SERVER = {**ours, "THROTTLE_RATES": rates}
        assert "W016" in ids()
    for rates in counting:
        settings.RESOURCE_SERVER = {**ours, "THROTTLE_RATES": rates}
        assert ids() == []


def test_the_default_throttles_count(project, settings, checks):
    project()
    name = "resource_server.throttles.IssuerThrottle"
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_CLASSES": ["no.such.Class", name, 3]}
    assert [message.msg.partition(": ")[2] for message in messages()] == [
        "IssuerThrottle counts nothing (DEFAULT_THROTTLE_CLASSES), because THROTTLE_RATES has no rate for it."
    ]
    for value in (None, 3, "text", {"DEFAULT_THROTTLE_CLASSES": 3}):
        settings.REST_FRAMEWORK = value
        assert set(checks()) <= {"resource_server.W006"}


@pytest.mark.parametrize("rates", [3, None, ["subject"]])
def test_throttle_rates_that_are_no_dict_are_another_problem(project, settings, rates):
    project(path("x/", rest(AccessTokenAuthentication, throttle_classes=[SubjectThrottle]).as_view()))
    settings.RESOURCE_SERVER = {**settings.RESOURCE_SERVER, "THROTTLE_RATES": rates}
    assert "W016" not in ids()


@pytest.mark.parametrize("throttles", [3, None, [3, None]])
def test_throttle_classes_that_are_none_hide_no_other_warning(project, throttles):
    view = rest(SessionAuthentication, permissions=[IsAuthenticated], throttle_classes=throttles)
    project(path("x/", view.as_view()))
    assert ids() == ["W005"]


def test_a_throttle_with_a_rate_of_its_own_is_not_warned_of(project):
    mine = type("Mine", (SubjectThrottle,), {"rate_of": lambda self, token: "1/s"})
    builtin = type("Builtin", (UserRateThrottle,), {"rate": "9/s"})
    project(path("x/", rest(AccessTokenAuthentication, throttle_classes=[mine, builtin]).as_view()))
    assert ids() == []


def test_a_view_that_chooses_its_authenticators_by_the_request_is_not_warned_of(project):
    class Chooses(APIView):
        authentication_classes = [SessionAuthentication]
        permission_classes = [IsAuthenticated]

        def get_authenticators(self):
            return [AccessTokenAuthentication()]

    project(path("x/", Chooses.as_view()))
    assert ids() == []
