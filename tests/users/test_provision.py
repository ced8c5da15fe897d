"""`USERS: "provision"`: one person, one user, made once."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from tests.verified import token_of

from resource_server.accounts.models import Account
from resource_server.accounts.provision import provision
from resource_server.signals import user_provisioned


@pytest.fixture
def provisioned(db):
    """The users that `user_provisioned` was sent for."""
    users = []

    def receive(sender, user, token, **_):
        users.append(user)

    user_provisioned.connect(receive)
    yield users
    user_provisioned.disconnect(receive)


def test_a_person_is_made_once_and_then_found_by_one_query(provisioned, django_assert_num_queries):
    user = provision(token_of())
    with django_assert_num_queries(1):
        assert provision(token_of()) == user
    assert provisioned == [user]
    assert get_user_model().objects.count() == Account.objects.count() == 1


@pytest.mark.django_db
def test_a_new_user_can_do_nothing_else():
    user = provision(token_of(is_staff=True, is_superuser=True, email="root@example.com", name="Root"))
    user.refresh_from_db()
    assert not user.has_usable_password()
    assert not user.check_password("")
    assert (user.is_active, user.is_staff, user.is_superuser) == (True, False, False)
    assert (user.email, user.first_name, user.last_name) == ("", "", "")


@pytest.mark.django_db
def test_one_subject_of_two_issuers_is_two_people():
    assert provision(token_of()) != provision(token_of(issuer="https://other.test/"))


@pytest.mark.django_db
def test_nobody_is_taken_over_by_name_or_address():
    users = get_user_model().objects
    before = {
        users.create_user(name, email="ada@example.com").pk
        for name in ("auth0|ada", "ada", "ada@example.com", "token-auth0|ada")
    }
    user = provision(
        token_of(
            email="ada@example.com", email_verified=True, preferred_username="ada", username="ada", name="auth0|ada"
        )
    )
    assert user.pk not in before
    assert Account.objects.get().user_id == user.pk


@pytest.mark.django_db
def test_a_name_cannot_be_known_beforehand_and_taken():
    first = provision(token_of()).get_username()
    Account.objects.all().delete()
    get_user_model().objects.filter(username=first).update(username="kept")

    assert provision(token_of()).get_username() != first


@pytest.mark.django_db
def test_a_receiver_that_raises_undoes_the_user():
    def refuse(sender, **_):
        raise RuntimeError("not in this company")

    user_provisioned.connect(refuse)
    try:
        with pytest.raises(RuntimeError, match="not in this company"):
            provision(token_of())
    finally:
        user_provisioned.disconnect(refuse)
    assert not get_user_model().objects.exists()
    assert not Account.objects.exists()


def in_another_process(script, directory, **environment):
    """Run a script with this interpreter and this source; what it printed, in lines."""
    path = [str(directory), *filter(None, sys.path)]
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(path), "DJANGO_SETTINGS_MODULE": ""},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.split()


MODEL = """
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class Person(AbstractBaseUser):
    email = models.EmailField(unique=True)
    is_active = models.BooleanField(default=True)
    objects = BaseUserManager()
    USERNAME_FIELD = "email"
"""

BY_ADDRESS = """
    import django
    from django.conf import settings
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "people", "resource_server.accounts"],
        AUTH_USER_MODEL="people.Person", DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True,
    )
    django.setup()
    from django.core.management import call_command
    from people.models import Person
    from resource_server.accounts.provision import provision
    from resource_server.tokens.access_token import access_token
    from resource_server.tokens.user_source import UserSource
    from resource_server.users.database_finders import user_finder

    call_command("migrate", run_syncdb=True, verbosity=0)
    claims = {"iss": "https://issuer.test/", "sub": "ada@example.com", "aud": "api", "exp": 2_000_000_000}
    token = access_token(claims)
    lookup, problems = user_finder(UserSource(find="lookup"), 0)
    assert lookup.find(token) is None and not problems
    ada = Person.objects.create(email="ada@example.com")
    assert lookup.find(token) == ada
    person = provision(token)
    assert person == provision(token) != ada and not person.has_usable_password()
    print(Person.objects.count())
"""


def test_a_user_model_named_by_address(tmp_path):
    people = tmp_path / "people"
    people.mkdir()
    Path(people / "__init__.py").touch()
    Path(people / "models.py").write_text(MODEL)
    assert in_another_process(BY_ADDRESS, tmp_path) == ["2"]


@pytest.mark.parametrize("queries", [1, 2])
def test_an_account_that_is_made_between_two_queries_is_found(call, users_are, db, monkeypatch, queries):
    from resource_server.accounts import provision

    users_are("provision")
    assert call().status_code == 200
    made = get_user_model().objects.get()
    answers = [None] * queries
    find, has_account = provision.known_user, provision._has_account
    # What this request sees: nobody at first, and then what the other request has committed.
    monkeypatch.setattr(
        provision, "known_user", lambda *where: answers.pop() if len(answers) == queries else find(*where)
    )
    if queries == 2:
        seen = [False]
        monkeypatch.setattr(provision, "_has_account", lambda *where: seen.pop() if seen else has_account(*where))
    assert call().json()["pk"] == made.pk
    assert get_user_model().objects.count() == 1
