"""One declaration for a ViewSet: enforced for each action and object, whatever else the class says, and described."""

import warnings

import pytest
from adrf.viewsets import ModelViewSet as AsyncModelViewSet
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import AsyncClient, Client
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_page
from django.views.decorators.vary import vary_on_headers
from rest_framework.authentication import BasicAuthentication
from rest_framework.decorators import action
from rest_framework.generics import CreateAPIView, GenericAPIView, ListAPIView, ListCreateAPIView, RetrieveAPIView
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from resource_server import requires
from resource_server.drf import AccessTokenAuthentication, RequirementMixin, Requires
from resource_server.requirements import Owner, PerAction, Roles, Scopes
from resource_server.signals import token_rejected
from resource_server.testing import FakeIssuer

with warnings.catch_warnings():
    # Of a package that adrf uses, on Python 3.14.
    warnings.simplefilter("ignore", DeprecationWarning)
    try:
        from adrf.serializers import ModelSerializer as AsyncModelSerializer
    except AttributeError:  # adrf's needs a newer REST framework than the oldest that we admit
        AsyncModelSerializer = None

pytestmark = pytest.mark.django_db


class UserSerializer(ModelSerializer):
    class Meta:
        model = User
        fields = ["id", "username"]


class AsyncUserSerializer(AsyncModelSerializer or ModelSerializer):
    class Meta:
        model = User
        fields = ["id", "username"]


OWN = Owner("username")
OWNS = Requires(OWN)


class Users(RequirementMixin, ModelViewSet):
    """The callers see themselves, administrators everyone."""

    requirement = {
        "list": Scopes("admin") | Scopes("read") & OWN,
        "retrieve": Scopes("admin") | OWN,
        "create": "write",
        "update": Scopes("write") & OWN,
        "destroy": Scopes("write") & ~OWN,
        "latest": "read",
        "metadata": "read",
    }
    authentication_classes = [AccessTokenAuthentication]
    serializer_class = UserSerializer
    queryset = User.objects.order_by("username")

    @action(detail=False)
    def latest(self, request):
        return Response([each.username for each in self.filter_queryset(self.get_queryset())])

    @action(detail=False)
    def undeclared(self, request):
        raise AssertionError("no right is declared for this action")

    def get_permissions(self):
        return [AllowAny()]  # a project that forgets super()


class AsyncUsers(RequirementMixin, AsyncModelViewSet):
    requirement = {
        "alist": Scopes("admin") | Scopes("read") & OWN,
        "aretrieve": Scopes("admin") | OWN,
        "acreate": "write",
        "aupdate": Scopes("write") & OWN,
        "adestroy": Scopes("write") & ~OWN,
    }
    authentication_classes = [AccessTokenAuthentication]
    serializer_class = AsyncUserSerializer
    queryset = User.objects.order_by("username")
    permission_classes = []


class PermissionUsers(ModelViewSet):
    """Without the mixin: nothing filters the queryset."""

    authentication_classes = [AccessTokenAuthentication]
    permission_classes = [Requires(Users.requirement)]
    serializer_class = UserSerializer
    queryset = User.objects.order_by("username")

    @action(detail=False)
    def latest(self, request, **kwargs):
        return Response([each.username for each in self.get_queryset()])


class Nested(ListCreateAPIView):
    """Rows below the address of another object, without the mixin."""

    authentication_classes = [AccessTokenAuthentication]
    permission_classes = [OWNS]
    serializer_class = UserSerializer
    queryset = User.objects.order_by("username")


class NestedCreate(RequirementMixin, CreateAPIView):
    requirement = OWN
    authentication_classes = [AccessTokenAuthentication]
    serializer_class = UserSerializer
    queryset = User.objects.all()


class Approve(RetrieveAPIView):
    """Another than the author."""

    authentication_classes = [AccessTokenAuthentication]
    permission_classes = [Requires(~OWN)]
    serializer_class = UserSerializer
    queryset = User.objects.all()


class Cached(RequirementMixin, ListAPIView):
    requirement = OWN
    authentication_classes = [AccessTokenAuthentication]
    serializer_class = UserSerializer
    queryset = User.objects.all()

    @method_decorator([cache_page(60), vary_on_headers("Authorization")])
    def get(self, request):
        return super().get(request)


class NoObjects(RequirementMixin, APIView):
    requirement = OWN
    authentication_classes = [AccessTokenAuthentication]

    def get(self, request):
        raise AssertionError("nothing judges the owner here")


class Undeclared(RequirementMixin, ListAPIView):
    authentication_classes = [AccessTokenAuthentication]
    serializer_class = UserSerializer
    queryset = User.objects.all()


@requires({"list": "read", "create": "write"})
class GuardedUsers(ModelViewSet):
    authentication_classes = [AccessTokenAuthentication]
    serializer_class = UserSerializer
    queryset = User.objects.order_by("username")


