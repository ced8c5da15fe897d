"""DJANGO_PERMISSIONS: `has_perm` and DjangoModelPermissions work from the rights of a token."""

import asyncio
import pickle

import pytest
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import Group
from django.http import HttpResponse
from django.test import RequestFactory
from rest_framework.permissions import DjangoModelPermissions, DjangoObjectPermissions
from rest_framework.serializers import ModelSerializer
from rest_framework.viewsets import ModelViewSet

from resource_server import authenticate
from resource_server.conf import project as conf
from resource_server.drf import AccessTokenAuthentication
from resource_server.requirements import Claim, Organisation, Permissions, Roles, Scopes
from resource_server.testing import FakeIssuer

MAP = {
    "auth.view_group": "groups:read",
    "auth.change_group": Permissions("edit") & Scopes("groups:write"),
    "auth.delete_group": ~Roles("guest"),
    "blog.view_post": Organisation(argument="org"),
}


@pytest.fixture
def issuer(settings):
    issuer = FakeIssuer(algorithm="ES256")
    settings.RESOURCE_SERVER = issuer.settings(DJANGO_PERMISSIONS=MAP)
    with issuer.serving():
        yield issuer


@pytest.fixture
def user_of(issuer):
    def user_of(**claims):
        headers = {"Authorization": f"Bearer {issuer.token(**claims)}"}
        return authenticate(RequestFactory().get("/", headers=headers))[0]

    return user_of


@pytest.mark.parametrize(
    ("claims", "held"),
    [
        ({}, set()),
        ({"scope": "groups:read"}, {"auth.view_group"}),
        ({"scope": "groups:write", "permissions": ["edit"]}, {"auth.change_group"}),
        ({"scope": "groups:write"}, set()),
        ({"roles": []}, {"auth.delete_group"}),
        ({"roles": ["guest"]}, set()),
        ({"roles": {}}, set()),
        ({"org_id": "x"}, set()),
    ],
)
def test_a_user_has_the_permissions_of_its_token(user_of, claims, held):
    user = user_of(**claims)

    assert user.get_all_permissions() == user.get_user_permissions() == held
    assert {name for name in MAP if user.has_perm(name)} == held
    assert user.has_perms(MAP) is False
    assert user.has_perms(held) is True
    assert (user.has_module_perms("auth"), user.has_module_perms("blog")) == (bool(held), False)
    assert user.get_group_permissions() == set()
    assert not user.has_perm("auth.add_group")
    for name in MAP:
        assert user.has_perm(name, object()) is False
        assert asyncio.run(user.ahas_perm(name)) is (name in held)
    assert asyncio.run(user.aget_all_permissions()) == held
    assert asyncio.run(user.ahas_perms(held)) is True
    assert asyncio.run(user.ahas_module_perms("auth")) is bool(held)
    assert pickle.loads(pickle.dumps(user)).get_all_permissions() == held  # noqa: S301 - our own
    with pytest.raises(ValueError, match="iterable"):
        user.has_perms("auth.view_group")
    assert (user.is_staff, user.is_superuser) == (False, False)


class GroupSerializer(ModelSerializer):
    class Meta:
        model = Group
        fields = ["name"]


class Groups(ModelViewSet):
    authentication_classes = [AccessTokenAuthentication]
    permission_classes = [DjangoModelPermissions]
    serializer_class = GroupSerializer
    queryset = Group.objects.all()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "claims", "status"),
    [
        ("put", {"scope": "groups:write", "permissions": ["edit"]}, 200),
        ("put", {"scope": "groups:write"}, 403),
        ("delete", {"roles": ["x"]}, 204),
        ("delete", {}, 403),
        ("post", {"scope": "groups:write", "permissions": ["edit"]}, 403),
    ],
)
def test_model_permissions_of_rest_framework(issuer, method, claims, status):
    group = Group.objects.create(name="a")
    headers = {"Authorization": f"Bearer {issuer.token(**claims)}"}
    actions = {"put": "update", "delete": "destroy", "post": "create"}
    request = getattr(RequestFactory(), method)("/", {"name": "b"}, content_type="application/json", headers=headers)

    assert Groups.as_view(actions)(request, pk=group.pk).status_code == status
    objects = type("Objects", (Groups,), {"permission_classes": [DjangoObjectPermissions]})
    if method == "put":  # a permission of a model is none of its objects, as with Django's own backend
        assert objects.as_view(actions)(request, pk=group.pk).status_code in {403, 404}


def test_djangos_own_decorator(issuer, user_of):
    @permission_required("auth.view_group", raise_exception=False, login_url="/enter/")
    def view(request):
        return HttpResponse()

    for claims, status in (({"scope": "groups:read"}, 200), ({}, 302)):
        request = RequestFactory().get("/")
        request.user = user_of(**claims)
        assert view(request).status_code == status


@pytest.mark.parametrize(
    "value",
    [
        [],
        "auth.view_group",
        {"view_group": "a"},
        {"auth.": "a"},
        {5: "a"},
        {"auth.view_group": ""},
        {"auth.view_group": None},
        {"auth.view_group": True},
        {"auth.view_group": {"GET": "a"}},
        {"auth.view_group": ["a"]},
        {"auth.view_group": 'a"'},
        {"auth.view_group": Claim("a", matches=lambda value: True)},
    ],
    ids=range(12),
)
def test_what_cannot_be_meant_is_reported(issuer, value):
    assert {each.id for each in conf.parse(issuer.settings(DJANGO_PERMISSIONS=value), debug=False)[1]} == {"E037"}


def test_each_issuer_has_its_own():
    issuers = [FakeIssuer(f"https://{name}.test/", algorithm="ES256") for name in ("one", "two")]
    settings = {
        "AUDIENCE": issuers[0].audience,
        "ISSUERS": [
            {"ISSUER": issuers[0].issuer, "DJANGO_PERMISSIONS": {"auth.view_group": "read"}},
            {"ISSUER": issuers[1].issuer, "SCOPE_HIERARCHY": {"admin": ["read"]}, "CLAIMS": {"roles": "/a/b"}},
        ],
    }
    config, problems = conf.parse(settings, debug=False)

    assert problems == []
    one, two = (policy.rights for policy in config.policies)
    assert (set(one.django_permissions), one.implied_scopes, one.roles) == ({"auth.view_group"}, {}, "roles")
    assert (set(two.django_permissions), two.implied_scopes, two.roles) == (set(), {"admin": {"read"}}, "/a/b")
