"""An issuer that signs, a client that calls one view with its tokens, and databases beside the default one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import pytest
from asgiref.sync import async_to_sync
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connections
from django.http import HttpResponse
from django.test import AsyncClient, Client
from pytest_django import DjangoDbBlocker, Settings

from resource_server.accounts.models import Account
from resource_server.signals import user_provisioned
from resource_server.testing import FakeIssuer

# Sends a request with a token of the given claims.
Request: TypeAlias = Callable[..., HttpResponse]
Receiver: TypeAlias = Callable[..., object]

# Engine of Django -> the fixture of a fresh database, the usual port, and what empties the database.
SERVERS = {
    "postgresql": ("postgres_url", 5432, ["DROP SCHEMA public CASCADE", "CREATE SCHEMA public"]),
    "mysql": (
        "mariadb_url",
        3306,
        ["DROP DATABASE {name}", "CREATE DATABASE {name} CHARACTER SET utf8mb4", "USE {name}"],
    ),
}


@pytest.fixture
def issuer(settings: Settings) -> Iterator[FakeIssuer]:
    """The issuer that the project trusts and fetches from."""
    issuer = FakeIssuer(algorithm="ES256")
    settings.ROOT_URLCONF = "tests.users.views"
    settings.RESOURCE_SERVER = issuer.settings()
    with issuer.serving():
        yield issuer


@pytest.fixture
def users_are(issuer: FakeIssuer, settings: Settings) -> Callable[[str | dict[str, Any]], None]:
    """Sets USERS."""

    def change(users: str | dict[str, Any]) -> None:
        settings.RESOURCE_SERVER = issuer.settings(USERS=users)

    return change


@pytest.fixture
def call(issuer: FakeIssuer) -> Request:
    """The response to a request with a token of these claims."""

    def request(**claims: Any) -> HttpResponse:
        token = issuer.token(**{"scope": "read", **claims})
        return Client().get("/me", headers={"Authorization": f"Bearer {token}"})

    return request


@pytest.fixture(params=["plain", "async", "rest"])
def call_any(request: pytest.FixtureRequest, issuer: FakeIssuer) -> Request:
    """As `call`, for a view of each kind."""

    def send(**claims: Any) -> HttpResponse:
        headers = {"Authorization": f"Bearer {issuer.token(**{'scope': 'read', **claims})}"}
        if request.param == "async":
            response: HttpResponse = async_to_sync(AsyncClient().get)("/async", headers=headers)
            return response
        return Client().get("/me" if request.param == "plain" else "/rest", headers=headers)

    return send


@pytest.fixture
def on_provisioned() -> Iterator[Callable[[Receiver], None]]:
    """Connects receivers of `user_provisioned` for this test."""
    receivers = []

    def connect(receiver: Receiver) -> None:
        receivers.append(receiver)
        user_provisioned.connect(receiver)

    yield connect
    for receiver in receivers:
        user_provisioned.disconnect(receiver)


@pytest.fixture
def add_database(
    request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> Iterator[Callable[..., str]]:
    """Adds a real database under an alias, with the tables of users and accounts: SQLite, PostgreSQL or MariaDB.

    Nothing is undone between statements: transactions are committed.
    """
    added = []

    def add(alias: str, engine: str = "sqlite3", **options: Any) -> str:
        database = {"ENGINE": f"django.db.backends.{engine}", "NAME": tmp_path / f"{alias}.sqlite3", **options}
        if engine in SERVERS:
            fixture, port, _sql = SERVERS[engine]
            url = urlsplit(request.getfixturevalue(fixture))
            database |= {"NAME": url.path[1:], "USER": url.username or "", "PASSWORD": url.password or ""}
            database |= {"HOST": url.hostname or "", "PORT": str(url.port or port)}
        connections.settings[alias] = connections.configure_settings({"default": {}, alias: database})[alias]
        added.append(alias)
        connection = connections[alias]
        if engine in SERVERS:
            with connection.cursor() as cursor:
                for statement in SERVERS[engine][2]:
                    cursor.execute(statement.format(name=database["NAME"]))
        with connection.schema_editor() as editor:
            for model in (ContentType, Permission, Group, User, LogEntry, Account):
                editor.create_model(model)
        return alias

    with django_db_blocker.unblock():
        yield add
        for alias in added:
            connections[alias].close()
            del connections[alias], connections.settings[alias]