router = SimpleRouter()
router.register("users", Users, basename="users")
router.register("permission", PermissionUsers, basename="permission")
router.register("guarded", GuardedUsers, basename="guarded")
outside = requires({"list": "read", "create": "write"})(PermissionUsers.as_view({"get": "list", "post": "create"}))
urlpatterns = [
    path("", include(router.urls)),
    path("async/", AsyncUsers.as_view({"get": "alist", "post": "acreate"})),
    path("async/<int:pk>/", AsyncUsers.as_view({"get": "aretrieve", "put": "aupdate", "delete": "adestroy"})),
    path("below/<int:pk>/", Nested.as_view()),
    path(
        "below/<int:pk>/viewset/", PermissionUsers.as_view({"get": "list", "post": "create"}, permission_classes=[OWNS])
    ),
    path("below/<int:pk>/latest/", PermissionUsers.as_view({"get": "latest"}, detail=False, permission_classes=[OWNS])),
    path("below/<int:pk>/create/", NestedCreate.as_view()),
    path("below/<int:pk>/approve/", Approve.as_view()),
    path("cached/", Cached.as_view()),
    path("no-objects/", NoObjects.as_view()),
    path("undeclared/", Undeclared.as_view()),
    path("per-method/", Users.as_view({"get": "list"}, requirement={"GET": "read"})),
    path("outside/", outside),
]


@pytest.fixture
def people():
    return {name: User.objects.create(username=name) for name in ("ada", "eve", "zoe")}


@pytest.fixture
def call(settings, people):
    issuer = FakeIssuer(algorithm="ES256")
    settings.ROOT_URLCONF = __name__
    settings.RESOURCE_SERVER = issuer.settings()

    def call(method, url, scope=None, *, data=None, sub="ada"):
        headers = {"Authorization": f"Bearer {issuer.token(scope=scope, sub=sub)}"}
        is_async = url.startswith("/async")
        send = async_to_sync(getattr(AsyncClient(), method)) if is_async else getattr(Client(), method)
        options = {} if data is None else {"data": data, "content_type": "application/json"}
        return send(url, headers=headers, **options)

    with issuer.serving():
        yield call


def names(response):
    assert response.status_code == 200, response.content
    return [each["username"] for each in response.json()]


def test_a_list_has_what_the_caller_owns(call):
    assert names(call("get", "/users/", "read")) == ["ada"]
    assert names(call("get", "/users/", "read", sub="eve")) == ["eve"]
    assert names(call("get", "/users/", "read", sub="stranger")) == []
    assert names(call("get", "/users/", "admin")) == ["ada", "eve", "zoe"]
    assert call("get", "/users/").status_code == 403
    assert call("get", "/users/latest/", "read").json() == ["ada", "eve", "zoe"]


@pytest.mark.parametrize("requirement", ["admin", Scopes("admin"), {"list": "admin", "create": "write"}], ids=repr)
def test_a_requirement_that_is_set_after_the_class_was_made_is_enforced(call, people, monkeypatch, requirement):
    monkeypatch.setattr(Users, "requirement", requirement)

    assert call("get", "/users/", "read").status_code == 403
    assert names(call("get", "/users/", "admin")) == ["ada", "eve", "zoe"]
    for scope in ("read", "admin"):
        expected = 200 if scope == "admin" and not isinstance(requirement, dict) else 403
        assert call("get", f"/users/{people['ada'].pk}/", scope).status_code == expected


def test_an_object_of_another_is_not_found(call, people):
    own, other = (f"/users/{people[name].pk}/" for name in ("ada", "eve"))

    assert call("get", own).status_code == 200
    assert call("get", other).status_code == 404
    assert call("get", other, "admin").status_code == 200
    assert call("put", own, "write", data={"username": "ada"}).status_code == 200
    assert call("put", other, "write", data={"username": "x"}).status_code == 404
    assert call("put", own, "read", data={"username": "x"}).status_code == 403
    assert call("patch", own, "write", data={"username": "x"}).status_code == 403  # not declared
    assert call("delete", own, "write").status_code == 404
    assert call("delete", other, "write").status_code == 204
    assert sorted(User.objects.values_list("username", flat=True)) == ["ada", "zoe"]


def test_actions_have_their_own_scopes(call):
    refused = call("post", "/users/", "read", data={"username": "new"})
    assert refused.status_code == 403
    assert refused["WWW-Authenticate"].endswith('lacks a scope: write", scope="write"')
    assert call("post", "/users/", "write", data={"username": "new"}).status_code == 201
    assert call("get", "/users/undeclared/", "read write admin").status_code == 403


def test_head_and_options_do_not_slip_past(call):
    assert call("head", "/users/").status_code == 403
    assert call("head", "/users/", "read").status_code == 200
    assert call("options", "/users/").status_code == 403
    assert call("options", "/users/", "read").status_code == 200
    assert call("options", "/outside/", "read write").status_code == 403
    assert call("trace", "/users/", "read write admin").status_code in {403, 405}


def test_options_tells_only_what_the_caller_may_do(call, people):
    may_write = call("options", f"/users/{people['ada'].pk}/", "read write").json()
    may_not = call("options", f"/users/{people['ada'].pk}/", "read").json()

    assert set(may_write["actions"]) == {"PUT"}
    assert "actions" not in may_not


