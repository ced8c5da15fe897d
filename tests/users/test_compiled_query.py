"""SQL that is made once gives what the ORM gives: for models, managers and databases as projects have them."""

import datetime
import uuid
from zoneinfo import ZoneInfo

import pytest
from django.db import connections, models
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from tests.users import people
from tests.users.people import COMPILED, Office

from resource_server import compiled_query
from resource_server.compiled_query import MOST, matching

ADA, BOB = uuid.UUID(int=0xADA), uuid.UUID(int=0xB0B)
# What a token may hold, or a caller may try. The models that are named by a UUID or a number have their own.
VALUES = (
    *("ada", "bob", "nobody", "ADA", "ada ", "àda", "é" * 40, "x" * 255, "ada' OR 1=1 --", "%s", "100%", "a\0b"),
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


@pytest.mark.parametrize("model", COMPILED, ids=lambda model: model.__name__)
def test_what_is_found_is_what_the_orm_finds(model, database):
    fill(model, database)
    seen = 0
    for value in (*map(str, named(model)), *VALUES, *map(str, named(model))):
        expected = outcome(lambda value=value: by_orm(model, database, value), database)
        assert outcome(lambda value=value: matching(model, "username", value, database), database) == expected
        seen += len(expected[0])
    assert seen >= 2 or model is people.NobodyAtAll
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
    monkeypatch.setattr(compiled_query, "_compile", lambda *args: made.append(people.now.tenant) or compile_(*args))
    for tenant, name in ((1, "ada"), (1, "ada"), (2, "bob"), (2, "bob"), (1, "ada")):
        people.now.tenant = tenant
        assert [each.username for each in matching(people.OfATenant, "username", name, database)] == [name]
        assert matching(people.OfATenant, "username", "ada" if name == "bob" else "bob", database) == []
    assert made == [1, 2, 1]
