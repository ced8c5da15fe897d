"""`USERS` as a dict: fields, groups and permissions of a user that come from the token, as the project maps them."""

from time import monotonic

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import connections
from django.http import JsonResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path
from tests.users import people
from tests.verified import token_of

from resource_server import explain, requires_scope
from resource_server.accounts.models import Account
from resource_server.database.unstorable import is_key_or_generated
from resource_server.errors import InvalidToken
from resource_server.tokens.user_source import NameMap
from resource_server.users import updates
from resource_server.users.mapped_rights import MappedRights

HERE = __name__
NAMES = {"UPDATE": f"{HERE}.names"}
GROUPS = {"GROUPS": {"writers": "Editors", "bosses": "Owners"}}
calls = []
refusals = []


def fields(token):
    return {"username": token.claims["preferred_username"], "email": token.claims.get("email", "")}


def names(user, token):
    calls.append((user.pk, token.claims.get("given_name")))
    if refusals:
        user.groups.create(name="of the function")
        raise refusals[-1]
    return {"first_name": token.claims.get("given_name", "")}


async def async_fields(token):
    await get_user_model().objects.acount()
    return await sync_to_async(fields)(token)


async def async_names(user, token):
    await user.arefresh_from_db()
    return {"first_name": token.claims["given_name"]}


@requires_scope("read")
def fail(request):
    raise RuntimeError("the view fails")


@requires_scope("read")
def rights(request):
    user = request.user
    return JsonResponse({
        "name": user.get_username(), "email": user.email, "first_name": user.first_name,
        "groups": sorted(user.groups.values_list("name", flat=True)),
        "may": user.has_perm("auth.view_group"), "staff": user.is_staff or user.is_superuser,
    })  # fmt: skip


urlpatterns = [path("fail", fail), path("rights", rights)]


class SendsAllToPeople:
    def db_for_read(self, model, **hints):
        return "people"

    db_for_write = db_for_read


class Replicated:
    def db_for_read(self, model, **hints):
        return "replica"

    def db_for_write(self, model, **hints):
        return "primary"


@pytest.fixture(autouse=True)
def _nothing_is_remembered():
    calls.clear()
    refusals.clear()


@pytest.fixture
def send(issuer):
    """Sends a token."""

    def send(token, url="/me"):
        return Client().get(url, headers={"Authorization": f"Bearer {token}"})

    return send


@pytest.fixture
def sign(issuer):
    """A token, issued so many seconds before the test began."""
    began = int(issuer.claims()["iat"])

    def sign(ago=60, **claims):
        return issuer.token(**{"scope": "read", "iat": began - ago, **claims})

    return sign


@pytest.fixture
def groups(db):
    """The groups Editors and Owners, and one that no map names."""
    return [Group.objects.create(name=name) for name in ("Editors", "Owners", "Choir")]


def names_of_groups():
    return sorted(get_user_model().objects.get().groups.values_list("name", flat=True))


@pytest.mark.parametrize("engine", ["sqlite3", "postgresql", "mysql"])
@pytest.mark.parametrize("asynchronous", ["", "async_"])
def test_a_new_user_has_the_fields_and_rights_of_the_token_in_one_transaction(
    engine, asynchronous, add_database, users_are, settings, sign, send
):
    add_database("people", engine)
    settings.DATABASE_ROUTERS = [SendsAllToPeople()]
    settings.ROOT_URLCONF = HERE
    Group.objects.create(name="Editors")
    content = ContentType.objects.create(app_label="auth", model="group")
    Permission.objects.create(content_type=content, codename="view_group", name="may view")
    users_are({
        "FIND": "provision", "CREATE": f"{HERE}.{asynchronous}fields", "UPDATE": f"{HERE}.{asynchronous}names",
        "GROUPS": {"writers": "Editors"}, "GROUPS_CLAIM": "/realm_access/roles",
        "PERMISSIONS": {"groups:read": "auth.view_group"},
    })  # fmt: skip
    token = sign(
        preferred_username="ada", email="ada@example.com", given_name="Ada",
        realm_access={"roles": ["writers", "other"]}, permissions="groups:read", is_staff=True, is_superuser=True,
    )  # fmt: skip
    expected = {
        "name": "ada", "email": "ada@example.com", "first_name": "Ada", "groups": ["Editors"], "may": True, "staff": False,
    }  # fmt: skip
    assert send(token, "/rights").json() == expected
    with CaptureQueriesContext(connections["people"]) as queries:
        assert send(token, "/rights").json() == expected
    assert [query["sql"] for query in queries if not query["sql"].startswith("SELECT")] == []
    assert get_user_model().objects.count() == Account.objects.count() == 1


