"""The app of the accounts: its admin pages, and its migration."""

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from tests.verified import token_of

from resource_server.accounts.models import Account
from resource_server.accounts.provision import provision

CHANGELIST = "/admin/resource_server_accounts/account/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(db):
    for subject in ("auth0|ada", "auth0|bob"):
        provision(token_of(subject))
    return Account.objects.get(subject="auth0|ada")


@pytest.fixture
def admin(settings):
    # The models' own project may have no static files; the pages must load all the same.
    settings.STATIC_URL = "/static/"
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root"))
    return client


def test_changelist_shows_who_is_who(account, admin):
    page = admin.get(CHANGELIST).content.decode()
    assert "auth0|ada" in page
    assert "auth0|bob" in page
    assert "https://issuer.test/" in page


@pytest.mark.parametrize("term", ["ada", "identity"])
def test_search_finds_by_subject_and_by_identity(account, admin, term):
    page = admin.get(CHANGELIST, {"q": account.identity if term == "identity" else term}).content.decode()
    assert "auth0|ada" in page
    assert "auth0|bob" not in page


def test_change_page_does_not_let_identity_be_typed(account, admin):
    response = admin.get(f"{CHANGELIST}{account.pk}/change/")
    assert response.status_code == 200
    assert list(response.context["adminform"].form.fields) == ["user"]
    assert account.identity in response.content.decode()


def test_no_account_is_added_by_hand(admin):
    assert admin.get(f"{CHANGELIST}add/").status_code == 403


def test_the_migration_says_what_the_models_say():
    call_command("makemigrations", "resource_server_accounts", check=True, dry_run=True, verbosity=0)


def test_an_account_says_who_it_is(account):
    assert str(account) == "auth0|ada at https://issuer.test/"
