"""`USERS` as a dict: what the checks say about it, and the field that holds the subject."""

import pytest
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.test import Client

from resource_server.conf import project as conf

HERE = __name__
GOOD = {"ISSUER": "https://issuer.test/", "AUDIENCE": "https://api.test/"}


def function(*_arguments):
    return {}


def generator(*_arguments):
    yield {}


FUNCTION = f"{HERE}.function"

# {sentence: (USERS, id, a piece of the message, a piece of the hint)}
PROBLEMS = {
    "no FIND": ({}, "E014", "USERS: FIND is not token, lookup", "docs/settings.md"),
    "an unknown FIND": ({"FIND": "magic"}, "E014", "USERS: FIND", ""),
    "FIND in a list": ({"FIND": ["lookup"]}, "E014", "USERS: FIND", ""),
    "an unknown key": ({"FIND": "lookup", "FEILD": "x"}, "E002", "USERS: 'FEILD'", "Did you mean FIELD?"),
    "a key that is not text": ({"FIND": "lookup", 1: "x"}, "E002", "USERS: 1 is not", "The keys are"),
    "CREATE without provision": ({"FIND": "lookup", "CREATE": FUNCTION}, "E035", "CREATE needs FIND provision", ""),
    "UPDATE of no row": ({"FIND": "token", "UPDATE": FUNCTION}, "E035", "UPDATE needs users in a database", ""),
    "GROUPS of no row": ({"FIND": "token", "GROUPS": {"a": "A"}}, "E035", "GROUPS needs users in a database", ""),
    "FIELD for a function": ({"FIND": FUNCTION, "FIELD": "username"}, "E035", "FIELD needs FIND lookup or", ""),
    "a claim for nothing": ({"FIND": "lookup", "GROUPS_CLAIM": "roles"}, "E035", "GROUPS_CLAIM needs GROUPS", ""),
    "GROUPS in a list": ({"FIND": "lookup", "GROUPS": ["a"]}, "E035", "GROUPS is not a dict", '"editors"'),
    "no GROUPS": ({"FIND": "lookup", "GROUPS": {}}, "E035", "GROUPS is not a dict", ""),
    "a group that is a number": ({"FIND": "lookup", "GROUPS": {"a": 1}}, "E035", "GROUPS is not a dict", ""),
    "a permission without app": ({"FIND": "lookup", "PERMISSIONS": {"a": "add_post"}}, "E035", "without its app", ""),
    "a claim that is a broken pointer": (
        {"FIND": "lookup", "GROUPS": {"a": "A"}, "GROUPS_CLAIM": "/a~b"}, "E035", "GROUPS_CLAIM does not name", "/realm_",
    ),
    "a claim that is a number": (
        {"FIND": "lookup", "GROUPS": {"a": "A"}, "GROUPS_CLAIM": 7}, "E035", "GROUPS_CLAIM does not name", "",
    ),
    "UPDATE that is no path": ({"FIND": "lookup", "UPDATE": "update"}, "E035", "UPDATE is not a dotted path", ""),
    "UPDATE that is nowhere": ({"FIND": "lookup", "UPDATE": "no.such"}, "E016", "USERS: UPDATE is a dotted", "NotFound"),
    "CREATE that is a class": ({"FIND": "provision", "CREATE": "decimal.Decimal"}, "E016", "USERS: CREATE is a", ""),
    "CREATE that yields": ({"FIND": "provision", "CREATE": f"{HERE}.generator"}, "E029", "CREATE is a dotted path", ""),
    "UPDATE that yields": ({"FIND": "lookup", "UPDATE": f"{HERE}.generator"}, "E029", "UPDATE is a dotted path", ""),
    "a field that the model lacks": ({"FIND": "lookup", "FIELD": "external_id"}, "E034", "not a field of User", ""),
    "a field of another row": ({"FIND": "lookup", "FIELD": "groups__name"}, "E034", "not a field of User", ""),
    "a field that is a number": ({"FIND": "lookup", "FIELD": 7}, "E034", "not a field of User", ""),
    "an address": ({"FIND": "lookup", "FIELD": "email"}, "E034", "holds an e-mail address", "another person"),
    "a field that is not unique": ({"FIND": "lookup", "FIELD": "last_name"}, "E034", "is not unique", "external_id"),
    "an address for new users": ({"FIND": "provision", "FIELD": "email"}, "E034", "holds an e-mail address", ""),
}  # fmt: skip


def server_checks():
    return [message for message in run_checks() if message.id.startswith("resource_server.")]


@pytest.mark.parametrize(("users", "id_", "message", "hint"), PROBLEMS.values(), ids=PROBLEMS)
def test_each_fault_is_an_error_with_a_hint(settings, users, id_, message, hint):
    settings.RESOURCE_SERVER = {**GOOD, "USERS": users}
    [check] = server_checks()
    assert check.id == f"resource_server.{id_}"
    assert check.is_serious()
    assert message in check.msg
    assert hint in check.hint