def test_without_the_mixin_a_list_is_refused_and_an_object_judged(call, people):
    own, other = (f"/permission/{people[name].pk}/" for name in ("ada", "eve"))

    assert call("get", "/permission/", "read").status_code == 403
    assert names(call("get", "/permission/", "admin")) == ["ada", "eve", "zoe"]
    assert call("get", own).status_code == 200
    refused = call("get", other)
    assert refused.status_code == 403
    assert refused["WWW-Authenticate"].endswith('lacks a scope: admin", scope="admin"')
    refused = call("put", other, "write", data={"username": "x"})
    assert refused["WWW-Authenticate"].endswith('lacks a right: the owner (`username`)"')


@pytest.mark.skipif(AsyncModelSerializer is None, reason="adrf has no serializers with this REST framework")
def test_async_views_do_alike(call, people):
    own, other = (f"/async/{people[name].pk}/" for name in ("ada", "eve"))

    assert names(call("get", "/async/", "read")) == ["ada"]
    assert names(call("get", "/async/", "admin")) == ["ada", "eve", "zoe"]
    assert call("get", "/async/").status_code == 403
    assert call("get", own).status_code == 200
    assert call("get", other).status_code == 404
    assert call("put", other, "write", data={"username": "x"}).status_code == 404
    assert call("put", own, "write", data={"username": "ada"}).status_code == 200
    assert call("delete", own, "write").status_code == 404
    assert call("post", "/async/", "read", data={"username": "x"}).status_code == 403
    assert call("post", "/async/", "write", data={"username": "x"}).status_code == 201


def test_where_no_object_is_known_the_owner_is_refused(call):
    assert call("get", "/no-objects/").status_code == 403


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("get", ""),
        ("head", ""),
        ("post", ""),
        ("get", "viewset/"),
        ("post", "viewset/"),
        ("get", "latest/"),
        ("post", "create/"),
    ],
)
def test_the_address_of_another_object_opens_no_list_and_no_create(call, people, method, url):
    answer = call(method, f"/below/{people['ada'].pk}/{url}", data={"username": "new"} if method == "post" else None)

    assert answer.status_code == 403
    assert answer["WWW-Authenticate"].endswith('lacks a right: the owner (`username`)"')
    assert not User.objects.filter(username="new").exists()


def test_one_object_is_judged_below_the_same_address(call, people):
    assert call("get", f"/below/{people['eve'].pk}/approve/").status_code == 200
    assert call("get", f"/below/{people['ada'].pk}/approve/").status_code == 403


def test_a_cached_list_is_served_to_its_caller_alone(call, settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "owners"}}
    assert names(call("get", "/cached/")) == ["ada"]
    assert names(call("get", "/cached/", sub="eve")) == ["eve"]


@pytest.mark.parametrize("classes", [[], [BasicAuthentication]])
@pytest.mark.parametrize("scope", ["read", "admin"])
def test_without_an_authentication_that_reads_tokens_the_view_refuses(call, settings, classes, scope):
    view = type("Unread", (Users,), {"authentication_classes": classes}).as_view({"get": "list"})
    settings.ROOT_URLCONF = type("Routes", (), {"urlpatterns": [path("unread/", view)]})

    assert call("get", "/unread/", scope).status_code in {401, 403}


def test_without_a_requirement_the_view_refuses(call):
    assert call("get", "/undeclared/", "read").status_code == 403


def test_a_requirement_of_as_view_wins(call):
    assert names(call("get", "/per-method/", "read")) == ["ada", "eve", "zoe"]
    assert call("get", "/per-method/", "admin").status_code == 403


@pytest.mark.parametrize("url", ["/guarded/", "/outside/"])
def test_a_guard_may_name_actions_too(call, url):
    reads = call("get", url, "read")
    assert reads.status_code == (200 if url == "/guarded/" else 403)  # the permission class inside refuses
    assert call("get", url, "write").status_code == 403
    assert call("post", url, "read", data={"username": "x"}).status_code == 403
    assert call("post", url, "write", data={"username": "x"}).status_code == 201


def test_a_refusal_is_reported_once(call):
    seen = []

    def receive(error, **_):
        seen.append(error.reason)

    token_rejected.connect(receive)
    try:
        call("get", "/users/")
        call("options", "/users/", "read")  # asks about POST too
    finally:
        token_rejected.disconnect(receive)

    assert seen == ["scope_missing"]


def test_mistakes_are_errors_where_they_are_made():
    with pytest.raises(TypeError, match="RequirementMixin stands before"):
        type("Late", (GenericAPIView, RequirementMixin), {"requirement": "read"})
    with pytest.raises(ValueError, match="not a scope"):
        type("Wrong", (RequirementMixin, GenericAPIView), {"requirement": 'a"'})
    with pytest.raises(TypeError, match="not a requirement"):
        type("Wrong", (RequirementMixin, GenericAPIView), {"requirement": ["read"]})
    assert Users.requirement == PerAction({**dict(Users.requirement.requirements)})
    assert (Requires(Roles("r")) & IsAuthenticated)().op1.requirements == (Roles("r"),)
