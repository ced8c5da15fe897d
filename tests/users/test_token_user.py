"""TokenUser: what Django and REST framework ask of a user, without a row."""

import pytest

from resource_server import TokenUser
from resource_server.tokens.access_token import access_token


def token_user(issuer="https://issuer.test/", subject="ada"):
    return TokenUser(access_token({"iss": issuer, "sub": subject, "aud": "api", "exp": 2_000_000_000}))


OTHERS = {
    "another subject": ("https://issuer.test/", "bob"),
    "another issuer": ("https://other.test/", "ada"),
    "another case": ("https://issuer.test/", "Ada"),
    "the border between the two moved": ("https://issuer.test/a", "da"),
}


@pytest.mark.parametrize(("issuer", "subject"), OTHERS.values(), ids=OTHERS)
def test_another_issuer_or_subject_is_somebody_else(issuer, subject):
    ada, other = token_user(), token_user(issuer, subject)
    assert ada.pk != other.pk
    assert ada != other
    assert len({ada, other}) == 2


def test_two_requests_of_one_person_are_equal():
    assert token_user() == token_user()
    assert hash(token_user()) == hash(token_user())
    assert token_user().pk == token_user().id == token_user().pk
    assert token_user() != token_user().pk


def test_pk_and_repr_hold_nothing_personal():
    user = token_user(subject="ada@example.com")
    assert "ada" not in f"{user.pk}{user!r}"
    assert user.get_username() == user.username == str(user) == "ada@example.com"


def test_is_authenticated_and_has_no_rights():
    user = token_user()
    assert (user.is_authenticated, user.is_anonymous, user.is_active) == (True, False, True)
    assert (user.is_staff, user.is_superuser) == (False, False)
    assert user.has_perm("auth.add_user") is False
    assert user.has_perms(["auth.add_user"]) is False
    assert user.has_module_perms("auth") is False
    assert user.get_user_permissions() == user.get_group_permissions() == user.get_all_permissions() == set()


def test_has_no_groups_without_a_query():
    assert list(token_user().groups.all()) == []
    assert list(token_user().user_permissions.all()) == []
    assert not token_user().groups.filter(name="admin").exists()


@pytest.mark.parametrize("method", ["save", "delete"])
def test_cannot_be_saved(method):
    with pytest.raises(NotImplementedError, match="no database row"):
        getattr(token_user(), method)()
