"""USER_CACHE_SECONDS: rows of users are kept for some seconds, where the project asks for it."""

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.db import models, transaction
from django.db.models import F
from django.db.models.signals import post_init
from django.http import JsonResponse
from django.test import AsyncRequestFactory, Client, override_settings

from resource_server import flow, requires_scope
from resource_server.accounts.models import Account
from resource_server.signals import user_provisioned
from resource_server.tokens.user_source import UserSource
from resource_server.users import rows as user_rows
from resource_server.users.rows import UserRows

ISSUER, ADA = "https://issuer.test/", "auth0|ada"


class Person(models.Model):
    name = models.CharField(max_length=20)
    is_active = models.BooleanField(default=True)
    notes = models.JSONField(default=dict)

    class Meta:
        app_label = "resource_server_test_rows"


class Employee(Person):
    badge = models.IntegerField()

    class Meta:
        app_label = "resource_server_test_rows"


class Visitor(Person):
    class Meta:
        app_label = "resource_server_test_rows"
        proxy = True


class Careful(Person):
    """A model that looks at what it was read from, as Django's documentation shows."""

    class Meta:
        app_label = "resource_server_test_rows"
        proxy = True

    @classmethod
    def from_db(cls, db, field_names, values, **options):
        instance = super().from_db(db, field_names, values, **options)
        instance.read_from = dict(zip(field_names, values, strict=True))
        return instance


class Greeting:
    """A mixin whose `__init__` Django's own calls."""

    def __init__(self):
        self.greeting = "Hello"


class Greeted(Person, Greeting):
    class Meta:
        app_label = "resource_server_test_rows"
        proxy = True


