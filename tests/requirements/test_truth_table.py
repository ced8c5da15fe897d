"""Any claims and any composition against a truth table that is computed apart: 1 holds, 0 does not, 1/2 is not judged."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.verified import token_of

from resource_server.challenge import Answers, body, challenge
from resource_server.errors import InsufficientScope, InsufficientUserAuthentication
from resource_server.requirements import (
    Actor,
    AnyOrganisation,
    AnyScope,
    AnyToken,
    AuthenticationContext,
    AuthorizationDetail,
    Claim,
    Client,
    Groups,
    Machine,
    Operation,
    Organisation,
    Owner,
    PerAction,
    PerMethod,
    Permissions,
    Person,
    Roles,
    Scopes,
)

HALF = 0.5
WORDS = ["a", "b", "c", "", "a b", "A", "1", "auth0|ada"]
NOW = time.time()

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from(
        [0.0, 1.0, NOW - 30, NOW - 10**6, NOW + 10**6, 1e308, float("inf"), -1e308, 2**80, 10**400, -(10**400)]
    ),
    st.sampled_from(WORDS),
    st.text(max_size=4),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["a", "b", "sub", "iss", "type", "actions", "roles", "identifier"]), inner, max_size=4
        ),
    ),
    max_leaves=8,
)
NAMES = ("permissions", "roles", "groups", "org_id", "acr", "auth_time", "act", "authorization_details", "x")
claims = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(NAMES, values),
        "scope": st.sampled_from(["a", "a b", "c", ""]),
        "client_id": st.sampled_from(["a", "auth0|ada"]),
        "authorization_details": st.one_of(
            values,
            st.lists(
                st.fixed_dictionaries(
                    {"type": st.sampled_from(["a", "b"])}, optional={"actions": values, "identifier": scalars}
                ),
                max_size=3,
            ),
        ),
        "act": st.one_of(values, st.fixed_dictionaries({}, optional={"sub": scalars, "iss": scalars, "act": values})),
        "roles": st.one_of(values, st.lists(st.sampled_from(WORDS), max_size=3)),
    },
)
operations = st.builds(
    Operation,
    method=st.sampled_from([None, "GET", "HEAD", "POST", "OPTIONS"]),
    action=st.sampled_from([None, "list", "create", "metadata"]),
    arguments=st.dictionaries(st.just("org"), st.sampled_from(["a", "b", "", 1]), max_size=1),
)


def held(claims):
    return set(claims.get("scope", "").split())


def texts(name, wanted):
    def truth(claims, operation):
        value = claims.get(name)
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list) or [each for each in listed if not isinstance(each, str)]:
            return HALF
        return float(wanted in listed)

    return truth


def json_equal(one, other):
    return json.dumps(one) == json.dumps(other) or (
        {type(one), type(other)} <= {int, float} and one == other  # 1 and 1.0
    )


def claim_equals(wanted):
    def truth(claims, operation):
        value = claims.get("x")
        return HALF if value is None or isinstance(value, list | dict) else float(json_equal(value, wanted))

    return truth


def claim_contains(wanted):
    def truth(claims, operation):
        value = claims.get("x")
        listed = value if isinstance(value, list) else [value]
        if any(each is None or isinstance(each, list | dict) for each in listed):
            return HALF
        return float(any(json_equal(each, wanted) for each in listed))

    return truth


def claim_matches(claims, operation):
    value = claims.get("x")
    return float(value == "a") if isinstance(value, str) else HALF


def only_texts(value):
    if not isinstance(value, str):
        raise TypeError(value)
    return value == "a"


def organisation(claims, operation):
    value = claims.get("org_id")
    named = operation.arguments.get("org", "")
    return float(f"{value}" == f"{named}") if is_organisation(value) and named != "" else HALF


def is_organisation(value):
    if isinstance(value, str):
        return value != ""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def any_organisation(claims, operation):
    value = claims.get("org_id")
    if value is None:
        return 0.0
    return 1.0 if is_organisation(value) else HALF


def claim_at(claims, operation):
    value = claims.get("x")
    for name in ("a", "b"):
        if value is None:
            return 0.0
        if not isinstance(value, dict):
            return HALF
        value = value.get(name)
    return float(value is not None)


def actor(claims, operation):
    act = claims.get("act")
    if act is None:
        return 0.0
    if not isinstance(act, dict) or not all(isinstance(act.get(name, ""), str | None) for name in ("sub", "iss")):
        return HALF
    if act.get("sub") is None:
        return HALF
    return float(act["sub"] == "a" and act.get("iss") in {None, "https://issuer.test/"})


def any_actor(claims, operation):
    act = claims.get("act")
    if act is None:
        return 0.0
    is_actor = isinstance(act, dict) and all(isinstance(act.get(name), str | None) for name in ("sub", "iss"))
    return 1.0 if is_actor else HALF


def only_age(claims, operation):
    signed_in = claims.get("auth_time")
    if isinstance(signed_in, bool) or not isinstance(signed_in, int | float) or signed_in > NOW + 10**5:
        return HALF
    return float(signed_in > NOW - 10**9)


def identified(claims, operation):
    details = claims.get("authorization_details")
    judged = detail(claims, operation)
    if judged == HALF or not all(isinstance(each.get("identifier"), str | None) for each in details):
        return HALF
    return float(any(each["type"] == "a" and each.get("identifier") == "b" for each in details))


def context(claims, operation):
    acr, signed_in = claims.get("acr"), claims.get("auth_time")
    has_acr = float(acr == "a") if isinstance(acr, str) else HALF
    if isinstance(signed_in, bool) or not isinstance(signed_in, int | float) or signed_in > NOW + 10**5:
        is_recent = HALF
    else:
        is_recent = float(signed_in > NOW - 10**5)
    return min(has_acr, is_recent)


def detail(claims, operation):
    details = claims.get("authorization_details")
    if not isinstance(details, list):
        return HALF
    found = 0.0
    for each in details:
        if not isinstance(each, dict) or not isinstance(each.get("type"), str):
            return HALF
        actions = each.get("actions")
        if actions is not None and (
            not isinstance(actions, list) or any(not isinstance(action, str) for action in actions)
        ):
            return HALF
        if not isinstance(each.get("identifier"), str | None):
            return HALF
        if each["type"] == "a" and "b" in (actions or []):
            found = 1.0
    return found


def per_method(claims, operation):
    if operation.method in {"GET", "HEAD"}:
        return float("a" in held(claims))
    return float("b" in held(claims)) if operation.method == "POST" else HALF


LEAVES = [
    (Scopes("a", "b"), lambda claims, operation: float({"a", "b"} <= held(claims))),
    (AnyScope("b", "c"), lambda claims, operation: float(bool({"b", "c"} & held(claims)))),
    (AnyToken(), lambda claims, operation: 1.0),
    (Permissions("a"), texts("permissions", "a")),
    (Roles("a"), texts("roles", "a")),
    (Groups("a"), texts("groups", "a")),
    (Claim("x"), lambda claims, operation: float(claims.get("x") is not None)),
    *((Claim("x", equals=value), claim_equals(value)) for value in (True, False, 1, 0.0, "a", "1")),
    *((Claim("x", contains=value), claim_contains(value)) for value in (True, 1, "a")),
    (Claim("x", matches=only_texts), claim_matches),
    (Client("a"), lambda claims, operation: float(claims["client_id"] == "a") if "client_id" in claims else HALF),
    (Claim("/x/a/b"), claim_at),
    (Organisation(argument="org"), organisation),
    (AnyOrganisation(), any_organisation),
    (AuthenticationContext(max_age_seconds=10**9), only_age),
    (AuthorizationDetail("a", identifier="b"), identified),
    (Actor(), any_actor),
    (Organisation("a"), lambda claims, operation: organisation(claims, Operation(arguments={"org": "a"}))),
    (Actor("a"), actor),
    (AuthenticationContext("a", max_age_seconds=10**5), context),
    (AuthorizationDetail("a", actions=("b",)), detail),
    (Machine(), lambda claims, operation: float(claims.get("client_id") == "auth0|ada")),
    (Person(), lambda claims, operation: float(claims.get("client_id") != "auth0|ada")),
    (Owner("owner"), lambda claims, operation: HALF),
    (PerMethod({"GET": "a", "POST": "b"}), per_method),
    (
        PerAction({"list": "a", "*": ~AnyToken()}),
        lambda claims, operation: (
            HALF if operation.action is None else float(operation.action == "list" and "a" in held(claims))
        ),
    ),
]


def both(one, other):
    return one[0] & other[0], lambda claims, operation: min(one[1](claims, operation), other[1](claims, operation))


def either(one, other):
    return one[0] | other[0], lambda claims, operation: max(one[1](claims, operation), other[1](claims, operation))


def opposite(one):
    return ~one[0], lambda claims, operation: 1 - one[1](claims, operation)


compositions = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(st.builds(both, inner, inner), st.builds(either, inner, inner), st.builds(opposite, inner)),
    max_leaves=8,
)


def assert_judged(requirement, truth, claims, operation):
    token = token_of(**claims)
    expected = truth(claims, operation)

    assert requirement.holds(token, operation) is {1.0: True, 0.0: False, HALF: None}[expected]
    if expected == 1:
        assert requirement.check(token, operation) is token
        assert not requirement.shortfall(token, operation).is_short
        return
    with pytest.raises((InsufficientScope, InsufficientUserAuthentication)) as raised:
        requirement.check(token, operation)
    error = raised.value
    assert (error.status, error.code) in {(403, "insufficient_scope"), (401, "insufficient_user_authentication")}
    assert challenge(Answers(realm="api"), error).isascii()
    assert body(error)["detail"] == str(error)
    scopes = set(held(claims))
    while isinstance(error, InsufficientScope) and error.scopes:
        # Each challenge names a new scope, so a client that asks for all of them comes to an end.
        assert not scopes.issuperset(error.scopes)
        scopes |= set(error.scopes)
        try:
            requirement.check(token_of(**{**claims, "scope": " ".join(scopes)}), operation)
        except (InsufficientScope, InsufficientUserAuthentication) as raised_again:
            error = raised_again
        else:
            break


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: repr(leaf[0]))
@settings(max_examples=60, deadline=None)
@given(claims=claims, operation=operations)
def test_each_requirement_and_its_opposite(leaf, claims, operation):
    assert_judged(*leaf, claims, operation)
    assert_judged(*opposite(leaf), claims, operation)


@settings(max_examples=600, deadline=None)
@given(composition=compositions, claims=claims, operation=operations)
def test_every_composition(composition, claims, operation):
    assert_judged(*composition, claims, operation)
