"""TokenUser: what Django and REST framework ask of a user, without a row."""

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.decorators import login_required, permission_required, user_passes_test
from django.contrib.auth.models import AnonymousUser, PermissionsMixin
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpResponse
from django.test import AsyncRequestFactory, RequestFactory
from tests.verified import token_of

from resource_server import TokenUser


def token_user(issuer="https://issuer.test/", subject="ada"):
    return TokenUser(token_of(subject, issuer))


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


# What users of Django have and a TokenUser has not.
LEFT_OUT = {
    "EMAIL_FIELD": "of a model that is made by forms",
    "REQUIRED_FIELDS": "of a model that is made by forms",
    "USERNAME_FIELD": "of a model that is made by forms",
    "clean": "of a model that is made by forms",
    "get_email_field_name": "of a model that is made by forms",
    "normalize_username": "of a model that is made by forms",
    "Meta": "of a model",
    "get_next_by_last_login": "of a model",
    "get_previous_by_last_login": "of a model",
    "last_login": "a token is no login",
    "password": "a TokenUser has none, not even an unusable one",
    "get_session_auth_fallback_hash": "no session is begun by a token",
    "get_session_auth_hash": "no session is begun by a token",
}


def test_has_what_views_ask_of_any_user_of_django():
    names = {name for user in (AnonymousUser, AbstractBaseUser, PermissionsMixin) for name in dir(user)}
    public = {name for name in names - set(dir(Model)) if not name.startswith("_")}
    assert "ahas_perm" in public
    assert {name for name in public if not hasattr(token_user(), name)} <= set(LEFT_OUT)
    assert {name for name in LEFT_OUT if hasattr(token_user(), name)} == set()


def test_has_no_rights_in_async_views_either():
    user = token_user()
    assert async_to_sync(user.ahas_perm)("auth.add_user") is False
    assert async_to_sync(user.ahas_perms)(["auth.add_user"]) is False
    assert async_to_sync(user.ahas_module_perms)("auth") is False
    for permissions in (user.aget_user_permissions, user.aget_group_permissions, user.aget_all_permissions):
        assert async_to_sync(permissions)() == set()


def test_has_no_password():
    user = token_user()
    assert (user.has_usable_password(), user.check_password("")) == (False, False)
    assert async_to_sync(user.acheck_password)("") is False
    assert user.natural_key() == ("ada",)


def view(request):
    return HttpResponse("in")


async def async_view(request):
    return HttpResponse("in")


def answer(view):
    request = RequestFactory().get("/")
    request.user = token_user()
    return view(request)


def async_answer(view):
    request = AsyncRequestFactory().get("/")

    async def auser():
        return token_user()

    request.user, request.auser = token_user(), auser
    return async_to_sync(view)(request)


KINDS = {"sync": (answer, view), "async": (async_answer, async_view)}


@pytest.mark.parametrize(("ask", "guarded"), KINDS.values(), ids=KINDS)
def test_permission_required_refuses(ask, guarded):
    assert ask(permission_required("auth.add_user")(guarded)).status_code == 302
    with pytest.raises(PermissionDenied):
        ask(permission_required(["auth.add_user"], raise_exception=True)(guarded))


@pytest.mark.parametrize(("ask", "guarded"), KINDS.values(), ids=KINDS)
def test_login_required_admits(ask, guarded):
    assert ask(login_required(guarded)).content == b"in"
    assert ask(user_passes_test(lambda user: user.is_staff)(guarded)).status_code == 302


@pytest.mark.parametrize("method", ["save", "delete", "set_password", "set_unusable_password"])
def test_cannot_be_saved(method):
    with pytest.raises(NotImplementedError, match="no database row"):
        getattr(token_user(), method)()