def test_async_functions_run_in_the_transaction_behind_each_kind_of_view(transactional_db, users_are, call_any):
    users_are({"FIND": "provision", "CREATE": f"{HERE}.async_fields", "UPDATE": f"{HERE}.async_names"})
    assert call_any(preferred_username="ada", given_name="Ada").status_code == 200
    user = get_user_model().objects.get()
    assert (user.username, user.first_name) == ("ada", "Ada")


def test_update_runs_once_for_each_token_and_saves_what_differs(db, users_are, sign, send, django_assert_num_queries):
    users_are({"FIND": "provision", **NAMES})
    first, second = sign(given_name="Ada"), sign(30, given_name="Augusta")
    send(first)
    with django_assert_num_queries(1):
        assert send(first).status_code == 200
    assert [name for _pk, name in calls] == ["Ada"]
    assert get_user_model().objects.get().first_name == "Ada"
    for _ in range(2):
        assert send(second).status_code == 200
    assert [name for _pk, name in calls] == ["Ada", "Augusta"]
    assert get_user_model().objects.get().first_name == "Augusta"


def test_two_tokens_of_one_second_are_applied_once_each(db, users_are, sign, send):
    users_are({"FIND": "provision", **NAMES})
    for _ in range(2):
        for name in ("Ada", "Augusta"):
            send(sign(60, given_name=name, jti=name))
    assert [name for _pk, name in calls] == ["Ada", "Augusta"]


def test_an_older_token_does_not_undo_a_newer_one(groups, users_are, sign, send):
    users_are({"FIND": "provision", **NAMES, **GROUPS})
    old, new = sign(60, groups=["bosses"], given_name="Old"), sign(30, groups=[], given_name="New")
    assert [send(token).status_code for token in (old, new, old)] == [200, 200, 200]
    assert names_of_groups() == []
    assert get_user_model().objects.get().first_name == "New"


@pytest.mark.parametrize("find", ["lookup", "tests.users.views.employee", "tests.users.test_outages.lazy_employee"])
def test_users_that_are_found_are_updated_too(groups, users_are, sign, send, find):
    get_user_model().objects.create_user("auth0|ada")
    users_are({"FIND": find, **NAMES, **GROUPS})
    assert send(sign(given_name="Ada", groups=["writers"], employee="auth0|ada")).status_code == 200
    assert get_user_model().objects.get().first_name == "Ada"
    assert names_of_groups() == ["Editors"]


def test_a_user_who_is_made_again_is_updated_again(groups, users_are, sign, send):
    users_are({"FIND": "lookup", **GROUPS})
    token = sign(groups=["writers"])
    for _ in range(2):
        get_user_model().objects.create_user("auth0|ada")
        assert send(token).status_code == 200
        assert names_of_groups() == ["Editors"]
        get_user_model().objects.get().delete()


def test_groups_are_given_and_taken_as_the_claim_says_and_others_are_left_alone(groups, users_are, sign, send):
    users_are({"FIND": "provision", **GROUPS})
    send(sign(100, groups=["writers", "bosses", "unmapped", 7]))
    get_user_model().objects.get().groups.add(groups[2])
    assert names_of_groups() == ["Choir", "Editors", "Owners"]
    send(sign(90, groups="bosses"))
    assert names_of_groups() == ["Choir", "Owners"]
    send(sign(80, groups="writers bosses"))  # one value, not two
    assert names_of_groups() == ["Choir"]
    send(sign(70, groups=["writers"]))
    send(sign(60, groups=[]))
    assert names_of_groups() == ["Choir"]


