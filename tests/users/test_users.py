"""How a token becomes `request.user`, under each setting of USERS."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client, RequestFactory

from resource_server import TokenUser, authentication, signals
from resource_server.accounts.models import Account
from resource_server.errors import InvalidToken
from resource_server.testing import FakeIssuer
from resource_server.tokens.flow import run

pytestmark = pytest.mark.django_db

MACHINES = {
    "RFC 9068: the subject is the client": {"sub": "robot", "client_id": "robot"},
    "Auth0 by subject": {"sub": "robot@clients", "client_id": None, "azp": "robot"},
    "Auth0 by grant": {"sub": "x", "gty": "client-credentials"},
    "Entra ID": {"sub": "x", "idtyp": "app"},
    "Keycloak": {"sub": "0b1c", "azp": "Robot", "client_id": None, "preferred_username": "service-account-robot"},
    "Okta": {"sub": "0oa1", "cid": "0oa1", "client_id": None},
}


def chosen(token):
    return User.objects.filter(first_name=token.subject).first()


@pytest.fixture
def issuer():
    issuer = FakeIssuer()
    with issuer.serving():
        yield issuer


@pytest.fixture
def user_of(issuer, settings):
    def find(users, **claims):
        settings.RESOURCE_SERVER = issuer.settings(USERS=users)
        request = RequestFactory().get("/", headers={"Authorization": f"Bearer {issuer.token(**claims)}"})
        user, token = run(authentication.authenticate(request))
        assert token.subject == claims.get("sub", "auth0|ada")
        return user

    return find


def reason_of(call):
    with pytest.raises(InvalidToken) as refused:
        call()
    return refused.value.reason


@pytest.mark.parametrize("claims", MACHINES.values(), ids=MACHINES)
@pytest.mark.parametrize("users", ["token", "lookup", "provision", "tests.users.test_users.chosen"])
def test_a_machine_is_never_a_person(user_of, users, claims):
    User.objects.create_user(claims["sub"], first_name=claims["sub"])

    assert isinstance(user_of(users, **claims), TokenUser)
    assert User.objects.count() == 1


@pytest.mark.parametrize("subject", ["auth0|ada", "ada@example.com", "a" * 255, "ä|ö"])
@pytest.mark.parametrize("users", ["token", "provision"])
def test_any_subject_has_a_user(user_of, users, subject):
    assert user_of(users, sub=subject) == user_of(users, sub=subject)


@pytest.mark.parametrize("users", ["token", "provision"])
def test_names_that_look_alike_stay_two_people(user_of, users):
    subjects = ["auth0|ada", "auth0.ada", "auth0|Ada", "auth0|ada ", "auth0|adа"]  # noqa: RUF001 - a Cyrillic letter

    assert len({user_of(users, sub=subject) for subject in subjects}) == len(subjects)


@pytest.mark.parametrize("users", ["token", "lookup", "provision"])
def test_rights_never_come_from_a_token(user_of, users):
    if users == "lookup":
        User.objects.create_user("auth0|ada")
    user = user_of(
        users, is_staff=True, is_superuser=True, is_active=False, groups=["admin"], permissions=["auth.add_user"]
    )

    assert (user.is_staff, user.is_superuser, user.is_active) == (False, False, True)
    assert not user.has_perm("auth.add_user")


def test_lookup_finds_the_user_whose_name_is_the_subject(user_of):
    ada = User.objects.create_user("auth0|ada")
    User.objects.create_user("auth0.ada")

    assert user_of("lookup") == ada


@pytest.mark.parametrize("subject", ["auth0|ADA", "auth0.ada", "nobody", "a" * 255])
def test_lookup_of_a_stranger_says_so(user_of, subject):
    User.objects.create_user("auth0|ada")

    assert reason_of(lambda: user_of("lookup", sub=subject)) == "user_unknown"


@pytest.mark.parametrize("users", ["lookup", "provision", "tests.users.test_users.chosen"])
def test_an_inactive_user_is_refused_at_once(user_of, users):
    User.objects.create_user("auth0|ada", first_name="auth0|ada")
    user = user_of(users)
    get_user_model().objects.filter(pk=user.pk).update(is_active=False)

    assert reason_of(lambda: user_of(users)) == "user_inactive"


def test_a_function_of_the_project_decides(user_of):
    ada = User.objects.create_user("anything", first_name="auth0|ada")

    assert user_of("tests.users.test_users.chosen") == ada
    assert reason_of(lambda: user_of("tests.users.test_users.chosen", sub="other")) == "user_unknown"


def test_provision_makes_a_user_that_cannot_sign_in(user_of):
    made = []

    def receiver(sender, *, user, token, **_):
        made.append((user.pk, token.subject))

    signals.user_provisioned.connect(receiver)
    try:
        user = user_of("provision")
        assert user_of("provision") == user
    finally:
        signals.user_provisioned.disconnect(receiver)

    assert made == [(user.pk, "auth0|ada")]
    assert not user.has_usable_password()
    account = Account.objects.get()
    assert (account.issuer, account.subject, account.user) == ("https://issuer.test/", "auth0|ada", user)


def test_provision_takes_over_nobody(user_of):
    root = User.objects.create_superuser("root", email="ada@example.com")

    user = user_of("provision", sub="root", email="ada@example.com", preferred_username="root")
    assert user != root
    assert not user.is_superuser


def test_a_person_who_is_known_costs_one_query(user_of, django_assert_num_queries):
    user_of("provision")
    User.objects.create_user("auth0|ada")
    user_of("lookup")

    for users in ("provision", "lookup"):
        with django_assert_num_queries(1):
            user_of(users)
    with django_assert_num_queries(0):
        user_of("token")


def test_the_same_subject_of_two_issuers_is_two_people(settings):
    keys = set()
    for address in ("https://one.test/", "https://two.test/"):
        issuer = FakeIssuer(address)
        settings.RESOURCE_SERVER = issuer.settings(USERS="provision")
        with issuer.serving():
            request = RequestFactory().get("/", headers={"Authorization": f"Bearer {issuer.token()}"})
            keys.add(run(authentication.authenticate(request))[0].pk)

    assert len(keys) == 2


def test_the_admin_shows_accounts(user_of, admin_client: Client):
    user_of("provision", sub="auth0|grace")
    account = Account.objects.get()
    base = "/admin/resource_server_accounts/account/"

    assert "auth0|grace" in admin_client.get(base, {"q": "grace"}).text
    assert "auth0|grace" not in admin_client.get(base, {"q": "nobody"}).text
    assert "https://issuer.test/" in admin_client.get(f"{base}{account.pk}/change/").text
    assert admin_client.get(f"{base}add/").status_code == 403


def test_the_migration_is_that_of_the_model():
    call_command("makemigrations", "--check", "--dry-run", "resource_server_accounts", verbosity=0)


def test_a_token_user_has_what_django_asks_of_a_user(user_of):
    user, same, other = user_of("token"), user_of("token"), user_of("token", sub="b")

    assert (user.is_authenticated, user.is_anonymous) == (True, False)
    assert user == same
    assert hash(user) == hash(same)
    assert user != other
    assert user.pk == user.id != other.pk
    assert (str(user), user.get_username()) == ("auth0|ada", "auth0|ada")
    assert not user.has_perms(["auth.add_user"])
    assert not user.has_module_perms("auth")
    assert user.get_all_permissions() == user.get_user_permissions() == user.get_group_permissions() == set()
    assert list(user.groups.all()) == list(user.user_permissions.all()) == []
    for method in (user.save, user.delete):
        with pytest.raises(NotImplementedError):
            method()
