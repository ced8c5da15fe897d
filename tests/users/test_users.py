"""Who `request.user` is, under each value of USERS."""

import asyncio
import functools

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.test import RequestFactory
from tests.users.views import employee

from resource_server import authentication, server
from resource_server.tokens.user_source import UserSource

SUBJECTS = {
    "a bar, as Auth0 writes them": "auth0|5f7c8ec7c33c6c004bbafe82",
    "an at sign": "ada@example.com",
    "255 characters": "s" * 255,
    "spaces and letters of the world": "Аде Лавлейс é",
}
MACHINES = {
    "the subject is the client": {"sub": "worker", "client_id": "worker"},
    "Auth0 adds @clients": {"sub": "worker@clients", "client_id": None, "azp": "worker"},
    "Auth0 says gty": {"sub": "worker@clients", "client_id": None, "gty": "client-credentials"},
    "Entra ID says idtyp": {"sub": "5d4f-9", "client_id": None, "azp": "other", "idtyp": "app"},
    "Keycloak's service account": {
        "sub": "7c0e",
        "client_id": None,
        "azp": "Worker",
        "preferred_username": "service-account-worker",
        "clientHost": "10.0.0.1",
        "clientAddress": "10.0.0.1",
    },
}
SETTINGS = ("token", "lookup", "provision", "tests.users.views.employee")


def refused(response, reason):
    assert response.status_code == 401
    assert response.json()["reason"] == reason
    assert response.json()["error"] == "invalid_token"
    assert 'error="invalid_token"' in response["WWW-Authenticate"]
    assert "ignature" not in response.content.decode() + response["WWW-Authenticate"]


@pytest.fixture(params=SETTINGS)
def any_setting(request, users_are, db):
    users_are(request.param)
    return request.param


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
def test_token_takes_any_subject_and_no_database(call, subject):
    response = call(sub=subject)
    assert response.status_code == 200
    assert response.json()["name"] == subject
    assert response.json()["is_token_user"] is True


@pytest.mark.django_db
@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
def test_provision_takes_any_subject(call, users_are, subject):
    users_are("provision")
    first, second = call(sub=subject), call(sub=subject)
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    account = get_user_model().objects.get(pk=first.json()["pk"]).access_token_accounts.get()
    assert account.subject == subject


@pytest.mark.django_db
@pytest.mark.parametrize("subject", ["auth0|ada", "ada@example.com", "s" * 150])
def test_lookup_finds_the_user_named_by_the_subject(call, users_are, subject):
    users_are("lookup")
    ada = get_user_model().objects.create_user(subject)
    get_user_model().objects.create_user("somebody else")
    answer = call(sub=subject)
    assert answer.status_code == 200
    assert answer.json()["pk"] == ada.pk


@pytest.mark.django_db
@pytest.mark.parametrize("users", ["lookup", "tests.users.views.employee"])
@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
def test_an_unknown_user_is_said_to_be_unknown(call, users_are, users, subject):
    users_are(users)
    refused(call(sub=subject), "user_unknown")
    assert not get_user_model().objects.exists()


@pytest.mark.django_db
def test_dotted_path_finds_by_what_the_project_likes(call, users_are):
    users_are("tests.users.views.employee")
    ada = get_user_model().objects.create_user("ada")
    assert call(employee="ada").json()["pk"] == ada.pk


def test_an_answer_that_does_not_say_it_is_active_is_refused(call, users_are):
    users_are("tests.users.views.no_person")
    refused(call(), "user_inactive")


@pytest.mark.django_db
@pytest.mark.parametrize("users", ["lookup", "provision", "tests.users.views.employee"])
def test_an_inactive_user_is_refused_on_the_very_next_request(call, users_are, users):
    users_are(users)
    if users != "provision":
        get_user_model().objects.create_user("ada")
    assert call(sub="ada", employee="ada").status_code == 200
    get_user_model().objects.update(is_active=False)
    refused(call(sub="ada", employee="ada"), "user_inactive")
    get_user_model().objects.update(is_active=True)
    assert call(sub="ada", employee="ada").status_code == 200


