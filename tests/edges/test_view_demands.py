"""`judge_view`: what it says of a token is what a request with that token gets, behind every edge."""

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import Resolver404, path, resolve
from tests.edges.parity_views import REQUIREMENTS
from tests.edges.test_parity import HTTP_EDGES, NUMBERS, TABLE
from tests.edges.views import GUARDED, url

from resource_server import requires
from resource_server.authentication import verify
from resource_server.requirements import Owner, Scopes
from resource_server.view_access import access_of
from resource_server.view_demands import judge_view


def judged(address, token, method="GET"):
    return {each.words: each.verdict for each in judge_view(address, method, verify(token))}


@pytest.mark.parametrize("edge", HTTP_EDGES)
def test_the_verdict_is_that_of_a_request(issuer, settings, edge):
    settings.ROOT_URLCONF = "tests.edges.parity_views"
    for name, claims, _ in TABLE:
        token, address = issuer.token(**claims), f"/{edge}/{NUMBERS[name]}/acme"
        response = Client().get(address, headers={"Authorization": f"Bearer {token}"})
        # REST framework's default permission demands a token beside the requirement.
        *others, judgement = judge_view(address, "GET", verify(token))
        assert {each.verdict for each in others} <= {"ok"}
        needs_object = name == "owner" or (name == "least" and claims.get("scope") == "read")
        expected = "ok" if response.status_code == 200 else "object" if needs_object else "refused"
        assert judgement.verdict == expected, (name, claims)
        refusal = judgement.refusal
        if refusal is not None:
            assert (refusal.status, refusal.reason) == (response.status_code, response.json()["reason"])
    assert {name for name, _, _ in TABLE} == set(REQUIREMENTS)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("view", GUARDED)
def test_every_way_to_write_a_view(issuer, view, method):
    assert judged(url(view), issuer.token(scope="read"), method)["scope `read`"] == "ok"
    assert judged(url(view), issuer.token(), method)["scope `read`"] == "refused"


WAYS = {
    "/composed": {"scope `a` and an access token or scope `b`": "ok"},
    "/negated": {"not (scope `a`) or scope `b`": "not judged"},
    "/on-method": {"scope `on:the:method`": "refused"},
    "/of-sessions": {
        "an authentication class that reads access tokens": "not judged",
        "scope `read`": "refused",
        "`OnMondays`": "not judged",
    },
    "/needs-a-request": {"scope `a`": "refused", "permissions that need a request (AttributeError)": "not judged"},
    "/open": {},
}


@pytest.mark.parametrize("address", WAYS)
def test_permissions_that_are_not_requirements_are_not_judged(issuer, settings, address):
    settings.ROOT_URLCONF = "tests.edges.demanding_views"

    assert judged(address, issuer.token(scope="b")) == WAYS[address]


@pytest.mark.parametrize(
    ("method", "scope"), [("GET", "a"), ("HEAD", "a"), ("POST", "b"), ("OPTIONS", "c"), ("DELETE", None)]
)
@pytest.mark.parametrize("address", ["/per-action", "/per-action-outside"])
def test_the_action_of_a_method_is_that_of_a_request(issuer, settings, address, method, scope):
    settings.ROOT_URLCONF = "tests.edges.demanding_views"
    for given in ("a", "b", "c"):
        token = issuer.token(scope=given)
        response = Client().generic(method, address, headers={"Authorization": f"Bearer {token}"})
        verdict = "ok" if given == scope else "refused"
        assert (response.status_code < 400) is (verdict == "ok")
        assert [each.verdict for each in judge_view(address, method, verify(token))][-1] == verdict


@pytest.mark.parametrize(("name", "scope"), [("text", "of:text"), ("methods", "of:get"), ("scopes", "of:scopes")])
def test_the_requirement_of_an_action_is_described_as_it_is_enforced(issuer, settings, name, scope):
    settings.ROOT_URLCONF = "tests.edges.demanding_views"
    settings.RESOURCE_SERVER = issuer.settings(RESOURCE="https://api.test", PUBLIC_ORIGIN="https://api.test")
    address = f"/actions/{name}/"

    for given in ("view", scope):
        token = issuer.token(scope=given)
        status = Client().get(address, headers={"Authorization": f"Bearer {token}"}).status_code
        assert status == (200 if given == scope else 403)
        assert [each.verdict for each in judge_view(address, "GET", verify(token))][-1] == (
            "ok" if given == scope else "refused"
        )
    assert f'scope="{scope}"' in Client().get(address)["WWW-Authenticate"]
    assert scope in Client().get("/.well-known/oauth-protected-resource").json()["scopes_supported"]
    view = resolve(address).func
    assert access_of(view.cls(**view.initkwargs), "GET").scopes == (scope,)


def test_an_action_whose_requirement_is_none_is_not_described(issuer, settings):
    settings.ROOT_URLCONF = "tests.edges.demanding_views"

    assert judged("/actions/mistake/", issuer.token(scope="view")) == {"an access token": "ok"}
    assert Client().get("/actions/mistake/").status_code == 401
    with pytest.raises(TypeError, match="not a requirement: 5"):
        Client().get("/actions/mistake/", headers={"Authorization": f"Bearer {issuer.token(scope='view')}"})


def test_a_path_without_a_view_is_an_error(issuer):
    with pytest.raises(Resolver404):
        judge_view("/nowhere", "GET", verify(issuer.token()))


@pytest.mark.parametrize("by", ["subject", "identity", "user"])
def test_the_owner_is_known_with_the_object_however_owners_are_known(issuer, settings, by):
    """The user of a token is not looked up here, so it may be the owner."""
    right = Scopes("read") & Owner("owner", by=by)
    view = requires(right)(lambda request: HttpResponse())
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": [path("owned", view)]})
    assert judged("/owned", issuer.token(scope="read")) == {right.words: "object"}
    (refused,) = judge_view("/owned", "GET", verify(issuer.token()))
    assert (refused.verdict, str(refused.refusal)) == ("refused", "access token lacks a scope: read")
