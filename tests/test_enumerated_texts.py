"""A project may write each text as a member of `class Role(str, Enum)`: it is meant as its value, and not as its name."""

from enum import Enum
from typing import Any

import pytest
from django.test import RequestFactory

from resource_server import authentication
from resource_server.conf import project as conf
from resource_server.errors import AuthorizationError
from resource_server.plain_texts import plain_texts
from resource_server.requirements import (
    Actor,
    AuthenticationContext,
    AuthorizationDetail,
    Claim,
    Client,
    Groups,
    Issuer,
    Operation,
    Organisation,
    PerAction,
    PerMethod,
    Permissions,
    Roles,
    Scopes,
    requirement_of,
)
from resource_server.testing import FakeIssuer


class Text(str, Enum):  # noqa: UP042 - StrEnum would behave
    """Each name differs from its value, as `str()` gives the name."""

    ONE = "value"
    VERB = "DELETE"
    DEED = "destroy"
    REST = "*"


REQUIREMENTS = {
    "Scopes": Scopes,
    "Roles": Roles,
    "Groups": Groups,
    "Permissions": Permissions,
    "Issuer": Issuer,
    "Client": Client,
    "Organisation": Organisation,
    "Organisation of an argument": lambda text: Organisation(argument=text),
    "Actor": lambda text: Actor(text, issuer=text),
    "AuthenticationContext": AuthenticationContext,
    "AuthorizationDetail": lambda text: AuthorizationDetail(text, actions=(text,), identifier=text),
    "Claim": lambda text: Claim(text, equals=text),
    "a text": requirement_of,
}


@pytest.mark.parametrize("make", REQUIREMENTS.values(), ids=REQUIREMENTS)
def test_a_requirement_is_that_of_the_value(make: Any) -> None:
    with_member, with_text = make(Text.ONE), make("value")
    assert with_member == with_text
    assert (repr(with_member), with_member.words) == (repr(with_text), with_text.words)


@pytest.mark.parametrize(
    ("rule", "operation"),
    [
        (PerMethod({Text.VERB: "admin", Text.REST: "read"}), Operation(method="DELETE")),
        (PerAction({Text.DEED: "admin", Text.REST: "read"}), Operation(action="destroy")),
        (requirement_of({Text.DEED: "admin", Text.REST: "read"}), Operation(action="destroy")),
    ],
)
def test_a_key_is_the_operation_that_its_value_names(rule: Any, operation: Operation) -> None:
    assert rule.chosen(operation) == Scopes("admin")
    assert rule.chosen(Operation(method="GET", action="list")) == Scopes("read")


def member(value: object) -> object:
    """The value with each text and key in it as a member of an enumeration."""
    if isinstance(value, dict):
        return {member(key): member(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [member(each) for each in value]
    return Enum("Of", {"NAME": value}, type=str).NAME if isinstance(value, str) else value  # type: ignore[attr-defined]


SETTINGS: dict[str, Any] = {
    "ISSUER": "https://login.example.com/",
    "AUDIENCE": ["a", "b"],
    "DPOP": "required",
    "DPOP_NONCE": "required",
    "CACHE": "default",
    "PUBLIC_ORIGIN": "https://api.example.com",
    "TOKEN_TYPE": "JWT",
    "SCOPE_HIERARCHY": {"admin": ["read"]},
    "CLAIMS": {"roles": "/realm/roles"},
    "USERS": {"FIND": "provision", "GROUPS": {"staff": "Staff"}, "GROUPS_CLAIM": "/realm/groups"},
    "INTROSPECTION": {
        "ENDPOINT": "https://login.example.com/introspect",
        "CLIENT_ID": "api",
        "CLIENT_SECRET": "a secret of the API",
        "FOR": "all",
    },
    "REVOCATION": "default",
    "REALM": "api",
    "THROTTLE_RATES": {"subject": "1/min"},
}


def test_settings_are_those_of_the_values() -> None:
    plain, problems = conf.parse(SETTINGS, debug=False, caches={"default"})
    assert (problems, plain is None) == ([], False)
    written, problems = conf.parse(member(SETTINGS), debug=False, caches={"default"})
    assert (problems, repr(written)) == ([], repr(plain))
    assert written is not None
    assert (written.dpop_nonce, written.policies[0].dpop) == ("required", "required")


@pytest.mark.parametrize("value", [SETTINGS, [("a", {"b"})], {"a": frozenset({"b"})}, "x", None, 1])
def test_nothing_else_changes(value: object) -> None:
    assert plain_texts(value) == value


def test_a_list_within_itself_has_an_end() -> None:
    endless: list[object] = []
    endless.append(endless)
    plain_texts(endless)


def test_a_bearer_token_is_refused_where_a_member_demands_dpop(settings: Any) -> None:
    issuer = FakeIssuer()
    with issuer.serving():
        request = RequestFactory().get("/", headers={"Authorization": f"Bearer {issuer.token()}"})
        for mode in ("required", Enum("Mode", {"STRICT": "required"}, type=str).STRICT):  # type: ignore[attr-defined]
            settings.RESOURCE_SERVER = issuer.settings(DPOP=mode, CACHE="default", PUBLIC_ORIGIN="https://api.test")
            with pytest.raises(AuthorizationError) as caught:
                authentication.authenticate(request)
            assert caught.value.reason == "token_not_bound"
