"""SQL that is made once gives what the ORM gives: for models, managers and databases as projects have them."""

import datetime
import threading
import uuid
from zoneinfo import ZoneInfo

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.db import DataError, connection, connections, models, transaction
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from tests.users import people
from tests.users.people import COMPILED, Office

from resource_server import authentication, flow
from resource_server.database import compiled_query
from resource_server.database.compiled_query import MOST, matching
from resource_server.users.lookup import find_by_field, find_by_natural_key

ADA, BOB = uuid.UUID(int=0xADA), uuid.UUID(int=0xB0B)
# What a token may hold, or a caller may try. The models that are named by a UUID or a number have their own.
VALUES = (
    *("ada", "bob", "unknown", "ADA", "ada ", "àda", "é" * 40, "x" * 255, "ada' OR 1=1 --", "%s", "100%", "a\0b"),
    *(str(ADA), str(ADA).upper(), ADA.hex, "not-a-uuid", "7", "007", "9" * 30, "1e3", "True", "-1"),
)
NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


@pytest.fixture(autouse=True)
def of_this_test(monkeypatch):
    monkeypatch.setattr(compiled_query, "_compiled", {})
    for name, value in {"tenant": 1, "day": NOON.date(), "city": True, "key": "-"}.items():
        setattr(people.now, name, value)
    yield
    vars(people.now).clear()


@pytest.fixture(params=["sqlite3", "postgresql"])
def database(request, add_database):
    return add_database("people", request.param)


def named(model):
    return {
        people.NamedByUuid: (ADA, BOB),
        people.NamedByNumber: (7, 8),
    }.get(model, ("ada", "bob"))


def fill(model, alias):
    """The tables of a model, and two people."""
    tables = [each for each in (*reversed(model._meta.all_parents), model) if not each._meta.proxy]
    with connections[alias].schema_editor() as editor:
        for each in (Office, *tables):
            editor.create_model(each)
    turin = Office.objects.using(alias).create(city="Turin")
    for username, changes in zip(named(model), ({"office": turin}, {"is_active": False, "tenant": 2}), strict=True):
        person = model(username=username, password=f"of {username}", notes={"since": [1]}, **changes)
        person.save(using=alias)
        type(person)._base_manager.using(alias).filter(pk=person.pk).update(joined_at=NOON)


def state(instance):
    """Everything that an instance holds, of the instances beside it too."""
    if not isinstance(instance, models.Model):
        return type(instance), instance
    values = {name: state(value) for name, value in vars(instance).items() if name != "_state"}
    beside = {name: state(value) for name, value in instance._state.fields_cache.items()}
    return type(instance), values, instance._state.db, instance._state.adding, beside


def outcome(read, alias):
    """The instances that were read, or the error; and the statements."""
    with CaptureQueriesContext(connections[alias]) as queries:
        try:
            found = [state(each) for each in read()]
        except Exception as error:  # noqa: BLE001 - whatever it is, it must be the same
            found = [type(error)]
    return found, [query["sql"] for query in queries]


def by_orm(model, alias, value, path="username"):
    return list(model._default_manager.using(alias).filter(**{path: value}).order_by()[:MOST])


def is_compiled(model, alias, path="username"):
    return (model, path, alias) in compiled_query._compiled


# MariaDB takes seconds to make the tables, so it gets one model of each kind of SQL and of conversion.
ON_MARIADB = (
    people.Person,
    people.WithGenerated,
    people.Engineer,
    people.NamedByUuid,
    people.Encrypted,
    people.WithOffice,
    people.IgnoringCase,
)


@pytest.mark.parametrize("model", ON_MARIADB, ids=lambda model: model.__name__)
def test_what_is_found_on_mariadb_is_what_the_orm_finds(model, add_database):
    is_what_the_orm_finds(model, add_database("people", "mysql"))


@pytest.mark.parametrize("model", COMPILED, ids=lambda model: model.__name__)
def test_what_is_found_is_what_the_orm_finds(model, database):
    is_what_the_orm_finds(model, database)


def is_what_the_orm_finds(model, database):
    fill(model, database)
    seen = 0
    for value in (*map(str, named(model)), *VALUES, *map(str, named(model))):
        expected = outcome(lambda value=value: by_orm(model, database, value), database)
        assert outcome(lambda value=value: matching(model, "username", value, database), database) == expected
        seen += len(expected[0])
    assert seen >= 2 or model is people.ShowsNone
    assert is_compiled(model, database) is COMPILED[model]