def test_no_staff_rights_come_from_a_token(call, any_setting):
    if any_setting != "provision":
        get_user_model().objects.create_user("ada")
    response = call(sub="ada", employee="ada", is_staff=True, is_superuser=True, is_active=True, groups=["admin"])
    assert response.status_code == 200
    assert response.json()["is_staff"] is False
    assert response.json()["is_superuser"] is False
    assert not get_user_model().objects.filter(is_staff=True).exists()
    assert not get_user_model().objects.filter(is_superuser=True).exists()


@pytest.mark.parametrize("claims", MACHINES.values(), ids=MACHINES)
def test_a_machine_has_no_person_behind_it_under_any_setting(call, any_setting, claims):
    # Users by the names that a machine could be taken for.
    for name in {claims["sub"], "worker", "service-account-worker"}:
        get_user_model().objects.create_user(name)
    before = get_user_model().objects.count()
    response = call(**claims, employee="worker")
    assert response.status_code == 200
    assert response.json()["is_token_user"] is True
    assert response.json()["name"] == claims["sub"]
    assert get_user_model().objects.count() == before


def test_a_person_beside_a_client_is_no_machine(call, users_are, db):
    users_are("provision")
    assert call(sub="ada", client_id="worker").json()["is_token_user"] is False


@pytest.mark.django_db
@pytest.mark.parametrize("users", ["token", "provision"])
@pytest.mark.parametrize("other", ["auth0.ada", "auth0|Ada", "AUTH0|ADA", "auth0|adà", "auth0|ada "])
def test_names_that_look_alike_stay_two_people(call, users_are, users, other):
    users_are(users)
    first, second = call(sub="auth0|ada").json(), call(sub=other).json()
    assert first["pk"] != second["pk"]


@pytest.mark.django_db
@pytest.mark.parametrize("other", ["auth0.ada", "auth0|Ada", "AUTH0|ADA", "auth0|adà", "auth0|ada "])
def test_lookup_does_not_answer_a_user_whose_name_looks_alike(call, users_are, other):
    users_are("lookup")
    get_user_model().objects.create_user("auth0|ada")
    refused(call(sub=other), "user_unknown")


@pytest.mark.django_db
def test_lookup_stays_exact_where_the_database_ignores_case(call, users_are, monkeypatch):
    users_are("lookup")
    get_user_model().objects.create_user("auth0|ada")
    # As a column with a case-insensitive collation answers (MySQL's default).
    manager = type(get_user_model()._default_manager)
    monkeypatch.setattr(manager, "get_by_natural_key", lambda self, name: self.get(username__iexact=name))
    assert call(sub="auth0|ada").status_code == 200
    refused(call(sub="auth0|ADA"), "user_unknown")


@pytest.mark.parametrize("users", ["tests.users.views.missing", "no.such.module", "tests.users.views.not_a_function"])
def test_a_path_that_leads_to_no_function_is_not_the_callers_fault(call, users_are, users):
    users_are(users)
    response = call()
    assert response.status_code == 503
    assert response.json()["reason"] == "settings_invalid"
    assert int(response["Retry-After"]) > 0


class AsyncFinder:
    async def __call__(self, token):
        return await async_employee(token)


def hide(function):
    """A decorator that does not say that the function below it is async."""

    @functools.wraps(function)
    def call(token):
        return function(token)

    return call


async def async_employee(token):
    return await get_user_model().objects.aget(username=token.claims["employee"])


class Awaitable:
    def __init__(self, token):
        self.token = token

    def __await__(self):
        return async_employee(self.token).__await__()


def awaitable(token):
    return Awaitable(token)


async def async_generator(token):
    yield None


def plain_generator(token):
    yield None


async_object = AsyncFinder()
async_method = async_object.__call__
async_partial = functools.partial(async_employee)
async_partial_object = functools.partial(functools.partial(async_object))
async_wrapped = sync_to_async(employee)
async_decorated = hide(async_employee)
partial_generator = functools.partial(async_generator)
sync_of_async = async_to_sync(async_employee)
sync_partial = functools.partial(employee)

ASYNC = [*(f"async_{kind}" for kind in ("employee", "object", "method", "partial", "partial_object", "wrapped")),
         "async_decorated", "awaitable"]  # fmt: skip


