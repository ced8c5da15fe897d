"""SCOPE_HIERARCHY and the names of claims of rights, from the settings to a request."""

import pytest
from django.test import RequestFactory

from resource_server import authenticate, requires
from resource_server.conf import project as conf
from resource_server.requirements import Groups, Organisation, Permissions, Roles, Scopes
from resource_server.testing import FakeIssuer

HIERARCHY = {"owner": ["admin"], "admin": ["write", "read:all"], "write": "read", "a": ["b"], "b": ["a"]}


@pytest.fixture(scope="module")
def issuer():
    return FakeIssuer(algorithm="ES256")


def token_of(issuer, settings, changes, **claims):
    settings.RESOURCE_SERVER = issuer.settings(**changes)
    with issuer.serving():
        request = RequestFactory().get("/", headers={"Authorization": f"Bearer {issuer.token(**claims)}"})
        return authenticate(request)[1]


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        ("owner", {"owner", "admin", "write", "read", "read:all"}),
        ("write other", {"write", "read", "other"}),
        ("read", {"read"}),
        ("a", {"a", "b"}),
        ("b x", {"a", "b", "x"}),
        (None, set()),
    ],
)
def test_a_scope_includes_those_below_it(issuer, settings, scope, scopes):
    token = token_of(issuer, settings, {"SCOPE_HIERARCHY": HIERARCHY}, scope=scope)

    assert token.scopes == scopes
    assert token.claims.get("scope") == scope  # the claim is as the issuer has written it
    assert Scopes("read").holds(token, None) is ("read" in scopes)
    assert (~Scopes("read")).holds(token, None) is ("read" not in scopes)


def test_a_view_admits_by_an_implied_scope(issuer, settings):
    settings.RESOURCE_SERVER = issuer.settings(SCOPE_HIERARCHY={"admin": ["read"]})
    seen = []

    @requires("read")
    def view(request):
        seen.append(request.auth.scopes)
        return "admitted"

    with issuer.serving():
        for _ in range(2):  # verified, then remembered
            headers = {"Authorization": f"Bearer {issuer.token(scope='admin')}"}
            assert view(RequestFactory().get("/", headers=headers)) == "admitted"
        headers = {"Authorization": f"Bearer {issuer.token(scope='other')}"}
        assert view(RequestFactory().get("/", headers=headers)).status_code == 403
    assert seen == [{"admin", "read"}] * 2


@pytest.mark.parametrize(
    "value",
    [
        [],
        "admin",
        {"admin": []},
        {"admin": None},
        {"admin": [1]},
        {"a b": ["c"]},
        {"a": ["b c"]},
        {5: ["a"]},
        {"": "a"},
    ],
    ids=str,
)
def test_a_hierarchy_that_cannot_be_meant_is_reported(issuer, value):
    assert {each.id for each in conf.parse(issuer.settings(SCOPE_HIERARCHY=value), debug=False)[1]} == {"E036"}


@pytest.mark.parametrize(
    "claims",
    [{"roles": "/a~2"}, {"roles": ""}, {"roles": ["a", "b"]}, {"groups": None}, {"organisation": 5}, {"role": "a"}],
    ids=str,
)
def test_names_that_cannot_be_meant_are_reported(issuer, claims):
    assert {each.id for each in conf.parse(issuer.settings(CLAIMS=claims), debug=False)[1]} == {"E018"}


def test_the_settings_win_over_the_provider(settings):
    issuer = FakeIssuer("https://login.test/realms/staff", algorithm="ES256")
    claims = {"typ": "Bearer", "realm_access": {"roles": ["r"]}, "mine": ["x"], "groups": ["g"], "o": {"id": 3}}
    token = token_of(issuer, settings, {"PROVIDER": "keycloak"}, **claims)
    assert (token.roles, token.groups, token.permissions, token.organisation) == ({"r"}, {"g"}, set(), None)
    assert (Roles("r") & Groups("g")).check(token) is token

    names = {"roles": "mine", "permissions": "/realm_access/roles", "organisation": "/o/id"}
    token = token_of(issuer, settings, {"PROVIDER": "keycloak", "CLAIMS": names}, **claims)
    assert (token.roles, token.permissions, token.organisation) == ({"x"}, {"r"}, "3")
    assert (Roles("x") & Permissions("r") & Organisation("3")).check(token) is token