@pytest.mark.parametrize("model", COMPILED, ids=lambda model: model.__name__)
def test_what_a_manager_asks_of_the_request_is_asked_each_time(model, database):
    fill(model, database)
    ada, bob = map(str, named(model))
    requests = (
        {},
        {"tenant": 2},
        {"tenant": 1},
        {"tenant": 2, "key": "+"},
        {"day": NOON.date() + datetime.timedelta(days=1)},
        {"city": False},
        {"city": True},
    )
    found = []
    for zone in ("UTC", "Pacific/Kiritimati", "Pacific/Midway"):
        for request in requests:
            vars(people.now).update(request)
            with timezone.override(ZoneInfo(zone)):
                for value in (ada, bob):
                    expected = outcome(lambda value=value: by_orm(model, database, value), database)
                    assert (
                        outcome(lambda value=value: matching(model, "username", value, database), database) == expected
                    )
                    found.append(str(expected))
    if model.__name__.startswith(("OfATenant", "DecryptedBy", "JoinedToday", "WithDay", "InACity")):
        assert len(set(found)) > 2, "the request makes no difference, so this test shows nothing"


def test_a_tenant_that_stays_is_compiled_and_another_is_compiled_anew(database, monkeypatch):
    fill(people.OfATenant, database)
    made = []
    compile_ = compiled_query._compile
    monkeypatch.setattr(
        compiled_query, "_compile", lambda *args, **kwargs: made.append(people.now.tenant) or compile_(*args, **kwargs)
    )
    for tenant, name in ((1, "ada"), (1, "ada"), (2, "bob"), (2, "bob"), (1, "ada")):
        people.now.tenant = tenant
        assert [each.username for each in matching(people.OfATenant, "username", name, database)] == [name]
        assert matching(people.OfATenant, "username", "ada" if name == "bob" else "bob", database) == []
    assert made == [1, 2, 1]


def test_tenants_that_take_turns_leave_nothing_behind(database):
    fill(people.OfATenant, database)
    for tenant in range(50):
        people.now.tenant = tenant
        matching(people.OfATenant, "username", "ada", database)
    assert len(compiled_query._compiled) == 1
    assert len(vars(connections[database])[compiled_query._CONVERTERS]) == 1


def test_a_subject_that_is_also_a_constant_of_the_manager_is_not_mixed_up_with_it(database, monkeypatch):
    fill(people.Person, database)
    manager = type(people.Person._default_manager)
    everybody = manager.get_queryset
    monkeypatch.setattr(manager, "get_queryset", lambda self: everybody(self).exclude(password="ada"))
    for value, found in (("ada", ["ada"]), ("bob", ["bob"]), ("ada", ["ada"]), ("unknown", [])):
        assert [each.username for each in matching(people.Person, "username", value, database)] == found
    assert is_compiled(people.Person, database)


def test_a_manager_that_changes_is_noticed(database, monkeypatch):
    fill(people.Person, database)
    assert len(matching(people.Person, "username", "bob", database)) == 1
    manager = type(people.Person._default_manager)
    everybody = manager.get_queryset
    with monkeypatch.context() as patch:
        patch.setattr(manager, "get_queryset", lambda self: everybody(self).filter(is_active=True))
        assert matching(people.Person, "username", "bob", database) == []
    assert len(matching(people.Person, "username", "bob", database)) == 1


def test_a_library_that_replaces_the_method_of_all_managers_is_noticed(database, monkeypatch):
    model = people.WithPlainManager
    fill(model, database)
    everybody = models.Manager.get_queryset
    for tenant in (1, 2, 1):
        with monkeypatch.context() as patch:
            patch.setattr(
                models.Manager, "get_queryset", lambda self, tenant=tenant: everybody(self).filter(tenant=tenant)
            )
            for value in ("ada", "bob"):
                assert [each.pk for each in matching(model, "username", value, database)] == [
                    each.pk for each in by_orm(model, database, value)
                ]


def test_joins_of_another_kind_are_another_query(database):
    fill(people.Person, database)
    everybody = people.Person._default_manager.all()
    inner = everybody.filter(office__city="Turin").query
    outer = inner.clone()
    outer.promote_joins([alias for alias, join in outer.alias_map.items() if join.parent_alias])
    assert compiled_query._are_equal(inner, inner.clone())
    assert not compiled_query._are_equal(inner, outer)


def test_each_thread_has_its_own_connection_and_the_sql_of_all(database):
    fill(people.Person, database)
    [mine] = matching(people.Person, "username", "ada", database)
    [compiled] = compiled_query._compiled.values()
    found = []

    def read():
        found.extend(matching(people.Person, "username", "ada", database))
        converters = vars(connections[database])[compiled_query._CONVERTERS][compiled.key][1]
        methods = [function for _place, _column, functions in converters for function in functions]
        owners = [getattr(each, "__self__", None) for each in methods]
        found.append([each.connection for each in owners if hasattr(each, "connection")])
        found.append(connections[database])
        connections.close_all()

    thread = threading.Thread(target=read)
    thread.start()
    thread.join(30)
    theirs, of_the_methods, of_the_thread = found
    assert state(theirs) == state(mine)
    assert all(each is of_the_thread for each in of_the_methods)
    assert of_the_methods or connections[database].vendor != "sqlite"
    assert list(compiled_query._compiled.values()) == [compiled]
    assert compiled.compiler.connection is None