@pytest.mark.parametrize("claim", [{"writers": True}, {"writers": None}, {}, "", 7, [["writers"]], [None], True])
def test_a_claim_of_another_form_gives_nothing_and_takes_all(groups, users_are, sign, send, claim):
    users_are({"FIND": "provision", **GROUPS})
    assert send(sign(groups=claim)).status_code == 200
    assert names_of_groups() == []
    assert send(sign(50, groups=["writers"])).status_code == 200
    assert names_of_groups() == ["Editors"]
    assert send(sign(40, groups=claim)).status_code == 200
    assert names_of_groups() == []


def test_the_members_of_an_object_are_its_values_as_in_the_roles_of_zitadel(groups, users_are, sign, send):
    claim = "urn:zitadel:iam:org:project:roles"
    users_are({"FIND": "provision", **GROUPS, "GROUPS_CLAIM": claim})
    organisations = {"165460784409546700": "example.org"}
    send(sign(60, **{claim: {"writers": organisations, "bosses": False, "other": organisations}}))
    assert names_of_groups() == ["Editors"]
    send(sign(50, **{claim: {"bosses": organisations}}))
    assert names_of_groups() == ["Owners"]


ABSENT = {
    "no claim": ("groups", {}),
    "null": ("groups", {"groups": None}),
    "a pointer to nothing": ("/realm_access/roles", {"realm_access": {}}),
}


@pytest.mark.parametrize(("claim", "claims"), ABSENT.values(), ids=ABSENT)
def test_a_token_without_the_claim_takes_the_groups(groups, users_are, sign, send, caplog, claim, claims):
    # Entra ID and Cognito omit the claim of a person without groups.
    users_are({"FIND": "provision", **GROUPS, "GROUPS_CLAIM": claim})
    send(sign(100, groups=["writers"], realm_access={"roles": ["writers"]}))
    caplog.set_level("INFO", "resource_server")
    for ago in (90, 80):
        assert send(sign(ago, **claims)).status_code == 200
        assert names_of_groups() == []
    [line] = [record.getMessage() for record in caplog.records if "gets none of the GROUPS" in record.getMessage()]
    assert "ada" not in line


SILENT = {
    "too many for a token of Entra": ("groups", {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {}}}),
    "elsewhere and empty": ("groups", {"groups": [], "_claim_names": {"groups": "src1"}}),
    "elsewhere, by a pointer": ("/realm_access/roles", {"realm_access": {"roles": []}, "_claim_names": {"realm_access": "x"}}),
}  # fmt: skip


@pytest.mark.parametrize(("claim", "claims"), SILENT.values(), ids=SILENT)
def test_a_token_that_says_nothing_of_groups_leaves_them_alone(groups, users_are, sign, send, caplog, claim, claims):
    users_are({"FIND": "provision", **GROUPS, "GROUPS_CLAIM": claim})
    said = {"groups": ["writers"], "realm_access": {"roles": ["writers"]}}
    send(sign(100, client_id="web", **said))
    caplog.set_level("INFO", "resource_server")
    for ago in (90, 80):
        assert send(sign(ago, client_id="mobile", **claims)).status_code == 200
    assert names_of_groups() == ["Editors"]
    [line] = [record.getMessage() for record in caplog.records if "changes no GROUPS" in record.getMessage()]
    assert "writers" not in line
    assert "ada" not in line


