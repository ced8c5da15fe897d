"""Requirements that cannot be meant are refused where they are made."""

import pytest

from resource_server.requirements import AnyScope, Scopes


@pytest.mark.parametrize("make", [Scopes, AnyScope])
def test_a_string_is_not_a_list_of_scopes(make):
    # Its letters would be scopes, and a token with the scope `a` would pass for "admin".
    with pytest.raises(TypeError, match=rf"write {make.__name__}\(\('admin',\)\)"):
        make("admin")


@pytest.mark.parametrize("make", [Scopes, AnyScope])
@pytest.mark.parametrize("scopes", [(), ("",), ("a b",), ('a"',), (1,)])
def test_what_cannot_be_a_scope_is_refused(make, scopes):
    with pytest.raises(ValueError, match="scope"):
        make(scopes)