@pytest.mark.parametrize("model", [people.Person, people.WithOffice], ids=["one model", "with another"])
def test_wrappers_and_the_log_of_queries_see_the_statement(model, database):
    fill(model, database)
    statements = []

    def watch(execute, sql, params, many, context):
        statements.append((sql, tuple(params)))
        assert context["connection"] is connections[database]
        return execute(sql, params, many, context)

    for _ in range(2):
        with connections[database].execute_wrapper(watch), CaptureQueriesContext(connections[database]) as queries:
            assert len(matching(model, "username", "ada' --", database)) == 0
        assert len(queries) == 1
    [first, second] = statements
    assert first == second
    # The value is a parameter, and no part of the SQL.
    assert first[1] == ("ada' --",)
    assert "--" not in first[0]


def test_a_router_is_asked_each_time(add_database, settings):
    class Chosen:
        alias = "one"

        def db_for_read(self, model, **hints):
            return self.alias

    settings.DATABASE_ROUTERS = [router := Chosen()]
    for alias in ("one", "other"):
        add_database(alias)
        fill(people.Person, alias)
    for alias in ("one", "other", "one"):
        router.alias = alias
        [found] = matching(people.Person, "username", "ada")
        assert found._state.db == alias


def test_other_settings_of_an_alias_have_their_own_sql(database):
    fill(people.Person, database)
    matching(people.Person, "username", "ada", database)
    [compiled] = compiled_query._compiled.values()
    connections[database].close()
    del connections[database]
    connections.settings[database] = {**connections.settings[database]}
    assert len(matching(people.Person, "username", "ada", database)) == 1
    assert list(compiled_query._compiled.values()) != [compiled]


def test_a_test_that_changes_the_time_zones_of_the_project_gets_what_the_orm_gives(database, settings):
    fill(people.Person, database)
    for use_tz in (True, False, True):
        settings.USE_TZ = use_tz
        assert not compiled_query._compiled
        expected = outcome(lambda: by_orm(people.Person, database, "ada"), database)
        for _ in range(2):
            assert outcome(lambda: matching(people.Person, "username", "ada", database), database) == expected


def test_a_change_within_a_transaction_is_seen_and_undone_with_it(database):
    fill(people.Person, database)
    with transaction.atomic(using=database):
        people.Person.objects.using(database).filter(username="ada").update(is_active=False)
        assert find_by_field(people.Person, "username", "ada", database).is_active is False
        transaction.set_rollback(True, using=database)
    assert find_by_field(people.Person, "username", "ada", database).is_active is True


def test_no_statement_is_sent_in_a_transaction_that_is_broken(database):
    fill(people.Person, database)
    matching(people.Person, "username", "ada", database)
    with transaction.atomic(using=database):
        transaction.set_rollback(True, using=database)
        with pytest.raises(transaction.TransactionManagementError):
            matching(people.Person, "username", "ada", database)


def test_a_connection_that_has_died_between_requests_is_replaced_by_the_health_check(add_database, monkeypatch):
    alias = add_database("people", "postgresql", CONN_HEALTH_CHECKS=True, CONN_MAX_AGE=None)
    fill(people.Person, alias)
    assert len(matching(people.Person, "username", "ada", alias)) == 1
    dying = connections[alias]
    with dying.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()
    other = dying.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    other.close()
    dying.close_if_unusable_or_obsolete()  # as at the begin of a request
    assert len(matching(people.Person, "username", "ada", alias)) == 1


def test_a_value_that_the_column_cannot_hold_is_of_no_user(add_database):
    alias = add_database("people", "postgresql")
    fill(people.Person, alias)
    with pytest.raises(DataError):
        list(people.Person.objects.using(alias).filter(username="a\0b"))
    for _ in range(2):
        assert find_by_field(people.Person, "username", "a\0b", alias) is None
        assert find_by_field(people.Person, "username", "x" * 300, alias) is None


@pytest.mark.parametrize(
    ("model", "value"),
    [(people.NamedByUuid, "not-a-uuid"), (people.NamedByUuid, str(ADA).upper()), (people.NamedByNumber, "9" * 30)],
    ids=["no UUID", "another spelling of a UUID", "too large a number"],
)
def test_a_value_that_the_field_cannot_hold_or_spells_differently_is_of_no_user(model, value, database):
    fill(model, database)
    for _ in range(2):
        assert find_by_field(model, "username", value, database) is None
    assert find_by_field(model, "username", str(named(model)[0]), database).username == named(model)[0]