def test_of_the_tokens_of_two_clients_the_newest_decides(groups, users_are, sign, send):
    users_are({"FIND": "provision", **NAMES, **GROUPS})
    send(sign(60, client_id="mobile", given_name="Mobile"))
    send(sign(90, client_id="web", groups=["writers"], given_name="Web"))
    assert names_of_groups() == []
    assert get_user_model().objects.get().first_name == "Mobile"
    send(sign(50, client_id="tablet", groups=["bosses"]))
    send(sign(90, client_id="web", groups=["writers"], given_name="Web"))
    assert names_of_groups() == ["Owners"]


def test_two_tokens_of_one_second_with_other_groups_do_not_alternate(groups, users_are, sign, send):
    users_are({"FIND": "provision", **GROUPS})
    for name in ("writers", "bosses", "writers"):
        send(sign(60, groups=[name], jti=name))
    assert names_of_groups() == ["Owners"]


@pytest.mark.parametrize("find", ["provision", "lookup"])
def test_what_the_issuer_answers_about_one_token_counts_each_time(groups, issuer, settings, send, monkeypatch, find):
    """An introspected token may lose a right, get it and lose it again, and its date of issue stays."""
    users = {"FIND": find, **NAMES, **GROUPS}
    settings.RESOURCE_SERVER = issuer.settings(USERS=users, INTROSPECTION=issuer.introspection())
    if find == "lookup":
        get_user_model().objects.create_user("auth0|ada")
    token = issuer.opaque_token(scope="read")
    for name, expected in (
        ("none", []),
        ("writers", ["Editors"]),
        ("none", []),
        ("writers", ["Editors"]),
        ("none", []),
    ):
        issuer._opaque[token].update(groups=[name], given_name=name)
        assert send(token).status_code == 200
        assert (names_of_groups(), get_user_model().objects.get().first_name) == (expected, name)
    monkeypatch.setattr(updates, "time", later(updates.COMPARE_SECONDS + 1))
    send(token)
    assert names_of_groups() == []


OF_ANOTHER_PROCESS = {"a group that is taken": ([], ["writers"]), "a group that is given again": (["writers"], [])}


@pytest.mark.parametrize("engine", ["sqlite3", "postgresql", "mysql"])
@pytest.mark.parametrize(("kept", "between"), OF_ANOTHER_PROCESS.values(), ids=OF_ANOTHER_PROCESS)
def test_what_another_process_changed_is_compared_again_within_five_minutes(
    engine, add_database, settings, users_are, sign, send, monkeypatch, kept, between
):
    add_database("people", engine)
    settings.DATABASE_ROUTERS = [SendsAllToPeople()]
    Group.objects.create(name="Editors")
    users_are({"FIND": "provision", "GROUPS": {"writers": "Editors"}})
    expected, other = (["Editors"] if "writers" in names else [] for names in (kept, between))
    newest = sign(70, groups=kept)
    send(sign(90, groups=kept))
    in_another_process(between)
    assert names_of_groups() == other
    send(newest)
    assert names_of_groups() == other  # as this process left them
    for minutes in (1, 2):
        monkeypatch.setattr(updates, "time", later(minutes * updates.COMPARE_SECONDS))
        with CaptureQueriesContext(connections["people"]) as queries:
            for _ in range(2):
                assert send(newest).status_code == 200
        assert names_of_groups() == expected
        # The user twice, and once the names and what the person has of them.
        assert sum(query["sql"].startswith("SELECT") for query in queries) == 4
        in_another_process(between)
        assert names_of_groups() == other


def in_another_process(groups):
    """What a new process makes of a token between the others: it has a memory of its own."""
    name_map = NameMap("groups", (("writers", "Editors"),))
    memory = updates.Updates(None, (MappedRights("GROUPS", name_map),))
    memory.bring(get_user_model().objects.get(), token_of("auth0|ada", groups=groups))


def later(seconds):
    return type("Later", (), {"monotonic": staticmethod(lambda: monotonic() + seconds)})


