"""First requests at once, on real databases: one user, and an answer for each request, at each isolation level."""

import threading
from collections import Counter

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connections
from django.db.backends.postgresql.psycopg_any import IsolationLevel
from django.http import JsonResponse
from django.test import Client
from django.urls import path

from resource_server import requires_scope
from resource_server.accounts.models import Account

REQUESTS = 36
LEVELS = {
    "postgresql": {
        "read committed": IsolationLevel.READ_COMMITTED,
        "repeatable read": IsolationLevel.REPEATABLE_READ,
        "serializable": IsolationLevel.SERIALIZABLE,
    },
    "mysql": {level: level for level in ("read committed", "repeatable read", "serializable")},
}
DATABASES = [(engine, level) for engine, levels in LEVELS.items() for level in levels]


class SendsAllToPeople:
    def db_for_read(self, model, **hints):
        return "people"

    db_for_write = db_for_read


@requires_scope("read")
def write(request):
    """A view that writes a row of its user."""
    LogEntry.objects.create(user_id=request.user.pk, action_flag=1, object_repr="seen")
    return JsonResponse({"pk": request.user.pk})


def count_first(request):
    """A view whose transaction is in use before the user is known."""
    get_user_model().objects.count()
    return write(request)


@requires_scope("read")
def me(request):
    return JsonResponse({"pk": request.user.pk})


urlpatterns = [path("me", me), path("write", write), path("count-first", count_first)]


@pytest.fixture(params=DATABASES, ids=" ".join)
def level(request, add_database, users_are, settings):
    """The isolation level of a database with ATOMIC_REQUESTS."""
    engine, level = request.param
    options = {"isolation_level": LEVELS[engine][level]}
    add_database("people", engine, ATOMIC_REQUESTS=True, OPTIONS=options)
    settings.DATABASE_ROUTERS = [SendsAllToPeople()]
    settings.ROOT_URLCONF = __name__
    users_are("provision")
    return request.param


def at_once(issuer, url, subjects, **claims):
    """The answers to requests that have all looked for their user before one of them writes."""
    barrier, answers = threading.Barrier(len(subjects), timeout=60), []

    def send(subject):
        waited = []

        def wait_after_the_look(execute, sql, *rest):
            result = execute(sql, *rest)
            if not waited and "identity" in sql:
                waited.append(True)
                barrier.wait()
            return result

        headers = {"Authorization": f"Bearer {issuer.token(scope='read', sub=subject, **claims)}"}
        try:
            with connections["people"].execute_wrapper(wait_after_the_look):
                answers.append(Client(raise_request_exception=False).get(url, headers=headers))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send, args=[subject]) for subject in subjects]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(answers) == len(subjects)
    return answers


def names(user, token):
    return {"first_name": token.claims.get("given_name", "")}


def statuses(answers):
    return Counter(answer.status_code for answer in answers)


def numbers():
    return get_user_model().objects.count(), Account.objects.count()


def test_all_first_requests_at_once_succeed_under_atomic_requests(level, issuer):
    answers = at_once(issuer, "/write", ["auth0|ada"] * REQUESTS)
    if level == ("mysql", "serializable"):
        # There each look locks the place of the account, so the database ends most transactions (a deadlock).
        assert set(statuses(answers)) <= {200, 503}
        assert all(int(answer["Retry-After"]) >= 1 for answer in answers if answer.status_code == 503)
        assert 200 in statuses(answers)
    else:
        assert statuses(answers) == {200: REQUESTS}
    assert numbers() == (1, 1)
    assert {answer.json()["pk"] for answer in answers if answer.status_code == 200} == {
        get_user_model().objects.get().pk
    }
    assert LogEntry.objects.count() == statuses(answers)[200]


def test_first_requests_in_transactions_that_are_in_use_never_fail(level, issuer):
    answers = at_once(issuer, "/count-first", ["auth0|ada"] * REQUESTS)
    if level[1] == "read committed" or level == ("mysql", "repeatable read"):
        assert statuses(answers) == {200: REQUESTS}
    else:
        # Such a transaction cannot see the new user, and what it has read cannot be forgotten.
        assert set(statuses(answers)) == {200, 503}
        busy = [answer for answer in answers if answer.status_code == 503]
        assert {answer.json()["reason"] for answer in busy} == {"user_lookup_failed"}
        assert all(int(answer["Retry-After"]) >= 1 for answer in busy)
    assert numbers() == (1, 1)
    again = at_once(issuer, "/count-first", ["auth0|ada"] * 3)
    assert {answer.json()["pk"] for answer in again} == {get_user_model().objects.get().pk}


def test_first_requests_of_different_people_at_once_succeed(level, issuer):
    answers = at_once(issuer, "/me", [f"auth0|{number}" for number in range(12)])
    assert statuses(answers) == {200: 12}
    assert numbers() == (12, 12)


def test_first_requests_at_once_succeed_without_atomic_requests(level, issuer, monkeypatch):
    monkeypatch.setitem(connections.settings["people"], "ATOMIC_REQUESTS", False)
    answers = at_once(issuer, "/write", ["auth0|ada"] * REQUESTS)
    assert statuses(answers) == {200: REQUESTS}
    assert numbers() == (1, 1)


@pytest.mark.parametrize("atomic_requests", [True, False])
def test_a_new_token_in_many_requests_at_once_updates_its_user(level, issuer, users_are, monkeypatch, atomic_requests):
    monkeypatch.setitem(connections.settings["people"], "ATOMIC_REQUESTS", atomic_requests)
    Group.objects.create(name="Editors")
    users_are({"FIND": "provision", "UPDATE": f"{__name__}.names", "GROUPS": {"writers": "Editors"}})
    at_once(issuer, "/me", ["auth0|ada"])
    new = {"given_name": "Ada", "groups": ["writers"], "jti": "new"}
    answers = at_once(issuer, "/me", ["auth0|ada"] * 12, **new)
    assert set(statuses(answers)) <= ({200, 503} if atomic_requests and level[1] != "read committed" else {200})
    assert at_once(issuer, "/me", ["auth0|ada"], **new)[0].status_code == 200
    user = get_user_model().objects.get()
    assert (user.first_name, [group.name for group in user.groups.all()]) == ("Ada", ["Editors"])
