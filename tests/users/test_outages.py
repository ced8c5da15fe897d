"""The users' database gives no answer: 503 with a log line, and the next request works once it is back."""

import logging
import sqlite3
from contextlib import closing, contextmanager

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    connection,
    connections,
    transaction,
)
from django.utils.functional import SimpleLazyObject
from psycopg import sql
from tests.conftest import POSTGRES_URL

ANY_USERS = ("lookup", "provision", "tests.users.test_outages.employee", "tests.users.test_outages.lazy_employee")


class SendsAllToPeople:
    def db_for_read(self, model, **hints):
        return "people"

    db_for_write = db_for_read


def employee(token):
    return get_user_model().objects.filter(username=token.subject).first()


def lazy_employee(token):
    return SimpleLazyObject(lambda: employee(token))


@pytest.fixture(params=ANY_USERS)
def any_users(request, users_are):
    users_are(request.param)
    return request.param


@pytest.fixture
def people(add_database, settings, postgres_url):
    """PostgreSQL with a user, and what stops and starts it."""
    add_database("people", "postgresql")
    settings.DATABASE_ROUTERS = [SendsAllToPeople()]
    get_user_model().objects.create_user("auth0|ada")
    name = sql.Identifier(connections["people"].settings_dict["NAME"])

    def accept_connections(answers):
        with psycopg.connect(POSTGRES_URL, autocommit=True) as server:
            server.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(name, sql.Literal(answers)))
            if not answers:
                server.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    [connections["people"].settings_dict["NAME"]],
                )

    yield accept_connections
    accept_connections(True)


def is_an_outage(response, caplog):
    assert (response.status_code, response.json()["reason"]) == (503, "user_lookup_failed")
    assert int(response["Retry-After"]) >= 1
    assert "WWW-Authenticate" not in response
    [record] = [record for record in caplog.records if record.exc_info and record.name == "resource_server"]
    assert record.levelno == logging.ERROR
    assert issubclass(record.exc_info[0], Exception)
    caplog.clear()
    return True


def test_a_database_that_is_down_is_503_and_the_next_request_works(people, any_users, call_any, caplog):
    before = call_any()
    assert before.status_code == 200
    people(False)
    for _ in range(3):  # the connection is cut, and then none is made
        assert is_an_outage(call_any(), caplog)
    people(True)
    assert call_any().json() == before.json()
    people(False)
    people(True)  # it was down between two requests only
    is_an_outage(call_any(), caplog)
    assert call_any().json() == before.json()


def test_an_outage_under_atomic_requests_is_503(people, any_users, call, caplog, monkeypatch):
    monkeypatch.setitem(connections["people"].settings_dict, "ATOMIC_REQUESTS", True)
    before = call().json()
    people(False)
    people(True)
    is_an_outage(call(), caplog)
    assert call().json() == before


def test_a_first_request_during_an_outage_makes_nobody(people, users_are, call_any, caplog, on_provisioned):
    users_are("provision")

    def cut(sender, **_):
        people(False)
        get_user_model().objects.count()

    on_provisioned(cut)
    is_an_outage(call_any(sub="bob"), caplog)
    people(True)
    assert get_user_model().objects.count() == 1


def test_a_database_that_admits_no_writes_is_503(people, users_are, call_any, caplog):
    """As after a failover that the project's settings have not followed."""
    users_are("provision")
    with connections["people"].cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    is_an_outage(call_any(), caplog)
    with connections["people"].cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = off")
    assert call_any().status_code == 200


@pytest.fixture
def lock():
    """Locks a database of SQLite, as another process does."""

    @contextmanager
    def lock(alias):
        with closing(sqlite3.connect(connections[alias].settings_dict["NAME"], isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield
            other.execute("ROLLBACK")

    return lock


def test_a_locked_database_is_503(add_database, any_users, call_any, caplog, settings, lock):
    add_database("people", OPTIONS={"timeout": 0})
    settings.DATABASE_ROUTERS = [SendsAllToPeople()]
    get_user_model().objects.create_user("auth0|ada")
    before = call_any().json()
    with lock("people"):
        is_an_outage(call_any(), caplog)
    assert call_any().json() == before


class Replicated(SendsAllToPeople):
    def db_for_write(self, model, **hints):
        return "primary"


def test_people_who_are_known_go_on_while_only_the_write_database_is_down(
    add_database, users_are, call_any, caplog, settings, lock
):
    users_are("provision")
    for alias in ("primary", "people"):
        add_database(alias, OPTIONS={"timeout": 0})
    settings.DATABASE_ROUTERS = [Replicated()]
    before = call_any().json()
    connections["people"].ensure_connection()
    connections["primary"].connection.backup(connections["people"].connection)
    with lock("primary"):
        assert call_any().json() == before
        is_an_outage(call_any(sub="bob"), caplog)
    assert call_any(sub="bob").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_table_that_is_missing_is_503_and_the_log_says_migrate(any_users, call_any, caplog):
    get_user_model().objects.create_user("auth0|ada")
    before = call_any().json()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE auth_user RENAME TO elsewhere")
    try:
        response = call_any()
        assert "manage.py migrate" in caplog.text
        is_an_outage(response, caplog)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO auth_user")
    assert call_any().json() == before


@pytest.mark.django_db
def test_a_failed_query_leaves_the_transaction_around_it_usable(users_are, call, caplog):
    users_are("tests.users.test_outages.no_such_table")
    with transaction.atomic():
        is_an_outage(call(), caplog)
        get_user_model().objects.create_user("ada")
    assert get_user_model().objects.exists()


def no_such_table(token):
    connection.cursor().execute("SELECT * FROM no_such_table")


NO_ANSWER = (OperationalError, InterfaceError, InternalError, ProgrammingError)
AN_ANSWER = (IntegrityError, DataError, NotSupportedError, ZeroDivisionError)
raised = []


def raises(token):
    raise raised[-1]


@pytest.mark.parametrize("error", NO_ANSWER)
def test_what_a_function_of_the_project_gets_no_answer_by_is_503(users_are, call_any, caplog, error):
    users_are("tests.users.test_outages.raises")
    raised.append(error("gone"))
    is_an_outage(call_any(), caplog)


@pytest.mark.parametrize("error", AN_ANSWER)
def test_what_else_a_function_of_the_project_raises_stays_its_own(users_are, call_any, error):
    users_are("tests.users.test_outages.raises")
    raised.append(error("a mistake"))
    with pytest.raises(error, match="a mistake"):
        call_any()


def test_an_outage_is_told_without_the_token(users_are, issuer, call, caplog):
    users_are("tests.users.test_outages.raises")
    raised.append(OperationalError("gone"))
    is_logged = []
    logging.getLogger("resource_server").addFilter(lambda record: is_logged.append(record) or True)
    try:
        call()
    finally:
        logging.getLogger("resource_server").filters.pop()
    [record] = [record for record in is_logged if record.exc_info]
    traceback = record.exc_info[2]
    values = []
    while traceback is not None:
        values += map(repr, traceback.tb_frame.f_locals.values())
        traceback = traceback.tb_next
    assert values
    assert "eyJ" not in "".join(values)  # as every JWT begins