def test_a_group_that_the_database_does_not_have_gives_nothing_and_is_logged_once(db, users_are, sign, send, caplog):
    Group.objects.create(name="editors")  # another name
    users_are({"FIND": "provision", "GROUPS": {"writers": "Editors"}})
    for ago in (60, 50):
        assert send(sign(ago, groups=["writers"], jti=str(ago))).status_code == 200
    assert names_of_groups() == []
    assert caplog.text.count("GROUPS names 'Editors', which the database does not have") == 1


def test_an_exact_name_is_given_where_the_database_ignores_case(add_database, users_are, settings, sign, send):
    add_database("people", "mysql")
    settings.DATABASE_ROUTERS = [SendsAllToPeople()]
    Group.objects.create(name="editors")
    users_are({"FIND": "provision", "GROUPS": {"writers": "Editors"}})
    assert send(sign(60, groups=["writers"])).status_code == 200
    assert names_of_groups() == []
    get_user_model().objects.get().groups.add(Group.objects.get())
    assert send(sign(30, groups=[])).status_code == 200
    assert names_of_groups() == ["editors"]


REFUSALS = {
    "an authorization error": (InvalidToken("user_inactive"), 401),
    "permission denied": (PermissionDenied(), 403),
}


@pytest.mark.parametrize(("error", "status"), REFUSALS.values(), ids=REFUSALS)
def test_an_update_that_refuses_leaves_nothing_behind_on_each_request(
    transactional_db, users_are, sign, send, error, status
):
    users_are({"FIND": "provision", **NAMES})
    token, later = sign(given_name="Ada"), sign(30, given_name="Augusta")
    refusals.append(error)
    for _ in range(2):
        assert send(token).status_code == status
        assert not get_user_model().objects.exists()
        assert not Account.objects.exists()
    refusals.clear()
    assert send(token).status_code == 200
    refusals.append(error)
    for _ in range(2):
        assert send(later).status_code == status
    assert get_user_model().objects.get().first_name == "Ada"
    assert not Group.objects.exists()
    refusals.clear()
    assert send(later).status_code == 200
    assert get_user_model().objects.get().first_name == "Augusta"


@pytest.mark.django_db(transaction=True)
def test_what_a_transaction_undoes_is_applied_again(users_are, settings, sign, send, monkeypatch):
    settings.ROOT_URLCONF = HERE
    users_are({"FIND": "provision", **NAMES})
    send(sign(60, given_name="Ada"), "/rights")
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    token = sign(30, given_name="Augusta")
    with pytest.raises(RuntimeError, match="the view fails"):
        send(token, "/fail")
    assert get_user_model().objects.get().first_name == "Ada"
    assert send(token, "/rights").json()["first_name"] == "Augusta"
    assert get_user_model().objects.get().first_name == "Augusta"


def test_an_update_reads_and_writes_the_write_database(add_database, users_are, settings, sign, send):
    for alias in ("primary", "replica"):
        add_database(alias)
    settings.DATABASE_ROUTERS = [Replicated()]
    users_are({"FIND": "provision", **NAMES, **GROUPS})
    people = get_user_model().objects.using("primary")
    Group.objects.using("primary").create(name="Editors")
    send(sign(100, given_name="Ada"))
    connections["replica"].ensure_connection()
    connections["primary"].connection.backup(connections["replica"].connection)
    people.update(first_name="Augusta", last_name="King")  # the replica lags behind
    assert send(sign(60, given_name="Ada", groups=["writers"])).status_code == 200
    user = people.get()
    assert (user.first_name, user.last_name) == ("Ada", "King")
    assert user.groups.using("primary").count() == 1
    assert get_user_model().objects.using("replica").get().first_name == "Ada"
    people.update(is_active=False)
    assert send(sign(30, given_name="Ada")).json()["reason"] == "user_inactive"


def test_a_kept_row_is_of_the_updated_user(groups, users_are, issuer, settings, sign, send, django_assert_num_queries):
    settings.RESOURCE_SERVER = issuer.settings(USERS={"FIND": "lookup", **NAMES}, USER_CACHE_SECONDS=30)
    settings.ROOT_URLCONF = HERE
    get_user_model().objects.create_user("auth0|ada")
    token = sign(given_name="Ada")
    assert send(token, "/rights").json()["first_name"] == "Ada"
    assert send(token, "/rights").json()["first_name"] == "Ada"
    assert len(calls) == 1


