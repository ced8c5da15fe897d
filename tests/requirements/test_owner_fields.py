"""A list has the rows that the object check admits, one by one: kinds of fields, collations, databases, compositions."""

# ruff: noqa: DJ001, S311 - a missing owner is one of the cases, and chance needs no secrecy

import logging
import random
import uuid

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connections, models
from tests.requirements.test_owned_objects import mysql, postgresql, sqlite3
from tests.verified import token_of

from resource_server.owned_objects import owned_objects
from resource_server.requirements import Operation, Owner, Roles, Scopes

ROWS = 80
ID = "12345678-1234-5678-1234-567812345678"
NAMES = [None, "ada", "ADA", "ada ", "adá", "eve", "", "7", "adaa", "a%a", "a_a", "\\ada", "True", "'ada'", ID]
SUBJECTS = ["ada", "ada ", "7", "a%a", "\\ada", "True", ID, "ad\0a", "\ud800", "學"]


class Loose(models.TextField):
    """A text whose comparison ignores case, in a type or character set of its own."""

    def db_type(self, connection):
        types = {"postgresql": "citext", "mysql": "varchar(60) CHARACTER SET latin1", "sqlite": "text COLLATE NOCASE"}
        return types[connection.vendor]


class Shouted(models.CharField):
    """Another text in Python than in the database."""

    def from_db_value(self, value, expression, connection):
        return value and value.upper()


# Tables of these tests alone. DO_NOTHING, so deleting a user in another test looks for no rows here.
class Parent(models.Model):
    owner = models.CharField(max_length=60, null=True)
    boss = models.ForeignKey(User, models.DO_NOTHING, null=True, related_name="+")

    class Meta:
        app_label = "owner_fields"


class Key(models.Model):
    name = models.CharField(max_length=60, primary_key=True)

    class Meta:
        app_label = "owner_fields"


class Row(models.Model):
    owner = models.CharField(max_length=60, null=True)
    text = models.TextField(null=True)
    nocase = models.CharField(max_length=60, null=True)
    loose = Loose(null=True)
    slug = models.SlugField(max_length=60, null=True)
    shouted = Shouted(max_length=60, null=True)
    number = models.IntegerField(null=True)
    flag = models.BooleanField(null=True)
    uid = models.UUIDField(null=True)
    document = models.JSONField(null=True)
    user = models.ForeignKey(User, models.DO_NOTHING, null=True, related_name="+")
    name = models.ForeignKey(User, models.DO_NOTHING, null=True, related_name="+", to_field="username")
    key = models.ForeignKey(Key, models.DO_NOTHING, null=True, related_name="+")
    parent = models.ForeignKey(Parent, models.DO_NOTHING, null=True, related_name="rows")
    lost = models.ForeignKey(Parent, models.DO_NOTHING, null=True, related_name="+", db_constraint=False)

    class Meta:
        app_label = "owner_fields"

    @property
    def computed(self):
        return self.owner


JUDGED = [
    *(Owner(field) for field in ("owner", "text", "nocase", "loose", "slug", "key", "key_id", "key__name", "name")),
    *(
        Owner(field)
        for field in ("name_id", "parent__owner", "lost__owner", "user__username", "parent__boss__username")
    ),
    *(Owner(field, by="user") for field in ("user", "user_id", "name", "name_id", "parent__boss", "parent__boss_id")),
]
NOT_JUDGED = [
    *(Owner(field) for field in ("number", "flag", "uid", "document", "shouted", "user", "user_id", "parent", "id")),
    *(Owner(field) for field in ("missing", "missing__owner", "parent__missing", "parent_id__owner", "computed")),
    *(Owner(field) for field in ("user__groups", "user__groups__name", "parent__rows", "document__owner")),
    *(Owner(field, by="user") for field in ("owner", "id", "key", "parent", "computed", "parent__owner")),
]