class Shouting(Person):
    """A model that changes what is set."""

    class Meta:
        app_label = "resource_server_test_rows"
        proxy = True

    def __setattr__(self, name, value):
        super().__setattr__(name, value.upper() if name == "name" else value)


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(user_rows, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def rows(clock, monkeypatch):
    """Rows that are kept for 30 seconds, of two databases that nobody asks."""
    committed = SimpleNamespace(in_atomic_block=False, get_autocommit=lambda: True, on_commit=lambda call: call())
    monkeypatch.setattr(user_rows, "connections", {"default": committed, "other": committed})
    return UserRows(30)


@pytest.fixture
def ada(transactional_db):
    return get_user_model().objects.create_user(ADA)


@pytest.fixture
def ask(issuer, settings, clock):
    """Sets USERS and USER_CACHE_SECONDS, and gives what calls with one token."""

    def ask(users="lookup", *, seconds=30, **claims):
        settings.RESOURCE_SERVER = issuer.settings(USERS=users, USER_CACHE_SECONDS=seconds)
        token = issuer.token(**{"scope": "read", **claims})
        return lambda: Client().get("/me", headers={"Authorization": f"Bearer {token}"})

    return ask


def person(model=Person, database="default", **changes):
    """An instance as a query makes it."""
    values = {"id": 7, "name": "Ada", "is_active": True, "notes": {"roles": ["user"]}, **changes}
    names = [field.attname for field in model._meta.concrete_fields]
    return model.from_db(database, names, [values[name] for name in names])


def kept(rows, user):
    assert rows.read(ISSUER, ADA, lambda: user) is user
    return rows.get(ISSUER, ADA)


def test_rows_are_kept_only_where_the_project_asks_for_it(ada, ask, issuer, settings, django_assert_num_queries):
    settings.RESOURCE_SERVER = issuer.settings(USERS="lookup")
    token = issuer.token(scope="read")
    for _ in range(3):
        with django_assert_num_queries(1):
            Client().get("/me", headers={"Authorization": f"Bearer {token}"})
    call = ask(seconds=0)
    for _ in range(3):
        with django_assert_num_queries(1):
            assert call().json()["pk"] == ada.pk


@pytest.mark.parametrize("users", ["lookup", "provision"])
def test_one_query_and_none_for_the_seconds_after(ada, ask, clock, users, django_assert_num_queries):
    call = ask(users)
    answer = call().json()
    clock.now += 30
    with django_assert_num_queries(1):
        assert call().json() == answer
    for seconds in (0, 15, 14.5):
        clock.now += seconds
        with django_assert_num_queries(0):
            assert call().json() == answer
    clock.now += 0.5
    with django_assert_num_queries(1):
        assert call().json() == answer


@pytest.mark.parametrize("users", ["lookup", "provision"])
def test_who_was_deactivated_goes_on_for_so_long_and_no_longer(ada, ask, clock, users):
    call = ask(users)
    assert call().status_code == 200
    get_user_model().objects.update(is_active=False)
    clock.now += 29.5
    assert call().status_code == 200
    clock.now += 0.5
    assert call().json()["reason"] == "user_inactive"


def test_the_seconds_count_from_before_the_query(rows, clock):
    def slow():
        clock.now += 10
        return person()

    rows.read(ISSUER, ADA, slow)
    clock.now += 19.5
    assert rows.get(ISSUER, ADA) is not None
    clock.now += 0.5
    assert rows.get(ISSUER, ADA) is None


def test_a_refusal_is_not_remembered(transactional_db, ask):
    call = ask()
    assert call().json()["reason"] == "user_unknown"
    ada = get_user_model().objects.create_user(ADA, is_active=False)
    assert call().json()["reason"] == "user_inactive"
    get_user_model().objects.update(is_active=True)
    assert call().json()["pk"] == ada.pk


def test_each_request_has_an_instance_of_its_own(rows):
    first = kept(rows, person())
    first.name, first.is_admin = "Mallory", True
    first.notes["roles"].append("admin")
    second = rows.get(ISSUER, ADA)
    assert (second.name, second.notes, hasattr(second, "is_admin")) == ("Ada", {"roles": ["user"]}, False)


def test_what_the_first_request_does_to_its_user_no_other_sees(rows):
    user = person()
    kept(rows, user)
    user.name = "Mallory"
    user.notes["roles"].append("admin")
    again = rows.get(ISSUER, ADA)
    assert (again.name, again.notes) == ("Ada", {"roles": ["user"]})


class Tag(str):
    """A value that derives from an unchangeable one, and can be changed."""

    __slots__ = ("colours",)


def test_what_derives_from_an_unchangeable_value_is_copied_too(rows):
    tag = Tag("Ada")
    tag.colours = ["red"]
    first = kept(rows, person(name=tag, notes=None))
    first.name.colours.append("blue")
    assert rows.get(ISSUER, ADA).name.colours == ["red"]


def test_a_row_makes_what_a_query_makes(rows):
    again = kept(rows, person(database="other"))
    assert (again.pk, again._state.db, again._state.adding, again.get_deferred_fields()) == (7, "other", False, set())


@pytest.mark.parametrize(
    ("model", "more"),
    [(Person, {}), (Employee, {"person_ptr_id": 7, "badge": 12}), (Visitor, {}), (Careful, {})],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_models_of_every_kind(rows, model, more):
    again = kept(rows, person(model, **more))
    assert type(again) is model
    assert (again.pk, again.name) == (7, "Ada")
    assert all(getattr(again, name) == value for name, value in more.items())


def deferred():
    return Person.from_db("default", ["id", "is_active"], [7, True])


def annotated():
    user = person()
    user.visits = 3
    return user


NOT_KEPT = {
    "nobody": lambda: None,
    "no model": lambda: SimpleNamespace(pk=1, is_active=True),
    "not saved": lambda: Person(id=7, name="Ada"),
    "deferred fields": deferred,
    "an annotation": annotated,
    "an inactive person": lambda: person(is_active=False),
    "an expression that was saved": lambda: person(name=F("id") + 1),
    "a value that cannot be copied": lambda: person(notes={"lock": threading.Lock()}),
}


@pytest.mark.parametrize("make", NOT_KEPT.values(), ids=NOT_KEPT)
def test_what_is_no_row_is_not_kept(rows, make):
    assert kept(rows, make()) is None


def test_what_the_database_raises_is_raised(rows):
    with pytest.raises(ZeroDivisionError):
        rows.read(ISSUER, ADA, lambda: 1 // 0)
    assert rows.get(ISSUER, ADA) is None


def test_a_row_is_that_of_one_issuer_and_subject(rows):
    kept(rows, person())
    assert rows.get("https://other.test/", ADA) is None
    assert rows.get(ISSUER, "auth0|Ada") is None


def test_rows_are_bounded_and_the_oldest_makes_way(rows, monkeypatch):
    monkeypatch.setattr(user_rows, "MAX_ROWS", 2)
    for subject in ("a", "b", "a", "c"):
        rows.read(ISSUER, subject, person)
    assert [rows.get(ISSUER, subject) is not None for subject in "abc"] == [True, False, True]


def test_threads_share_rows(rows):
    failures = []

    def work(seed):
        try:
            for step in range(300):
                subject = str((seed + step) % 7)
                user = rows.get(ISSUER, subject) or rows.read(ISSUER, subject, person)
                assert user.notes == {"roles": ["user"]}
                user.notes.clear()
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def test_nothing_is_kept_of_a_transaction_that_is_undone(ada, clock):
    rows = UserRows(30)

    def read():
        return rows.read(ISSUER, ADA, lambda: get_user_model().objects.get(username=ADA))

    with transaction.atomic():
        get_user_model().objects.update(first_name="Mallory")
        assert read().first_name == "Mallory"
        assert rows.get(ISSUER, ADA) is None
        transaction.set_rollback(True)
    assert rows.get(ISSUER, ADA) is None
    with transaction.atomic():
        read()
    assert rows.get(ISSUER, ADA).first_name == ""


def test_a_user_whose_making_is_undone_is_not_kept(transactional_db, ask):
    call = ask("provision")
    with transaction.atomic():
        assert call().status_code == 200
        transaction.set_rollback(True)
    assert not get_user_model().objects.exists()
    assert call().json()["pk"] == get_user_model().objects.get().pk


def test_nothing_is_kept_where_the_project_commits_by_hand(ada, clock):
    rows = UserRows(30)
    transaction.set_autocommit(False)
    try:
        assert rows.read(ISSUER, ADA, lambda: get_user_model().objects.get(username=ADA)) == ada
        assert rows.get(ISSUER, ADA) is None
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)


def test_what_a_receiver_did_to_a_new_user_and_did_not_save_is_not_kept(transactional_db, ask):
    def receive(sender, user, token, **_):
        user.greeting = "hello"

    user_provisioned.connect(receive)
    try:
        call = ask("provision")
        assert call().status_code == call().status_code == 200
    finally:
        user_provisioned.disconnect(receive)
    assert Account.objects.count() == 1


def test_rows_are_not_for_a_function_of_the_projects_own(ada, ask, django_assert_num_queries):
    call = ask("tests.users.views.employee", employee=ADA)
    for _ in range(3):
        with django_assert_num_queries(1):
            assert call().json()["pk"] == ada.pk
    # It may look at more than who the subject is.
    assert ask("tests.users.views.employee", employee="nobody")().json()["reason"] == "user_unknown"


def test_a_machine_never_gets_the_row_of_a_person(transactional_db, issuer, ask, django_assert_num_queries):
    get_user_model().objects.create_user("worker")
    call = ask(sub="worker", client_id="other")
    assert [call().json()["is_token_user"] for _ in range(2)] == [False, False]
    machine = issuer.token(scope="read", sub="worker", client_id="worker")
    with django_assert_num_queries(0):
        answer = Client().get("/me", headers={"Authorization": f"Bearer {machine}"}).json()
    assert answer["is_token_user"] is True


def test_tokens_of_one_person_share_a_row(ada, issuer, ask, django_assert_num_queries):
    ask()()
    other = issuer.token(scope="read", jti="another")
    with django_assert_num_queries(0):
        assert Client().get("/me", headers={"Authorization": f"Bearer {other}"}).json()["pk"] == ada.pk


def test_two_ways_to_find_users_share_no_rows(ada, issuer, settings, clock):
    from resource_server import server

    settings.RESOURCE_SERVER = issuer.settings(USERS="lookup", USER_CACHE_SECONDS=30)
    finders = server.current().finders
    lookup, provision = UserSource(find="lookup"), UserSource(find="provision")
    finders.add(provision)
    assert finders[lookup].rows is not finders[provision].rows


def test_other_settings_forget_the_rows(ada, issuer, ask):
    call = ask()
    assert call().status_code == 200
    get_user_model().objects.update(is_active=False)
    assert call().status_code == 200
    with override_settings(RESOURCE_SERVER=issuer.settings(USERS="lookup", USER_CACHE_SECONDS=29)):
        assert call().json()["reason"] == "user_inactive"


def test_a_row_that_is_known_costs_an_async_view_no_thread(ada, issuer, ask, monkeypatch):
    hops = []
    sync_to_async = flow.sync_to_async
    monkeypatch.setattr(flow, "sync_to_async", lambda call, **how: hops.append(call) or sync_to_async(call, **how))

    @requires_scope("read")
    async def view(request):
        return JsonResponse({"pk": (await request.auser()).pk})

    ask()()  # the keys, and the row
    for jti in ("1", "2", "2"):
        token = issuer.token(scope="read", jti=jti)
        request = AsyncRequestFactory().get("/", headers={"Authorization": f"Bearer {token}"})
        assert async_to_sync(view)(request).status_code == 200
    assert hops == []
    unknown = issuer.token(scope="read", sub="auth0|bob")
    request = AsyncRequestFactory().get("/", headers={"Authorization": f"Bearer {unknown}"})
    assert async_to_sync(view)(request).status_code == 401
    assert len(hops) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_child_starts_with_none():
    program = """
        import os
        import django
        django.setup()
        from django.contrib.auth.models import User
        from resource_server.users.rows import UserRows, _row

        rows = UserRows(30)
        names = [field.attname for field in User._meta.concrete_fields]
        row = _row(User.from_db("default", names, [True] * len(names)), until=1e12)
        rows._keep(("i", "s"), row)
        rows._lock.acquire()  # as another thread of the parent may at that moment
        child = os.fork()
        if child == 0:
            empty = rows.get("i", "s") is None
            rows._keep(("i", "s"), row)
            os._exit(0 if empty and rows.get("i", "s") is not None else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert rows.get("i", "s") is not None
        print("done")
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
    )
    assert (done.stdout.strip(), done.stderr) == ("done", "")


@pytest.mark.parametrize("model", [Greeted, Shouting])
def test_a_row_of_a_model_with_ways_of_its_own_becomes_what_django_makes(rows, model):
    user = person(model)
    again = kept(rows, user)
    assert type(again) is model
    assert {name: value for name, value in vars(again).items() if name != "_state"} == {
        name: value for name, value in vars(user).items() if name != "_state"
    }


def test_receivers_see_each_instance_of_a_row(rows):
    seen = []

    def receive(sender, instance, **_):
        seen.append(instance)

    user = person()
    post_init.connect(receive, sender=Person)
    try:
        again = kept(rows, user)
    finally:
        post_init.disconnect(receive, sender=Person)
    assert again in seen
    assert any(each is again for each in seen)
