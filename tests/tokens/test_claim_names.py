"""CLAIMS: nested claims by JSON Pointer (case 44), and machines whose tokens have no subject (case 43)."""

import time
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.test import RequestFactory

from resource_server import authentication, verify
from resource_server.conf.project import parse
from resource_server.devissuer.signing import SigningKeys
from resource_server.errors import InvalidToken
from resource_server.explain import explain
from resource_server.testing import FakeIssuer
from resource_server.tokens.policy import ClaimNames

KEYS = SigningKeys("ES256")


@pytest.fixture
def trust(settings):
    """Trusts an issuer under these settings, and returns what signs a good token of it with changes."""
    issuer = FakeIssuer(algorithm="ES256")
    issuer.keys = KEYS

    def start(**changes):
        settings.RESOURCE_SERVER = issuer.settings(**changes)
        return issuer.token

    with issuer.serving():
        yield start


def refusal(token):
    with pytest.raises(InvalidToken) as refused:
        verify(token)
    return refused.value.reason


# Nested claims

NESTED: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[Any, ...]]] = {
    "Keycloak's realm roles": (
        {"scope": "/realm_access/roles"},
        {"realm_access": {"roles": ["clerk", "admin"]}, "scope": "openid"},
        ("auth0|ada", {"clerk", "admin"}, "client"),
    ),
    "Keycloak's client roles": (
        {"scope": "/resource_access/orders~1api/roles"},
        {"resource_access": {"orders/api": {"roles": ["read"]}}},
        ("auth0|ada", {"read"}, "client"),
    ),
    "Auth0's own claim, whole": (
        {"scope": "https://example.com/roles"},
        {"https://example.com/roles": ["read"]},
        ("auth0|ada", {"read"}, "client"),
    ),
    "the first that is there": (
        {"scope": ["/realm_access/roles", "permissions", "scope"]},
        {"realm_access": {}, "permissions": ["read"], "scope": "openid"},
        ("auth0|ada", {"read"}, "client"),
    ),
    "none that is there": ({"scope": "/realm_access/roles"}, {"realm_access": ["roles"]}, ("auth0|ada", set(), "client")),
    "every role": (
        {"subject": "/user/id", "audience": "/for/0", "scope": "/user/may", "client_id": "/by/name"},
        {"user": {"id": "7", "may": "a b"}, "for": ["https://api.test/"], "by": {"name": "app"}, "sub": None, "aud": None},
        ("7", {"a", "b"}, "app"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("names", "claims", "found"), NESTED.values(), ids=NESTED)
def test_a_nested_claim_is_read_by_its_pointer(trust, names, claims, found):
    sign = trust(CLAIMS=names)
    token = verify(sign(**claims))
    assert (token.subject, token.scopes, token.client_id) == found
    assert {name: token.plain_claims().get(name) for name in claims} == claims
    assert not any(name.startswith("/") for name in token.claims)


MALFORMED = {
    "no subject": ({"subject": "/user/id"}, {"user": {}}, "sub_missing"),
    "a subject that is null": ({"subject": "/user/id"}, {"user": {"id": None}}, "sub_missing"),
    "a subject that is a list": ({"subject": "/user"}, {"user": ["ada"]}, "sub_malformed"),
    "no audience": ({"audience": "/for/api"}, {"for": "https://api.test/"}, "aud_missing"),
    "another audience": ({"audience": "/for/api"}, {"for": {"api": "b"}}, "audience_not_accepted"),
    "a scope that is an object": ({"scope": "/realm_access"}, {"realm_access": {"roles": []}}, "scope_malformed"),
    "a client that is a number": ({"client_id": "/by/id"}, {"by": {"id": 1}}, "client_id_malformed"),
    # A claim of this whole name is another one.
    "a subject under the pointer as a name": ({"subject": "/user/id"}, {"/user/id": "admin"}, "sub_missing"),
    "an audience under the pointer as a name": ({"audience": "/a/b"}, {"/a/b": "https://api.test/"}, "aud_missing"),
}


@pytest.mark.parametrize(("names", "claims", "reason"), MALFORMED.values(), ids=MALFORMED)
def test_a_nested_claim_is_as_compulsory_and_as_typed(trust, names, claims, reason):
    token = trust(CLAIMS=names)(**claims)
    assert refusal(token) == reason
    assert explain(token).refusal.reason == reason


def test_a_scope_under_the_pointer_as_a_name_gives_no_right(trust):
    sign = trust(CLAIMS={"scope": "/realm_access/roles"})
    assert verify(sign(**{"/realm_access/roles": ["admin"], "realm_access": {"roles": ["clerk"]}})).scopes == {"clerk"}
    assert verify(sign(**{"/realm_access/roles": ["admin"]})).scopes == set()


def test_an_explanation_shows_the_nested_audience(trust):
    explanation = explain(trust(CLAIMS={"audience": "/for/api"})(**{"for": {"api": "b"}}))
    [audience] = [fact for fact in explanation.facts if fact.name == "/for/api"]
    assert (audience.found, audience.expected) == ("'b'", "'https://api.test/'")


# Machines without a subject

ALTERNATIVES = {"subject": ["sub", "client_id", "azp"]}
SUBJECTS: dict[str, tuple[dict[str, Any], tuple[str, bool] | str]] = {
    "a person": ({}, ("auth0|ada", False)),
    "a machine": ({"sub": None}, ("client", True)),
    "a machine by azp": ({"sub": None, "client_id": None, "azp": "app"}, ("app", True)),
    "a machine with a subject": ({"sub": "client"}, ("client", True)),
    "neither": ({"sub": None, "client_id": None}, "sub_missing"),
    "a client that is a number": ({"sub": None, "client_id": 1}, "sub_malformed"),
    "a client with a control character": ({"sub": None, "client_id": "a\n"}, "sub_malformed"),
    "a client of 256 characters": ({"sub": None, "client_id": "c" * 256}, "sub_malformed"),
    "a subject that is empty": ({"sub": ""}, "sub_malformed"),
    "a subject that is a number": ({"sub": 0}, "sub_malformed"),
    # A person whose subject the issuer leaves out, as Keycloak since 25 without the client scope `basic`.
    "a person's session": ({"sub": None, "sid": "s"}, "sub_missing"),
    "a person's session, Keycloak": ({"sub": None, "session_state": "s"}, "sub_missing"),
    "a person's sign-in": ({"sub": None, "auth_time": 1}, "sub_missing"),
    "a person's second factor": ({"sub": None, "amr": ["mfa"]}, "sub_missing"),
    "a person's e-mail address": ({"sub": None, "email": "ada@example.test"}, "sub_missing"),
    "a person's name": ({"sub": None, "name": "Ada"}, "sub_missing"),
    "a person's given name": ({"sub": None, "given_name": "Ada"}, "sub_missing"),
    "a person's telephone": ({"sub": None, "phone_number": "+44 1"}, "sub_missing"),
    "a person of Keycloak": ({"sub": None, "preferred_username": "ada"}, "sub_missing"),
    "a person of Entra ID": ({"sub": None, "unique_name": "ada"}, "sub_missing"),
    "a person of Cognito": ({"sub": None, "username": "ada"}, "sub_missing"),
    "a person of Okta": ({"sub": None, "uid": "00u0"}, "sub_missing"),
    "a person of AD FS": ({"sub": None, "upn": "ada@example.test"}, "sub_missing"),
}


@pytest.mark.parametrize(("claims", "found"), SUBJECTS.values(), ids=SUBJECTS)
def test_a_machine_without_a_subject_is_its_client(trust, claims, found):
    token = trust(CLAIMS=ALTERNATIVES)(**claims)
    if isinstance(found, str):
        assert refusal(token) == found
        assert explain(token).refusal.reason == found
    else:
        verified = verify(token)
        assert (verified.subject, verified.is_machine) == found
        assert ("sub" in verified.claims) is (claims.get("sub", "") is not None)


def signed_null(claims):
    """A good token of the issuer with these claims written as null."""
    now = int(time.time())
    good = {"iss": "https://issuer.test/", "aud": "https://api.test/", "client_id": "client", "exp": now + 60}
    return KEYS.sign({**good, **claims})


def test_a_subject_that_is_null_is_absent_for_a_machine_alone(trust):
    trust(CLAIMS=ALTERNATIVES)
    assert verify(signed_null({"sub": None, "sid": None})).is_machine
    assert refusal(signed_null({"sub": None, "sid": "s"})) == "sub_missing"
    trust()
    assert refusal(signed_null({"sub": None})) == "sub_malformed"


def test_without_alternatives_a_machine_needs_its_subject(trust):
    assert refusal(trust()(sub=None)) == "sub_missing"


@pytest.mark.parametrize("provider", ["okta", "cognito", "authentik", "django-oauth-toolkit", "keycloak", "adfs"])
def test_it_is_a_machine_under_each_provider(trust, provider):
    client = {"okta": "cid", "adfs": "appid"}.get(provider, "client_id")
    sign = trust(PROVIDER=provider, TOKEN_TYPE="at+jwt", CLAIMS={"subject": ["sub", client], "audience": "aud"})
    verified = verify(sign(**{"sub": None, "client_id": None, client: "machine-1"}))
    assert (verified.subject, verified.client_id, verified.is_machine) == ("machine-1", "machine-1", True)


def test_a_person_of_another_claim_is_no_machine(trust):
    # The person has `sub`, and lacks only the claim that the project reads.
    sign = trust(CLAIMS={"subject": ["/user/id", "client_id"]})
    assert refusal(sign(sub="ada")) == "sub_missing"
    assert verify(sign(sub="client")).is_machine
    assert verify(sign(sub=None)).is_machine
    assert not verify(sign(user={"id": "7"}, sub="ada")).is_machine


def test_a_person_who_is_named_like_a_client_has_another_identity(trust):
    sign = trust(CLAIMS=ALTERNATIVES)
    machine, person = verify(sign(sub=None)), verify(sign(sub="client", client_id="another"))
    assert (machine.subject, person.subject) == ("client", "client")
    assert (machine.is_machine, person.is_machine) == (True, False)
    assert machine.identity != person.identity
    users = [
        authentication.authenticate(RequestFactory().get("/", headers={"Authorization": f"Bearer {token}"}))[0]
        for token in (sign(sub=None), sign(sub="client", client_id="another"))
    ]
    assert users[0] != users[1]
    assert users[0].pk != users[1].pk


@pytest.mark.parametrize("users", ["lookup", "provision", f"{__name__}.user_of"])
def test_a_machine_never_gets_the_user_of_its_name(trust, users, db):
    person = get_user_model().objects.create_user("client")
    sign = trust(CLAIMS=ALTERNATIVES, USERS=users)
    request = RequestFactory().get("/", headers={"Authorization": f"Bearer {sign(sub=None)}"})
    user, token = authentication.authenticate(request)
    assert token.is_machine
    assert user != person
    assert not hasattr(user, "password")
    assert get_user_model().objects.count() == 1


def user_of(token):
    raise AssertionError("a machine is no person")


# Settings


FAULTS = {
    "a tilde that stands for nothing": ({"scope": "/a~b"}, "a name that starts with a slash is a JSON Pointer"),
    "the same in a list": ({"client_id": ["azp", "/~"]}, "a name that starts with a slash is a JSON Pointer"),
    "a second subject of a person": ({"subject": ["sub", "email"]}, "one of client_id, azp, cid, appid"),
    "a second subject that the client is not read from": (
        {"subject": ["sub", "azp"], "client_id": "cid"},
        "after the first, the subject is one of cid",
    ),
    "the same subject again": ({"subject": ["client_id", "client_id", "azp"], "client_id": "azp"}, None),
    "a client first, and then a person": ({"subject": ["client_id", "sub"]}, "one of client_id, azp"),
    "two audiences": ({"audience": ["aud", "azp"]}, "It is not a dict of claim names"),
    "a role that users cannot name": ({"client_as_subject": ["azp"]}, "'client_as_subject' is not a key of it. "),
    "a role in the plural": ({"scopes": "scp"}, "'scopes' is not a key of it. Did you mean scope. A dict"),
    "a right with a typing error": ({"role": "r"}, "Did you mean roles. A dict"),
    "an empty name": ({"subject": ["sub", ""]}, "It is not a dict of claim names"),
}


@pytest.mark.parametrize(("names", "reason"), FAULTS.values(), ids=FAULTS)
def test_a_fault_in_the_names_is_an_error_with_its_reason(settings, names, reason):
    settings.RESOURCE_SERVER = {"ISSUER": "https://issuer.test/", "AUDIENCE": "a", "CLAIMS": names}
    found = [(message.id, message.hint) for message in run_checks()]
    assert [id_ for id_, _hint in found] == ["resource_server.E018"] * (reason is not None)
    assert reason is None or reason in found[0][1]


def test_a_provider_without_a_client_has_no_second_subject():
    settings = {"ISSUER": "https://issuer.test/", "AUDIENCE": "a", "PROVIDER": "gitlab-ci"}
    _config, [problem] = parse({**settings, "CLAIMS": {"subject": ["sub", "azp"]}}, debug=False)
    assert problem.id == "E018"
    assert "no claims here" in problem.hint


PATHS = {
    "realm_access.roles": "/realm_access/roles",
    "realm_access/roles": "/realm_access/roles",
    "$.realm_access.roles": "/realm_access/roles",
    "resource_access.orders-api.roles": "/resource_access/orders-api/roles",
    "kubernetes.io/serviceaccount": "/kubernetes/io/serviceaccount",
}


@pytest.mark.parametrize(("name", "pointer"), PATHS.items())
@pytest.mark.parametrize("write", [str, lambda name: ["scope", name]], ids=["alone", "in a list"])
def test_a_name_that_looks_like_a_path_is_a_warning_with_the_pointer(settings, name, pointer, write):
    entry = {"ISSUER": "https://issuer.test/", "CLAIMS": {"scope": write(name)}}
    settings.RESOURCE_SERVER = {"AUDIENCE": "a", "ISSUERS": [{"ISSUER": "https://b.test/"}, entry]}
    [warning] = run_checks()
    assert warning.id == "resource_server.W009"
    assert warning.msg.startswith(f"RESOURCE_SERVER: ISSUERS[1]: CLAIMS names the claim {name}, ")
    assert f'"{pointer}"' in warning.hint


CLAIM = "realm_access.roles"
PLACES = {
    **{f"CLAIMS: {role}": {"CLAIMS": {role: CLAIM}} for role in ("permissions", "roles", "groups", "organisation")},
    "USERS: GROUPS_CLAIM": {"USERS": {"FIND": "lookup", "GROUPS": {"a": "A"}, "GROUPS_CLAIM": CLAIM}},
    "USERS: PERMISSIONS_CLAIM": {
        "USERS": {"FIND": "lookup", "PERMISSIONS": {"a": "auth.add_user"}, "PERMISSIONS_CLAIM": CLAIM}
    },
}


@pytest.mark.parametrize("place", PLACES)
def test_each_place_that_names_a_claim_has_the_warning(settings, place):
    settings.RESOURCE_SERVER = {"ISSUER": "https://issuer.test/", "AUDIENCE": "a", **PLACES[place]}
    [warning] = run_checks()
    assert warning.id == "resource_server.W009"
    key = place if place.startswith("USERS") else "CLAIMS"
    assert warning.msg.startswith(f"RESOURCE_SERVER: {key} names the claim {CLAIM}, ")
    assert '"/realm_access/roles"' in warning.hint


@pytest.mark.parametrize("name", PATHS)
def test_the_other_spelling_of_the_hint_reads_the_whole_name_without_a_warning(trust, name):
    whole = f"/{name.replace('/', '~1')}"
    sign = trust(CLAIMS={"scope": name})
    assert f'"{whole}"' in run_checks()[0].hint
    assert verify(sign(**{name: "a"})).scopes == {"a"}
    sign = trust(CLAIMS={"scope": whole})
    assert run_checks() == []
    assert verify(sign(**{name: "a"})).scopes == {"a"}


@pytest.mark.parametrize(
    "name",
    ["permissions", "https://example.com/roles", "urn:zitadel:iam:org:project:roles", "cognito:groups", "/a/b", "a b", "x."],
)  # fmt: skip
def test_a_name_that_is_none_is_not_warned_of(settings, name):
    settings.RESOURCE_SERVER = {"ISSUER": "https://issuer.test/", "AUDIENCE": "a", "CLAIMS": {"scope": name}}
    assert run_checks() == []


def test_the_standard_names_need_no_second_look():
    assert ClaimNames().are_plain
    assert not ClaimNames(scope=("/a",)).are_plain
    assert not ClaimNames(client_as_subject=("azp",)).are_plain
