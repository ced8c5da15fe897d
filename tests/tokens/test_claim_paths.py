"""Claims by name and by JSON Pointer (RFC 6901)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resource_server.testing import FakeIssuer
from resource_server.tokens.access_token import access_token
from resource_server.tokens.claim_paths import claim_reader, is_pointer

CLAIMS = {
    "realm_access": {"roles": ["admin", "clerk"]},
    "resource_access": {"orders/api": {"roles": ["read"]}, "a~b": {"roles": ["tilde"]}, "~1": {"roles": ["both"]}},
    "https://example.com/roles": ["whole"],
    "realm_access.roles": ["dotted"],
    "/slash": ["slash"],
    "": {"": "empty"},
    "list": [{"id": "first"}, "second"],
    "null": None,
    "text": "0123",
    "0": "zero",
}
FOUND = {
    "a member": ("/realm_access/roles", ["admin", "clerk"]),
    "a claim by a pointer": ("/realm_access", {"roles": ["admin", "clerk"]}),
    "a slash in a name": ("/resource_access/orders~1api/roles", ["read"]),
    "a tilde in a name": ("/resource_access/a~0b/roles", ["tilde"]),
    "a tilde before a 1": ("/resource_access/~01/roles", ["both"]),
    "a name with slashes is whole": ("https://example.com/roles", ["whole"]),
    "a name with dots is whole": ("realm_access.roles", ["dotted"]),
    "a name that starts with a slash": ("/~1slash", ["slash"]),
    "empty names": ("//", "empty"),
    "a member of a list": ("/list/0/id", "first"),
    "the last of a list": ("/list/1", "second"),
    "a digit that is a name": ("/0", "zero"),
}
ABSENT = {
    "no such claim": "/realm",
    "no such member": "/realm_access/groups",
    "a pointer is not a name": "/slash",
    "beyond the list": "/list/2",
    "after the last": "/list/-",
    "a leading zero": "/list/00",
    "a sign": "/list/-1",
    "a digit of another script": "/list/\N{ARABIC-INDIC DIGIT ONE}",
    "a number beyond any list": "/list/" + "9" * 5000,
    "a character of a text": "/text/0",
    "below null": "/null/roles",
    "null": "/null",
    "null by its name": "null",
    "no such name": "groups",
}


@pytest.mark.parametrize(("name", "value"), FOUND.values(), ids=FOUND)
def test_the_claim_is_found(name, value):
    assert claim_reader(name)(CLAIMS) == value


@pytest.mark.parametrize("name", ABSENT.values(), ids=ABSENT)
def test_nothing_is_found(name):
    assert claim_reader(name)(CLAIMS) is None


def test_the_read_only_claims_of_a_token_are_read_too():
    token = access_token(FakeIssuer().claims(**CLAIMS))
    assert claim_reader("/realm_access/roles")(token.claims) == ("admin", "clerk")
    assert claim_reader("/list/0/id")(token.claims) == "first"


@pytest.mark.parametrize("name", ["/~", "/a~2", "/a/b~", "/~~1"])
def test_a_tilde_that_stands_for_nothing_is_no_pointer(name):
    with pytest.raises(ValueError, match="JSON Pointer"):
        claim_reader(name)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("~/01a", max_size=3), inner, max_size=3),
)


@given(claims=st.dictionaries(st.text("~/01a", max_size=3), JSON, max_size=4), name=st.text("~/01-a", min_size=1))
def test_no_name_and_no_claims_raise_anything_but_value_error_for_the_name(claims, name):
    try:
        read = claim_reader(name)
    except ValueError:
        assert is_pointer(name)
        return
    json.dumps(read(claims))


@given(claims=st.dictionaries(st.text("~/01a", max_size=3), JSON, max_size=4))
def test_every_value_is_at_its_pointer(claims):
    def check(value, pointer):
        assert pointer == "" or claim_reader(pointer)(claims) == value
        members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for name, member in members:
            check(member, f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}")

    check(claims, "")
