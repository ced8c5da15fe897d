"""The rows that the database finds for a requirement are those for which the requirement holds, one by one."""

import os
import uuid

import psycopg
import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connections
from psycopg import sql
from tests.conftest import POSTGRES_URL
from tests.lacking import lacking
from tests.verified import token_of

from resource_server.accounts.models import Account
from resource_server.owned_objects import owned_objects
from resource_server.requirements import (
    AnyToken,
    Operation,
    Organisation,
    Owner,
    PerAction,
    PerMethod,
    Roles,
    Scopes,
)
from resource_server.users.token_user import TokenUser

SUBJECTS = ["ada", "ADA", "ada ", "adá", "ad", "ada2", "%", "a_a", "", "5", "5 or 1=1"]
MODELS = (ContentType, Permission, Group, User, Account)
OWNERS = [
    Owner("subject"),
    Owner("identity", by="identity"),
    Owner("identity"),
    Owner("user", by="user"),
    Owner("user__username"),
    Owner("user__groups"),
    Owner("user__groups__name"),
    Owner("id"),
    Owner("user__id"),
    Owner("user"),
    Owner("subject", by="user"),
    Owner("nothing"),
    Owner("subject__nothing"),
    Owner("created_at"),
]
READ, ROLE = Scopes("read"), Roles("r")  # held; not judged, because the token has no such claim
COMPOSED = [
    make(owner)
    for owner in OWNERS[:5]
    for make in (
        lambda owner: ~owner,
        lambda owner: owner & READ,
        lambda owner: owner & ~READ,
        lambda owner: owner | READ,
        lambda owner: owner | ROLE,
        lambda owner: owner & ROLE,
        lambda owner: ~(owner | ROLE),
        lambda owner: ~(owner & ROLE),
        lambda owner: ~(owner & ~READ),
        lambda owner: (owner | Owner("user__username")) & ~(owner & Owner("user__username")),
        lambda owner: PerMethod({"GET": owner, "POST": READ}),
        lambda owner: ~PerMethod({"POST": owner}),
        lambda owner: PerAction({"list": owner | ROLE}),
        lambda owner: owner & Organisation(argument="org"),
    )
]
REQUIREMENTS = [*OWNERS, *COMPOSED, READ, ~READ, AnyToken(), ROLE]


def postgresql(name):
    try:
        server = psycopg.connect(POSTGRES_URL, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError:
        lacking("no PostgreSQL answers at POSTGRES_URL (default: 127.0.0.1:5432, user postgres)")
    parts = psycopg.conninfo.conninfo_to_dict(POSTGRES_URL)
    with server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield {"NAME": name, "USER": parts["user"], "HOST": parts["host"], "PORT": parts.get("port", "5432")}
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def mysql(name):
    try:
        import pymysql
    except ImportError:
        lacking("PyMySQL is not installed")
    pymysql.install_as_MySQLdb()
    host, port = os.environ.get("MYSQL_HOST", "127.0.0.1"), int(os.environ.get("MYSQL_PORT", "3306"))
    try:
        server = pymysql.connect(host=host, port=port, user="root")
    except pymysql.err.OperationalError:
        lacking("no MariaDB answers at 127.0.0.1:3306, user root")
    with server.cursor() as cursor:
        # The collation that ignores case, as by default.
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
        yield {"NAME": name, "USER": "root", "HOST": host, "PORT": port}
        cursor.execute(f"DROP DATABASE {name}")
    server.close()


def sqlite3(name):
    yield {"NAME": f"file:{name}?mode=memory&cache=shared"}


@pytest.fixture(scope="module", params=[sqlite3, postgresql, mysql], ids=lambda engine: engine.__name__)
def rows(request, django_db_blocker):
    """The alias of a real database with accounts of many subjects."""
    alias, made = "owned", request.param(f"h_requirements_{uuid.uuid4().hex[:12]}")
    database = {"ENGINE": f"django.db.backends.{request.param.__name__}", **next(made)}
    connections.settings[alias] = connections.configure_settings({"default": {}, alias: database})[alias]
    with django_db_blocker.unblock():
        with connections[alias].schema_editor() as editor:
            for model in MODELS:
                editor.create_model(model)
        users = [User.objects.using(alias).create(username=name) for name in ("ada", "other", "5")]
        for user in users:
            user.groups.add(Group.objects.using(alias).get_or_create(name="ada")[0])
            for subject in SUBJECTS:
                identity = token_of(subject or "x").identity if user is users[0] else uuid.uuid4().hex
                Account.objects.using(alias).create(subject=subject, user=user, issuer="i", identity=identity)
        yield alias
        connections[alias].close()
    del connections[alias], connections.settings[alias]
    for _ in made:
        raise AssertionError("one database")


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=repr)
@pytest.mark.parametrize("subject", ["ada", "ADA", "5", "a_a", "%", "nobody"])
def test_the_filter_finds_what_the_requirement_admits(rows, django_db_blocker, requirement, subject):
    with django_db_blocker.unblock():
        accounts = Account.objects.using(rows)
        token = token_of(subject, scope="read")
        user = User.objects.using(rows).filter(username="ada").first()
        for caller in (user, TokenUser(token), None):
            operation = Operation(method="GET", action="list", user=caller)
            expected = {
                each.pk
                for each in accounts.select_related("user")
                if requirement.holds(token, Operation(method="GET", action="list", user=caller, target=each)) is True
            }
            found = owned_objects(accounts, requirement, token, operation)
            assert {each.pk for each in found} == expected


def test_the_table_has_rows_to_find(rows, django_db_blocker):
    with django_db_blocker.unblock():
        accounts, token = Account.objects.using(rows), token_of("ada", scope="read")
        found = {
            requirement: owned_objects(
                accounts, requirement, token, Operation(user=User.objects.using(rows).first())
            ).count()
            for requirement in (*OWNERS[:5], ~OWNERS[0], OWNERS[5], OWNERS[7])
        }

    assert list(found.values()) == [3, 1, 0, 11, 11, 30, 0, 0]