def test_two_users_with_the_same_value_are_refused(database):
    fill(people.Person, database)
    people.Person.objects.using(database).update(tenant=5, password="same")
    assert find_by_field(people.Person, "password", "same", database) is None


def test_a_row_that_is_found_twice_is_one_user(database, monkeypatch):
    fill(people.Person, database)
    [ada] = matching(people.Person, "username", "ada", database)
    monkeypatch.setattr("resource_server.users.lookup.matching", lambda *_: [ada, ada])
    assert find_by_field(people.Person, "username", "ada", database) is ada


def test_a_database_that_ignores_case_gives_a_user_to_one_spelling(add_database):
    alias = add_database("people")
    fill(people.Person, alias)
    with connections[alias].cursor() as cursor:
        cursor.execute("ALTER TABLE resource_server_test_people_person RENAME COLUMN username TO quiet")
        cursor.execute(
            "ALTER TABLE resource_server_test_people_person ADD COLUMN username varchar(40) COLLATE NOCASE DEFAULT 'ada'"
        )
        cursor.execute("ALTER TABLE resource_server_test_people_person DROP COLUMN quiet")
        cursor.execute("DELETE FROM resource_server_test_people_person WHERE NOT is_active")
    people.Person(username="ADA").save(using=alias)
    assert len(matching(people.Person, "username", "Ada", alias)) == 2
    for value, found in {"ada": "ada", "ADA": "ADA", "Ada": None}.items():
        user = find_by_field(people.Person, "username", value, alias)
        assert (user and user.username) == found


class SendsAllToPeople:
    def db_for_read(self, model, **hints):
        return "people"


def test_a_manager_with_its_own_natural_key_is_asked(database, settings):
    settings.DATABASE_ROUTERS = [SendsAllToPeople()]
    fill(people.IgnoringCase, database)
    with CaptureQueriesContext(connections[database]) as queries:
        assert find_by_natural_key(people.IgnoringCase, "ada").username == "ada"
        assert find_by_natural_key(people.IgnoringCase, "ADA") is None
        assert find_by_natural_key(people.IgnoringCase, "unknown") is None
        assert len(queries) == 3
        people.IgnoringCase(username="ADA").save(using=database)
        for name in ("ada", "ADA"):
            assert find_by_natural_key(people.IgnoringCase, name).username == name
        assert find_by_natural_key(people.IgnoringCase, "Ada") is None
    assert all("LIKE" in query["sql"] or "UPPER" in query["sql"] for query in queries[:3])


def test_a_queryset_with_its_own_get_is_asked(database, settings, monkeypatch):
    settings.DATABASE_ROUTERS = [SendsAllToPeople()]
    fill(people.DeletedByUpdate, database)

    def get(self, *args, **kwargs):
        raise self.model.DoesNotExist

    with monkeypatch.context() as patch:
        patch.setattr(people.DeletingQuerySet, "get", get, raising=False)
        assert find_by_natural_key(people.DeletedByUpdate, "ada") is None
    assert find_by_natural_key(people.DeletedByUpdate, "ada").username == "ada"


def test_a_manager_without_a_natural_key_is_searched_by_the_username(database, settings):
    settings.DATABASE_ROUTERS = [SendsAllToPeople()]
    fill(people.WithPlainManager, database)
    assert find_by_natural_key(people.WithPlainManager, "ada").username == "ada"
    assert find_by_natural_key(people.WithPlainManager, "unknown") is None


@pytest.mark.parametrize("users", ["lookup", "provision"])
def test_a_seen_token_costs_one_query_and_an_async_view_one_hop(users, users_are, issuer, db, monkeypatch):
    users_are(users)
    get_user_model().objects.create_user("auth0|ada")
    token = issuer.token(scope="read")
    request = RequestFactory().get("/", headers={"Authorization": f"Bearer {token}"})
    expected = authentication.authenticate(request)
    hops = []
    hop = flow.sync_to_async
    monkeypatch.setattr(flow, "sync_to_async", lambda *args, **kwargs: hops.append(kwargs) or hop(*args, **kwargs))
    with CaptureQueriesContext(connection) as queries:
        again = async_to_sync(authentication.aauthenticate)(RequestFactory().get("/", headers=request.headers))
    assert state(again[0]) == state(expected[0])
    assert hops == [{"thread_sensitive": True}]
    assert len(queries) == 1
    path = "username" if users == "lookup" else "access_token_accounts__identity"
    assert is_compiled(get_user_model(), "default", path)
