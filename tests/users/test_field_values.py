"""Values of CREATE and UPDATE in fields of each type: converted by the field, saved once, refused if they do not fit."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.users.conftest import SERVERS

MODELS = """
import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models


class Team(models.Model):
    pass


class Person(AbstractUser):
    modified = models.DateTimeField(auto_now=True)
    birthday = models.DateField(null=True)
    last_seen = models.DateTimeField(null=True)
    number = models.BigIntegerField(null=True, unique=True)
    balance = models.DecimalField(null=True, max_digits=8, decimal_places=2)
    meta = models.JSONField(default=dict)
    ident = models.UUIDField(null=True, unique=True)
    team = models.ForeignKey(Team, models.PROTECT, null=True)


NAMES = ("birthday", "last_seen", "number", "balance", "meta", "ident", "team_id")


def create(token):
    return {name: token.claims[name] for name in NAMES if name in token.claims}


def update(user, token):
    user.has_perm("auth.add_group")  # Django keeps the answer on the user
    return create(token)
"""

PROJECT = """
    import json, os
    import django, pymysql
    pymysql.install_as_MySQLdb()
    from django.conf import settings
    settings.configure(
        DATABASES={"default": json.loads(os.environ["DATABASE"])},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "people", "resource_server",
                        "resource_server.accounts"],
        AUTH_USER_MODEL="people.Person", DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True,
        ROOT_URLCONF="urls", ALLOWED_HOSTS=["*"],
    )
    django.setup()
    from django.contrib.auth.models import Group, Permission
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client, override_settings
    from django.test.utils import CaptureQueriesContext
    from people.models import Person, Team
    from resource_server.testing import FakeIssuer

    call_command("makemigrations", "people", verbosity=0)
    call_command("migrate", verbosity=0)
    Group.objects.create(name="Editors").permissions.add(Permission.objects.get(codename="add_group"))
    team = Team.objects.create()
    issuer = FakeIssuer()
    numbers = iter(range(1000))

    def send(**claims):
        token = issuer.token(jti=str(next(numbers)), **claims)
        with CaptureQueriesContext(connection) as queries:
            answer = Client().get("/me", headers={"Authorization": f"Bearer {token}"}).json()
        return answer, [each["sql"] for each in queries if each["sql"].startswith(("INSERT", "UPDATE"))]

    claims = {
        "birthday": "2000-01-02", "last_seen": "2024-01-01T00:00:00Z", "number": "42", "balance": 12.345,
        "meta": {"a": [1, {"b": None}]}, "ident": "6f9619ff-8b86-d011-b42d-00c04fc964ff", "team_id": str(team.pk),
    }
    refused = {
        "number": [10**30, -(10**30), 2**63, "1" * 60, "abc"], "balance": [10**9, "NaN", 1e300], "team_id": ["abc", 10**30],
    }
    for users in ({"CREATE": "people.models.create"}, {"UPDATE": "people.models.update"}):
        way = next(iter(users))
        with override_settings(RESOURCE_SERVER=issuer.settings(USERS={"FIND": "provision", **users})), issuer.serving():
            first, _ = send(sub=way, **claims)
            again, writes = send(sub=way, **claims)
            assert first == again, (first, again)
            assert first["meta"] == ["dict", "list", "dict"], first
            assert writes == [], writes
            for name, values in refused.items():
                for value in values:
                    before = Person.objects.count()
                    answer, _ = send(sub="new", **{name: value})
                    assert answer.get("reason") == "user_not_storable", (way, name, value, answer)
                    assert Person.objects.count() == before
                    if way == "UPDATE":
                        answer, _ = send(sub=way, **{name: value})
                        assert answer.get("reason") == "user_not_storable", (name, value, answer)
            Person.objects.all().delete()

    person = {"FIND": "provision", "UPDATE": "people.models.update", "GROUPS": {"editor": "Editors"}}
    with override_settings(RESOURCE_SERVER=issuer.settings(USERS=person)), issuer.serving():
        send(sub="ada", **claims)
        before = Person.objects.get().modified
        send(sub="ada", **claims)
        assert Person.objects.get().modified == before
        send(sub="ada", **{**claims, "number": "43"})
        assert Person.objects.get().modified > before
        assert send(sub="ada", groups=["editor"])[0]["may"] is True
        assert send(sub="ada", groups=[])[0]["may"] is False

    for field in ("number", "ident"):
        found = {"FIND": "lookup", "FIELD": field}
        with override_settings(RESOURCE_SERVER=issuer.settings(USERS=found)), issuer.serving():
            for sub in (str(10**30), str(2**63), "-" + "9" * 30, "abc"):
                assert send(sub=sub)[0]["reason"] == "user_unknown", (field, sub)
    made = {"FIND": "provision", "FIELD": "number"}
    with override_settings(RESOURCE_SERVER=issuer.settings(USERS=made)), issuer.serving():
        assert send(sub=str(10**30))[0]["reason"] == "user_not_storable"
        assert send(sub="77")[0]["number"] == "int"
    print("passed")
"""

URLS = """
from django.http import JsonResponse
from django.urls import path
from people.models import NAMES
from resource_server import requires_token


@requires_token
def me(request):
    user = request.user
    types = {name: type(getattr(user, name)).__name__ for name in NAMES}
    a = user.meta.get("a")
    meta = [type(each).__name__ for each in (user.meta, a, a[1])] if a else []
    return JsonResponse({**types, "meta": meta, "value": str(user.balance), "may": user.has_perm("auth.add_group")})


urlpatterns = [path("me", me)]
"""


@pytest.mark.parametrize("engine", ["sqlite3", "postgresql", "mysql"])
def test_values_are_of_the_types_of_their_fields(request, tmp_path, engine):
    database = {"ENGINE": f"django.db.backends.{engine}", "NAME": str(tmp_path / "db.sqlite3")}
    if engine in SERVERS:
        fixture, port, _sql = SERVERS[engine]
        url = urlsplit(request.getfixturevalue(fixture))
        database |= {"NAME": url.path[1:], "USER": url.username or "", "PASSWORD": url.password or ""}
        database |= {"HOST": url.hostname or "", "PORT": str(url.port or port)}
    people = tmp_path / "people"
    people.mkdir()
    Path(people / "__init__.py").touch()
    Path(people / "models.py").write_text(MODELS)
    Path(tmp_path / "urls.py").write_text(URLS)
    environment = {
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
        "DJANGO_SETTINGS_MODULE": "",
        "DATABASE": json.dumps(database),
    }
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(PROJECT)],
        env={**os.environ, **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.stdout.split() == ["passed"], finished.stderr