@pytest.fixture(scope="module", params=[sqlite3, postgresql, mysql], ids=lambda engine: engine.__name__)
def rows(request, django_db_blocker):
    """The alias of a real database with rows of many owners."""
    alias, made = "owner_fields", request.param(f"h_mendowner_{uuid.uuid4().hex[:12]}")
    database = {"ENGINE": f"django.db.backends.{request.param.__name__}", **next(made)}
    connections.settings[alias] = connections.configure_settings({"default": {}, alias: database})[alias]
    connection, chance = connections[alias], random.Random(5)
    with django_db_blocker.unblock():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("CREATE EXTENSION citext")
                cursor.execute("CREATE COLLATION ci (provider=icu, locale='und-u-ks-level2', deterministic=false)")
        collations = {"sqlite": "NOCASE", "postgresql": "ci", "mysql": "utf8mb4_bin"}  # the last ignores spaces
        Row._meta.get_field("nocase").db_collation = collations[connection.vendor]
        with connection.schema_editor() as editor:
            for model in (ContentType, Permission, Group, User, Parent, Key, Row):
                editor.create_model(model)
        users = [User.objects.using(alias).create(username=name) for name in ("ada", "eve")]
        parents = [Parent.objects.using(alias).create(owner=name, boss=chance.choice([*users, None])) for name in NAMES]
        keys = [Key.objects.using(alias).create(name=name) for name in ("ada", "eve", "7")]
        for _ in range(ROWS):
            Row.objects.using(alias).create(
                **{field: chance.choice(NAMES) for field in ("owner", "text", "nocase", "loose", "slug", "shouted")},
                **{field: chance.choice([*users, None]) for field in ("user", "name")},
                number=chance.choice([None, 7, 1]),
                flag=chance.choice([None, True]),
                uid=chance.choice([None, ID]),
                document=chance.choice([None, "ada", 7, {"owner": "ada"}]),
                key=chance.choice([*keys, None]),
                parent=chance.choice([*parents, None]),
                lost_id=chance.choice([parents[1].pk, 10_000, None]),
            )
        yield alias
        connection.close()
    del connections[alias], connections.settings[alias]
    for _ in made:
        raise AssertionError("one database")


def callers(alias):
    ada = User.objects.using(alias).get(username="ada")
    for subject in SUBJECTS:
        yield token_of(subject, scope="read"), ada
    for user in (User(), None):
        yield token_of("ada", scope="read"), user


def composed(depth=0, chance=random.Random(7)):  # noqa: B008 - one sequence for all
    kind = chance.random()
    if kind < 0.4 or depth > 2:
        return chance.choice([*JUDGED, *JUDGED, *NOT_JUDGED, Scopes("read"), Scopes("other"), Roles("r")])
    if kind < 0.55:
        return ~composed(depth + 1)
    one, other = composed(depth + 1), composed(depth + 1)
    return one & other if kind < 0.8 else one | other


SINGLE = [*JUDGED, *NOT_JUDGED]
REQUIREMENTS = [*SINGLE, *(~each for each in SINGLE), *(composed(-1) for _ in range(40))]


def test_a_list_has_the_rows_that_the_object_check_admits(rows, django_db_blocker, caplog):
    caplog.set_level(logging.CRITICAL, logger="resource_server")  # quicker
    with django_db_blocker.unblock():
        everything = list(Row.objects.using(rows).select_related("user", "name", "key", "parent__boss"))
        different = []
        for token, user in callers(rows):
            for requirement in REQUIREMENTS:
                found = owned_objects(Row.objects.using(rows), requirement, token, Operation(user=user))
                admitted = [each for each in everything if requirement.holds(token, Operation(user=user, target=each))]
                if sorted(found.values_list("pk", flat=True)) != sorted(each.pk for each in admitted):
                    different.append((requirement, token.subject, user))
        assert different == []


@pytest.mark.parametrize("owner", JUDGED, ids=repr)
def test_each_row_is_owned_or_not(rows, django_db_blocker, owner):
    with django_db_blocker.unblock():
        table, token = Row.objects.using(rows), token_of("ada")
        operation = Operation(user=User.objects.using(rows).get(username="ada"))
        path = owner.field.removesuffix("_id")
        if owner.by == "user" or path in {"key", "name"}:
            path += "__pk" if path == "key" else "__username"
        expected = {pk for pk, value in table.values_list("pk", path) if value == "ada"}
        owned = {each.pk for each in owned_objects(table, owner, token, operation)}
        others = {each.pk for each in owned_objects(table, ~owner, token, operation)}

    assert owned == expected
    assert owned
    assert others
    assert not owned & others
    assert len(owned | others) == ROWS


@pytest.mark.parametrize("owner", NOT_JUDGED, ids=repr)
def test_a_field_that_cannot_be_judged_shows_no_row_either_way(rows, django_db_blocker, owner, caplog):
    with django_db_blocker.unblock():
        table, row = Row.objects.using(rows), Row.objects.using(rows).exclude(parent=None).first()
        user = User.objects.using(rows).get(username="ada")
        for subject in ("ada", "7", "ADA", ID):
            token = token_of(subject)
            assert owner.holds(token, Operation(user=user, target=row)) is None
            assert not owned_objects(table, owner, token, Operation(user=user)).exists()
            assert not owned_objects(table, ~owner, token, Operation(user=user)).exists()

    if owner.by == "subject" or owner.field not in {"key", "parent"}:  # the declaration itself is wrong
        assert f"{owner!r} cannot be judged" in caplog.text


def test_a_database_whose_comparison_is_not_known_shows_no_row(rows, django_db_blocker, monkeypatch, caplog):
    with django_db_blocker.unblock():
        monkeypatch.setattr(connections[rows], "vendor", "other")
        table, token = Row.objects.using(rows), token_of("ada")
        for requirement in (Owner("owner"), ~Owner("owner")):
            assert owned_objects(table, requirement, token, Operation()).query.is_empty()

    assert "exact comparison on other is not known" in caplog.text