def test_each_issuer_has_its_own_way(groups, issuer, settings, sign, send):
    settings.RESOURCE_SERVER = {
        "AUDIENCE": issuer.audience,
        "ISSUERS": [
            {"ISSUER": issuer.issuer, "ALGORITHMS": ["ES256"], "USERS": {"FIND": "provision", **GROUPS}},
            {"ISSUER": "https://other.test/", "USERS": "token"},
        ],
    }
    assert send(sign(groups=["writers"])).status_code == 200
    assert names_of_groups() == ["Editors"]


def test_an_explanation_changes_nothing(groups, users_are, sign, send):
    users_are({"FIND": "provision", **NAMES, **GROUPS})
    send(sign(60, given_name="Ada"))
    explained = explain.explain(sign(30, given_name="Augusta", groups=["writers"]))
    assert {step.outcome for step in explained.steps} == {"ok"}
    assert get_user_model().objects.get().first_name == "Ada"
    assert names_of_groups() == []


def no_row(token):
    return type("Employee", (), {"is_active": True})()


def test_a_user_without_a_row_cannot_be_updated(users_are, sign, send, caplog):
    users_are({"FIND": f"{HERE}.no_row", **NAMES})
    assert send(sign()).json()["reason"] == "settings_invalid"
    assert "not a row of a database" in caplog.text


def as_staff(token):
    return {"is_superuser": token.claims.get("admin") is True}


def test_staff_rights_come_from_the_code_of_the_project_alone(db, users_are, sign, send):
    users_are({"FIND": "provision", "CREATE": f"{HERE}.as_staff"})
    assert send(sign(admin=True)).json()["is_superuser"] is True
    assert send(sign(sub="bob", is_superuser=True)).json()["is_superuser"] is False


def nothing(*_arguments):
    return None


def unknown_field(*_arguments):
    return {"nickname": "Ada"}


@pytest.mark.parametrize("function", ["nothing", "unknown_field"])
@pytest.mark.parametrize("key", ["CREATE", "UPDATE"])
def test_a_function_that_does_not_return_fields_is_an_error_of_the_project(
    db, users_are, sign, send, caplog, key, function
):
    users_are({"FIND": "provision", key: f"{HERE}.{function}"})
    assert send(sign()).json()["reason"] == "settings_invalid"
    assert f"USERS: {key} returned" in caplog.text
    assert not get_user_model().objects.exists()


def the_same_key(user, _token):
    return {"id": str(user.pk), "first_name": "Ada"}


def another_key(user, _token):
    return {"id": user.pk + 1, "first_name": "Ada"}


def test_an_update_may_name_the_primary_key_and_may_not_change_it(db, users_are, sign, send, caplog):
    users_are({"FIND": "provision", "UPDATE": f"{HERE}.the_same_key"})
    assert send(sign()).status_code == 200
    user = get_user_model().objects.get()
    assert user.first_name == "Ada"

    users_are({"FIND": "provision", "UPDATE": f"{HERE}.another_key"})
    get_user_model().objects.update(first_name="")
    answer = send(sign())
    assert (answer.status_code, answer.json()["reason"]) == (503, "settings_invalid")
    assert "USERS: UPDATE returned another value for ['id']" in caplog.text
    assert [(row.pk, row.first_name) for row in get_user_model().objects.all()] == [(user.pk, "")]


def test_the_keys_of_parents_and_generated_fields_are_not_changed_either():
    assert is_key_or_generated(people.Employee, "id")  # of the parent's row
    assert is_key_or_generated(people.Employee, "person_ptr_id")
    assert is_key_or_generated(people.WithGenerated, "full_name")
    assert not is_key_or_generated(people.WithGenerated, "username")
