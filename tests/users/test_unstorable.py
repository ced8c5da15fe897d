"""Values of a token that the database or the user model refuses: 401 with a reason, and nothing is left behind."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connections

from resource_server.accounts.models import Account
from resource_server.database.unstorable import unstorable

HERE = __name__
VALUES = {}


def create(token):
    return VALUES


def update(user, token):
    return VALUES


def by_name(token):
    return get_user_model().objects.get(username=token.subject)


class SendsAllToPeople:
    def db_for_read(self, model, **hints):
        return "people"

    db_for_write = db_for_read


@pytest.fixture(autouse=True)
def _no_values():
    VALUES.clear()


@pytest.fixture
def people(request, add_database, settings, users_are):
    alias = add_database("people", request.param)
    settings.DATABASE_ROUTERS = [SendsAllToPeople()]
    return connections[alias]


@pytest.mark.parametrize(
    "users", ["lookup", "provision", {"FIND": "provision", "FIELD": "username"}, f"{HERE}.by_name"], ids=str
)
@pytest.mark.parametrize("charset", ["latin1", "utf8mb3"])
def test_a_subject_outside_the_charset_of_the_column_is_refused(
    add_database, users_are, settings, call_any, charset, users, caplog
):
    add_database("people", "mysql")
    settings.DATABASE_ROUTERS = [SendsAllToPeople()]
    with connections["people"].cursor() as cursor:
        for table in ("auth_user", "resource_server_accounts_account"):
            cursor.execute(f"ALTER TABLE {table} CONVERT TO CHARACTER SET {charset}")
    users_are(users)
    response = call_any(sub="ада \N{SNOWMAN} \N{GRINNING FACE}")
    assert response.status_code == 401
    assert response.json()["reason"] == ("user_not_storable" if "provision" in str(users) else "user_unknown")
    assert (get_user_model().objects.count(), Account.objects.count()) == (0, 0)
    assert "\N{SNOWMAN}" not in caplog.text
    get_user_model().objects.create_user("ada")
    assert call_any(sub="bob" if "provision" in str(users) else "ada").status_code == 200


REFUSED = {
    "an address of another user": {"username": "taken"},
    "a key of another user": {"id": 1000},
    "text that is too long": {"first_name": "x" * 151},
    "an object for a date": {"last_login": {"a": 1}},
    "text for a date": {"last_login": "yesterday"},
    "no value": {"email": None},
    "an integer that is too large": {"id": 10**30},
}


BEFORE = "a user cannot be stored with the values of a token: "
# A field -> what each database calls it in its error; PostgreSQL names the constraint of a unique field.
NAMED = {
    "username": r"auth_user[._ ]username|username",
    "id": r"auth_user[._ ]id|auth_user_pkey|PRIMARY",
    "email": "email",
    "first_name": "first_name|22001",  # PostgreSQL names no column for a text that is too long
}


# SQLite has no limit of a length.
BY_ENGINE = [
    pytest.param(engine, values, id=f"{engine}, {sentence}")
    for engine in ("sqlite3", "postgresql", "mysql")
    for sentence, values in REFUSED.items()
    if (engine, sentence) != ("sqlite3", "text that is too long")
]


@pytest.mark.parametrize(("people", "values"), BY_ENGINE, indirect=["people"])
def test_a_value_that_a_new_user_cannot_have_is_refused(people, users_are, call, caplog, values):
    users_are({"FIND": "provision", "CREATE": f"{HERE}.create"})
    taken = get_user_model().objects.create_user("taken", pk=1000, first_name="Ada")
    VALUES.update(values)
    for _ in range(2):
        response = call(sub="auth0|bob")
        assert (response.status_code, response.json()["reason"]) == (401, "user_not_storable")
        assert not Account.objects.exists()
        assert get_user_model().objects.get() == taken
    taken.refresh_from_db()
    assert (taken.username, taken.first_name) == ("taken", "Ada")
    assert not any(record.exc_info for record in caplog.records)
    VALUES.clear()
    assert call(sub="auth0|bob").status_code == 200


# A value that is out of range is refused without the name of its column.
NAMING = [each for each in BY_ENGINE if each.values[1].keys() <= NAMED.keys() and each.values[1] != {"id": 10**30}]


@pytest.mark.parametrize(("people", "values"), NAMING, indirect=["people"])
def test_the_log_names_the_column_or_its_constraint_and_no_value(people, users_are, call, caplog, values):
    users_are({"FIND": "provision", "CREATE": f"{HERE}.create"})
    get_user_model().objects.create_user("taken", pk=1000)
    VALUES.update(values)
    assert call(sub="auth0|bob").status_code == 401
    [line] = [record.getMessage() for record in caplog.records if record.getMessage().startswith(BEFORE)]
    [(name, value)] = values.items()
    assert re.search(NAMED[name], line), line
    assert value is None or str(value) not in line


QUOTING = {
    "a duplicate": (
        1062,
        "Duplicate entry 'ada' for key 'x'' for key 'auth_user.username'",
        "for key 'auth_user.username'",
    ),
    "no value": (1048, "Column 'email' cannot be null", "Column 'email' cannot be null"),
    "another message": (1366, "a value: ada", ""),
    "a value at the end": (1366, "value for key 'ada@example.com'", ""),
}


@pytest.mark.parametrize(("code", "message", "named"), QUOTING.values(), ids=QUOTING)
def test_a_message_that_quotes_a_value_gives_only_the_name(caplog, code, message, named):
    unstorable(IntegrityError(code, message))
    assert caplog.messages == [f"{BEFORE}IntegrityError {code} {named}".rstrip()]


def test_an_error_of_the_project_is_not_taken_for_one_of_sqlite(caplog):
    unstorable(IntegrityError("UNIQUE constraint failed: ada"))
    assert caplog.messages == [f"{BEFORE}IntegrityError"]


KNOWN = [param for param in BY_ENGINE if param.values[1].keys() & {"username", "first_name"}]


@pytest.mark.parametrize(("people", "values"), KNOWN, indirect=["people"])
def test_a_value_that_a_known_user_cannot_have_is_refused(people, users_are, call, values):
    users_are({"FIND": "provision", "UPDATE": f"{HERE}.update"})
    assert call().status_code == 200
    before = get_user_model().objects.values().get()
    get_user_model().objects.create_user("taken")
    VALUES.update(values)
    for _ in range(2):
        assert call(jti="next").json()["reason"] == "user_not_storable"
        assert get_user_model().objects.values().get(pk=before["id"]) == before
    VALUES.clear()
    assert call(jti="next").status_code == 200


def test_an_error_of_the_function_itself_is_raised(db, users_are, call, monkeypatch):
    users_are({"FIND": "provision", "CREATE": f"{HERE}.fail"})
    with pytest.raises(IntegrityError, match="of the project"):
        call()
    assert not get_user_model().objects.exists()


def fail(token):
    raise IntegrityError("of the project")


MODEL = """
import uuid

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower


class Company(models.Model):
    pass


class Person(AbstractBaseUser):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.EmailField(unique=True)
    external_id = models.CharField(max_length=40, null=True, unique=True)
    nickname = models.CharField(max_length=40, blank=True)
    company = models.ForeignKey(Company, models.PROTECT)
    joined_at = models.DateTimeField(auto_now_add=True)
    is_active = models.BooleanField(default=True)
    objects = BaseUserManager()
    USERNAME_FIELD = "external_id"

    class Meta:
        constraints = [models.UniqueConstraint(Lower("nickname"), name="nickname")]

    def save(self, *args, **kwargs):
        self.full_clean(exclude=["company"])
        super().save(*args, **kwargs)


def fields(token):
    claims = token.claims
    return {"email": claims["email"], "nickname": claims["email"], "company_id": claims["company"]}
"""

PROJECT = """
    import django
    from django.conf import settings
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3",
                               "ATOMIC_REQUESTS": True}},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "people", "resource_server",
                        "resource_server.accounts"],
        AUTH_USER_MODEL="people.Person", DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True,
        ROOT_URLCONF="urls", ALLOWED_HOSTS=["*"],
    )
    django.setup()
    from django.core.checks import run_checks
    from django.core.management import call_command
    from django.test import Client, override_settings
    from people.models import Company, Person
    from resource_server.accounts.models import Account
    from resource_server.testing import FakeIssuer

    call_command("migrate", run_syncdb=True, verbosity=0)
    company = Company.objects.create()
    issuer = FakeIssuer()

    def send(sub, **claims):
        headers = {"Authorization": f"Bearer {issuer.token(sub=sub, **claims)}"}
        response = Client().get("/me", headers=headers)
        return response.json().get("reason", response.status_code)

    def warnings():
        return [message.msg for message in run_checks() if message.id == "resource_server.W010"]

    def of(sub, **claims):
        return send(sub, **{"email": f"{sub}@example.com", "company": company.pk, **claims})

    with issuer.serving():
        with override_settings(RESOURCE_SERVER=issuer.settings(USERS="provision")):
            [warning] = warnings()
            assert "people.Person: company, email, nickname." in warning, warning
            assert send("ada") == "user_not_storable"
        users = {"FIND": "provision", "CREATE": "people.models.fields", "FIELD": "external_id"}
        with override_settings(RESOURCE_SERVER=issuer.settings(USERS=users)):
            assert warnings() == []
            assert [of("ada"), of("bob"), of("ada")] == [200, 200, 200]
            assert of("eve", email="ADA@example.com") == "user_not_storable"  # the constraint
            assert of("eve", email="ada@example.com") == "user_not_storable"
            assert of("eve", email="no address") == "user_not_storable"
            assert of("eve", company=999) == "user_not_storable"  # no such row
            assert of("e" * 41) == "user_not_storable"
            assert (Person.objects.count(), Account.objects.count()) == (2, 2)
            ada = Person.objects.get(external_id="ada")
            assert (ada.email, ada.company_id, ada.has_usable_password()) == ("ada@example.com", company.pk, False)
        users = {"FIND": "lookup", "FIELD": "external_id"}
        with override_settings(RESOURCE_SERVER=issuer.settings(USERS=users)):
            assert [of("ada"), of("eve")] == [200, "user_unknown"]
            assert warnings() == []
        groups = {"FIND": "lookup", "GROUPS": {"a": "A"}}
        with override_settings(RESOURCE_SERVER=issuer.settings(USERS=groups)):
            [fault] = [message.msg for message in run_checks() if message.id == "resource_server.E035"]
            assert "GROUPS needs groups, which the user model lacks" in fault
    print("passed")
"""

URLS = """
from django.http import JsonResponse
from django.urls import path
from resource_server import requires_token


@requires_token
def me(request):
    return JsonResponse({"pk": str(request.user.pk)})


urlpatterns = [path("me", me)]
"""


def test_a_model_with_unique_and_required_fields_that_cleans_itself(tmp_path):
    people = tmp_path / "people"
    people.mkdir()
    Path(people / "__init__.py").touch()
    Path(people / "models.py").write_text(MODEL)
    Path(tmp_path / "urls.py").write_text(URLS)
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(PROJECT)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), "DJANGO_SETTINGS_MODULE": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.stdout.split() == ["passed"], finished.stderr
