"""`USERS: "provision"` with more than one database: it is read and written where the router reads and writes users."""

import threading

import pytest
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext
from tests.verified import token_of

from resource_server.accounts.models import Account
from resource_server.accounts.provision import provision
from resource_server.errors import InvalidToken


class SendsUsers:
    """Sends the models of Django's users to `people`, and says nothing of others."""

    apps = ("auth",)
    otherwise = None

    def db_for_read(self, model, **hints):
        return "people" if model._meta.app_label in self.apps else self.otherwise

    db_for_write = db_for_read


class SendsTheRestToDefault(SendsUsers):
    otherwise = "default"


class SendsAccountsToo(SendsUsers):
    apps = ("auth", "resource_server_accounts")


class Replicated:
    """Reads from the replica, writes to the primary."""

    def db_for_read(self, model, **hints):
        return "replica"

    def db_for_write(self, model, **hints):
        return "primary"


ROUTERS = {
    "users alone": SendsUsers,
    "users, and all else to default": SendsTheRestToDefault,
    "users and accounts": SendsAccountsToo,
}


def numbers(alias):
    """How many users and accounts a database has."""
    return get_user_model().objects.using(alias).count(), Account.objects.using(alias).count()


@pytest.fixture(params=["sqlite3", "postgresql", "mysql"])
def people(request, add_database, users_are):
    users_are("provision")
    return add_database("people", request.param)


@pytest.fixture
def replicated(add_database, users_are, settings):
    """Two databases, and what brings the replica up to date."""
    users_are("provision")
    for alias in ("primary", "replica"):
        add_database(alias)
    settings.DATABASE_ROUTERS = [Replicated()]

    def catch_up():
        connections["replica"].ensure_connection()
        connections["primary"].connection.backup(connections["replica"].connection)

    return catch_up


@pytest.mark.parametrize("router", ROUTERS.values(), ids=ROUTERS)
def test_users_that_are_routed_elsewhere_have_their_accounts_there(people, call_any, settings, router):
    settings.DATABASE_ROUTERS = [router()]
    first = call_any()
    with CaptureQueriesContext(connections[people]) as queries:
        second = call_any()
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["pk"] == second.json()["pk"]
    assert len(queries) == 1
    assert numbers(people) == (1, 1)
    assert get_user_model().objects.using(people).get().access_token_accounts.using(people).count() == 1


@pytest.mark.parametrize("router", ROUTERS.values(), ids=ROUTERS)
def test_a_veto_undoes_everything_in_the_database_of_the_users(people, call_any, settings, on_provisioned, router):
    settings.DATABASE_ROUTERS = [router()]

    def refuse(sender, user, **_):
        user.groups.create(name="new")
        raise InvalidToken("user_unknown")

    on_provisioned(refuse)
    for _ in range(2):
        assert call_any().json()["reason"] == "user_unknown"
        assert numbers(people) == (0, 0)
        assert user_groups(people) == 0


def user_groups(alias):
    return get_user_model().groups.rel.model.objects.using(alias).count()


def test_a_veto_inside_a_transaction_of_another_database(people, call, settings, on_provisioned, add_database):
    settings.DATABASE_ROUTERS = [SendsUsers()]
    add_database("other")

    def refuse(sender, **_):
        raise InvalidToken("user_unknown")

    on_provisioned(refuse)
    with transaction.atomic(using="other"):
        assert call().json()["reason"] == call().json()["reason"] == "user_unknown"
    assert numbers(people) == (0, 0)


def test_a_router_that_parts_accounts_from_users_is_warned_of(settings):
    settings.DATABASE_ROUTERS = [SendsUsers()]
    [warning] = [message for message in run_checks() if message.id.startswith("resource_server_accounts.")]
    assert warning.id == "resource_server_accounts.W001"
    assert "sends accounts to default and users to people" in warning.msg
    assert not warning.is_serious()
    settings.DATABASE_ROUTERS = [SendsAccountsToo()]
    assert [message.id for message in run_checks() if "accounts" in message.id] == []


def test_a_replica_that_lags_makes_no_second_user(replicated, call_any, on_provisioned):
    sent = []

    def receive(sender, user, **_):
        sent.append(user.pk)

    on_provisioned(receive)
    first = call_any().json()
    with CaptureQueriesContext(connections["primary"]) as queries:
        again = [call_any() for _ in range(2)]
    assert [response.status_code for response in again] == [200, 200]
    assert {response.json()["pk"] for response in again} == {first["pk"]}
    assert sent == [first["pk"]]
    assert numbers("primary") == (1, 1)
    assert numbers("replica") == (0, 0)
    assert {query["sql"][:6] for query in queries} == {"SELECT"}


def test_a_replica_that_is_up_to_date_is_read_alone(replicated, call_any):
    first = call_any().json()
    replicated()
    with (
        CaptureQueriesContext(connections["primary"]) as primary,
        CaptureQueriesContext(connections["replica"]) as replica,
    ):
        assert call_any().json() == first
    assert (len(primary), len(replica)) == (0, 1)


def test_a_request_that_loses_the_race_reads_the_write_database(replicated, call_any):
    winner = []

    def make_the_account_first(execute, sql, *rest):
        if sql.startswith("INSERT") and not winner:
            winner.append(provision_on_another_connection())
        return execute(sql, *rest)

    with connections["primary"].execute_wrapper(make_the_account_first):
        response = call_any()
    assert (response.status_code, response.json()["pk"]) == (200, winner[0])
    assert numbers("primary") == (1, 1)


def provision_on_another_connection():
    """What another process does at that moment; the replica has none of it yet."""
    finished = []

    def provision_and_close():
        finished.append(provision(token_of("auth0|ada")).pk)
        connections.close_all()

    thread = threading.Thread(target=provision_and_close)
    thread.start()
    thread.join(60)
    return finished[0]


def test_a_veto_on_replicated_databases_holds_on_the_second_request_and_after_replication(
    replicated, call_any, on_provisioned
):
    def refuse(sender, **_):
        raise InvalidToken("user_inactive")

    on_provisioned(refuse)
    for _ in range(3):
        assert call_any().json()["reason"] == "user_inactive"
        assert numbers("primary") == (0, 0)
        replicated()


def test_a_row_that_is_kept_for_seconds_is_of_the_database_that_was_read(replicated, call, issuer, settings):
    settings.RESOURCE_SERVER = issuer.settings(USERS="provision", USER_CACHE_SECONDS=30)
    first = call().json()
    with (
        CaptureQueriesContext(connections["primary"]) as primary,
        CaptureQueriesContext(connections["replica"]) as replica,
    ):
        assert call().json() == first
    assert (len(primary), len(replica)) == (0, 0)