@pytest.mark.parametrize("name", ASYNC)
def test_an_async_function_is_awaited(transactional_db, call_any, users_are, name):
    users_are(f"{__name__}.{name}")
    ada = get_user_model().objects.create_user("ada")
    assert [message.id for message in run_checks() if message.id.startswith("resource_server.")] == []
    assert call_any(employee="ada").json()["pk"] == ada.pk
    if name != "async_wrapped":  # which finds nobody instead of raising
        assert call_any(employee="bob").json()["reason"] == "user_unknown"
    get_user_model().objects.update(is_active=False)
    assert call_any(employee="ada").json()["reason"] == "user_inactive"


def test_an_async_function_is_awaited_for_a_plain_call_inside_an_event_loop(transactional_db, issuer, users_are):
    users_are(f"{__name__}.async_employee")
    ada = get_user_model().objects.create_user("ada")
    request = RequestFactory().get("/", headers={"Authorization": f"Bearer {issuer.token(employee='ada')}"})

    async def authenticate_in_the_loop():
        return authentication.authenticate(request)

    user, _token = asyncio.run(authenticate_in_the_loop())
    assert user == ada


async def async_failure(token):
    raise RuntimeError("a mistake of the project")


def test_an_error_of_an_async_function_is_raised(call_any, users_are):
    users_are(f"{__name__}.async_failure")
    with pytest.raises(RuntimeError, match="a mistake of the project"):
        call_any()


@pytest.mark.parametrize("name", ["async_generator", "plain_generator", "partial_generator"])
def test_a_generator_is_a_problem_that_the_check_finds(call_any, users_are, name):
    users_are(f"{__name__}.{name}")
    [message] = [message for message in run_checks() if message.id.startswith("resource_server.")]
    assert message.id == "resource_server.E029"
    assert message.is_serious()
    assert "USERS is a dotted path to a generator" in message.msg
    response = call_any()
    assert (response.status_code, response.json()["reason"]) == (503, "settings_invalid")


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["sync_of_async", "sync_partial"])
def test_a_function_that_is_called_like_a_plain_one_passes(call, users_are, name):
    users_are(f"{__name__}.{name}")
    assert [message.id for message in run_checks() if message.id.startswith("resource_server.")] == []
    assert call(employee="nobody").json()["reason"] == "user_unknown"


def missing(token):
    return get_user_model().objects.get(username="nowhere")


class Finder:
    """A class, which calling would only make an instance of."""


def test_a_function_may_answer_that_there_is_no_such_user(call, users_are, db):
    users_are(f"{__name__}.missing")
    refused(call(), "user_unknown")


def test_a_class_is_no_function(users_are):
    users_are(f"{__name__}.Finder")
    assert [message.id for message in run_checks() if message.id == "resource_server.E016"] == ["resource_server.E016"]


def test_lookup_tells_two_users_apart_whose_names_differ_by_case(call, users_are, db, monkeypatch):
    people = get_user_model().objects
    for name in ("Ada", "ada"):
        people.create_user(name)
    monkeypatch.setattr(type(people), "get_by_natural_key", lambda self, name: self.get(username__iexact=name))
    users_are("lookup")
    for name in ("Ada", "ada"):
        assert call(sub=name).json()["name"] == name
    refused(call(sub="ADA"), "user_unknown")


def test_provision_does_not_answer_a_user_whom_the_manager_hides(call, users_are, db, monkeypatch):
    users_are("provision")
    assert call().status_code == 200
    people = get_user_model().objects
    everybody = type(people).get_queryset
    monkeypatch.setattr(type(people), "get_queryset", lambda self: everybody(self).exclude(first_name="deleted"))
    people.update(first_name="deleted")
    for _ in range(2):
        refused(call(), "user_unknown")


@pytest.mark.django_db
def test_lookup_follows_a_test_that_changes_the_user_model(users_are, issuer, settings, call):
    users_are("lookup")
    get_user_model().objects.create_user("auth0|ada")
    before = server.current().finders[UserSource(find="lookup")]
    assert call().status_code == 200
    settings.AUTH_USER_MODEL = "auth.Group"
    assert server.current().finders[UserSource(find="lookup")] is not before
    settings.AUTH_USER_MODEL = "auth.User"
    assert call().status_code == 200