@pytest.mark.parametrize("users", [case[0] for case in PROBLEMS.values()], ids=PROBLEMS)
def test_the_same_fault_of_one_of_several_issuers_is_found(settings, users):
    settings.RESOURCE_SERVER = {"AUDIENCE": "x", "ISSUERS": [{**GOOD}, {"ISSUER": "https://b.test/", "USERS": users}]}
    [of_an_entry] = [check.id for check in server_checks() if check.is_serious()]
    settings.RESOURCE_SERVER = {"AUDIENCE": "x", "USERS": users, "ISSUERS": "tests.test_checks.nobody"}
    [of_all] = [check.id for check in server_checks() if check.is_serious()]
    assert of_an_entry == of_all


ACCEPTED = {
    "a word": "lookup",
    "the word in a dict": {"FIND": "lookup"},
    "a function in a dict": {"FIND": FUNCTION, "UPDATE": FUNCTION},
    "None is absent": {"FIND": "token", "FIELD": None, "GROUPS": None, "CREATE": None},
    "everything": {
        "FIND": "provision", "FIELD": "username", "CREATE": FUNCTION, "UPDATE": FUNCTION, "GROUPS": {"a": "A"},
        "GROUPS_CLAIM": "/realm_access/roles", "PERMISSIONS": {"a b": "auth.view_user"}, "PERMISSIONS_CLAIM": "https://x/y",
    },
}  # fmt: skip


@pytest.mark.parametrize("users", ACCEPTED.values(), ids=ACCEPTED)
def test_what_is_right_is_accepted(settings, users):
    settings.RESOURCE_SERVER = {**GOOD, "USERS": users}
    assert server_checks() == []


def test_equal_dicts_are_one_source_of_users():
    config, _problems = conf.parse(
        {"AUDIENCE": "x", "USERS": {"FIND": "lookup", "GROUPS": {"a": "A"}}, "ISSUERS": [
            {"ISSUER": "https://a.test/"}, {"ISSUER": "https://b.test/", "USERS": {"GROUPS": {"a": "A"}, "FIND": "lookup"}},
        ]},
        debug=False,
    )  # fmt: skip
    first, second = (policy.users for policy in config.policies)
    assert first == second
    assert hash(first) == hash(second)


def lookups(*fields):
    return [{"ISSUER": f"https://{i}.test/", "USERS": {"FIND": "lookup", "FIELD": f}} for i, f in enumerate(fields)]


@pytest.mark.parametrize(
    ("fields", "warned"), [(("username", "username"), True), (("username", "id"), False), ((None, "username"), True)]
)
def test_two_issuers_that_look_up_one_field_are_warned_of(settings, fields, warned):
    settings.RESOURCE_SERVER = {"AUDIENCE": "x", "ISSUERS": lookups(*fields)}
    assert [message.id for message in server_checks()] == ["resource_server.W004"] * warned


@pytest.mark.parametrize(("field", "warned"), [("username", True), ("id", False), (None, False)])
def test_an_issuer_that_looks_up_what_another_fills_is_warned_of(settings, field, warned):
    # The first person of the one would become the person of the same name of the other.
    made = {"FIND": "provision"} if field is None else {"FIND": "provision", "FIELD": field}
    issuers = [{"ISSUER": "https://0.test/", "USERS": "lookup"}, {"ISSUER": "https://1.test/", "USERS": made}]
    settings.RESOURCE_SERVER = {"AUDIENCE": "x", "ISSUERS": issuers}
    assert ("resource_server.W004" in [message.id for message in server_checks()]) is warned


@pytest.mark.parametrize("subject", ["007", "7 ", "x", "7" * 60, "\N{ARABIC-INDIC DIGIT SEVEN}"])
def test_lookup_by_a_field_compares_exactly(db, users_are, call, subject):
    users_are({"FIND": "lookup", "FIELD": "id"})
    ada = get_user_model().objects.create_user("ada", pk=7)
    assert call(sub="7").json()["pk"] == ada.pk
    assert call(sub=subject).json()["reason"] == "user_unknown"


def test_provision_with_a_field_stores_the_subject_there(db, users_are, call):
    users_are({"FIND": "provision", "FIELD": "username"})
    assert call(sub="auth0|ada").json()["name"] == "auth0|ada"
    get_user_model().objects.create_user("auth0|bob")
    # The name is taken, which links nothing: identity is (issuer, subject).
    assert call(sub="auth0|bob").json()["reason"] == "user_not_storable"


def test_a_dict_for_one_issuer_works_through_a_view(db, users_are, issuer):
    users_are({"FIND": "lookup", "FIELD": "username"})
    ada = get_user_model().objects.create_user("auth0|ada")
    headers = {"Authorization": f"Bearer {issuer.token(scope='read')}"}
    assert Client().get("/rest", headers=headers).json()["pk"] == ada.pk
