"""Accounts in the admin: no member of staff gets more rights by an account than they have."""

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import path
from tests.verified import token_of

from resource_server.accounts.admin import AccountAdmin
from resource_server.accounts.models import Account
from resource_server.accounts.provision import provision

CHANGELIST = "/admin/resource_server_accounts/account/"

pytestmark = pytest.mark.django_db


class EditableAdmin(AccountAdmin):
    """A project that changes users in the list."""

    list_display_links = ("subject",)
    list_editable = ("user",)


class SelectingAdmin(AccountAdmin):
    """A project that shows a list of users and adds accounts by hand."""

    raw_id_fields = ()
    readonly_fields = ("created_at",)
    fields = ("user",)

    def has_add_permission(self, request):
        return True


def site_with(account_admin):
    site = admin.AdminSite(name=account_admin.__name__)
    site.register(Account, account_admin)
    site.register(get_user_model())
    return site


class Routes:
    """A URLconf."""

    def __init__(self, site):
        self.urlpatterns = [path("admin/", site.urls)]


@pytest.fixture(params=[AccountAdmin, SelectingAdmin], ids=["raw id", "select"])
def urls(request, settings):
    settings.STATIC_URL = "/static/"
    settings.ROOT_URLCONF = Routes(site_with(request.param))


@pytest.fixture
def list_urls(settings):
    settings.STATIC_URL = "/static/"
    settings.ROOT_URLCONF = Routes(site_with(EditableAdmin))


def account_of(subject):
    provision(token_of(subject))
    return Account.objects.get(subject=subject)


def permission(codename):
    return Permission.objects.get(codename=codename)


@pytest.fixture
def keeper():
    """A member of staff with the rights to change and delete accounts, and one more."""
    user = get_user_model().objects.create_user("keeper", is_staff=True)
    user.user_permissions.set(map(permission, ["view_account", "change_account", "delete_account", "add_group"]))
    return user


@pytest.fixture
def client(keeper):
    client = Client()
    client.force_login(keeper)
    return client


def user_with(**fields):
    return get_user_model().objects.create_user("target", **fields)


def superuser():
    return user_with(is_superuser=True)


def inactive_superuser():
    return user_with(is_superuser=True, is_active=False)


def member_of_staff():
    return user_with(is_staff=True)


def with_a_permission():
    user = user_with()
    user.user_permissions.add(permission("delete_user"))
    return user


def with_a_permission_of_a_group():
    user, group = user_with(), Group.objects.create(name="deleters")
    group.permissions.add(permission("delete_user"))
    user.groups.add(group)
    return user


def inactive_with_a_permission():
    user = with_a_permission()
    user.is_active = False
    user.save()
    return user


def with_one_permission_more():
    user = user_with()
    user.user_permissions.set([permission("add_group"), permission("delete_user")])
    return user


ABOVE = [
    superuser,
    inactive_superuser,
    member_of_staff,
    with_a_permission,
    with_a_permission_of_a_group,
    inactive_with_a_permission,
    with_one_permission_more,
]


def no_rights():
    return user_with()


def no_more_rights():
    user = user_with()
    user.user_permissions.add(permission("add_group"))
    return user


@pytest.fixture(params=ABOVE, ids=lambda make: make.__name__)
def above(request):
    return request.param()


@pytest.fixture(params=[no_rights, no_more_rights], ids=lambda make: make.__name__)
def below(request):
    return request.param()


def rows(*accounts):
    """What the form of the list posts."""
    data = {"form-TOTAL_FORMS": len(accounts), "form-INITIAL_FORMS": len(accounts), "_save": "Save"}
    for number, (account, user) in enumerate(accounts):
        data |= {f"form-{number}-id": account.pk, f"form-{number}-user": user.pk}
    return data


def test_staff_cannot_link_an_account_to_a_user_above_them(urls, client, above):
    account = account_of("mallory")
    before = account.user_id
    response = client.post(f"{CHANGELIST}{account.pk}/change/", {"user": above.pk})
    assert response.status_code == 200
    assert "Only a superuser can link" in response.content.decode()
    account.refresh_from_db()
    assert account.user_id == before


def test_staff_can_link_an_account_to_a_user_who_is_not_above_them(urls, client, below):
    account = account_of("ada")
    assert client.post(f"{CHANGELIST}{account.pk}/change/", {"user": below.pk}).status_code == 302
    account.refresh_from_db()
    assert account.user_id == below.pk


def test_staff_cannot_change_or_delete_the_account_of_a_user_above_them(urls, client, keeper, above):
    account = account_of("boss")
    Account.objects.update(user=above)
    other = get_user_model().objects.create_user("other")
    page = client.get(f"{CHANGELIST}{account.pk}/change/")
    assert page.status_code == 200  # to be looked at
    assert 'name="_save"' not in page.content.decode()
    assert client.post(f"{CHANGELIST}{account.pk}/change/", {"user": other.pk}).status_code == 403
    assert client.post(f"{CHANGELIST}{account.pk}/delete/", {"post": "yes"}).status_code == 403
    data = {"action": "delete_selected", "_selected_action": [account.pk], "post": "yes"}
    assert client.post(CHANGELIST, data).status_code == 403
    account.refresh_from_db()
    assert account.user_id == above.pk


def test_the_action_deletes_nothing_if_one_account_is_of_a_user_above(urls, client, above):
    mine, theirs = account_of("ada"), account_of("boss")
    Account.objects.filter(pk=theirs.pk).update(user=above)
    data = {"action": "delete_selected", "_selected_action": [mine.pk, theirs.pk], "post": "yes"}
    assert client.post(CHANGELIST, data).status_code == 403
    assert Account.objects.count() == 2
    assert client.post(CHANGELIST, {**data, "_selected_action": [mine.pk]}).status_code == 302
    assert Account.objects.get() == theirs


def test_staff_can_delete_the_account_of_a_user_who_is_not_above_them(urls, client, below):
    account = account_of("ada")
    Account.objects.update(user=below)
    assert client.post(f"{CHANGELIST}{account.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Account.objects.exists()


def test_staff_cannot_link_their_own_account_to_a_user_above_them(urls, client, keeper, above):
    account = account_of("keeper")
    response = client.post(f"{CHANGELIST}{account.pk}/change/", {"user": above.pk, "initial-user": above.pk})
    assert response.status_code == 200
    assert not Account.objects.filter(user=above).exists()


def test_staff_cannot_link_by_the_list(list_urls, client, above):
    account = account_of("ada")
    response = client.post(CHANGELIST, rows((account, above)))
    assert response.status_code == 200
    assert "Only a superuser can link" in response.content.decode()
    assert Account.objects.get().user_id == account.user_id


def test_staff_cannot_unlink_by_the_list(list_urls, client, above):
    account = account_of("boss")
    Account.objects.update(user=above)
    # Django 5.2 shows the form again; Django 6.1 ignores rows that the caller must not change.
    assert client.post(CHANGELIST, rows((account, account.user))).status_code in {200, 302}
    assert Account.objects.get().user_id == above.pk


def test_staff_can_change_a_row_beside_that_of_a_user_above_them(list_urls, client, above, keeper):
    mine, theirs = account_of("ada"), account_of("boss")
    other = get_user_model().objects.create_user("other")
    Account.objects.filter(pk=theirs.pk).update(user=above)
    assert client.post(CHANGELIST, rows((theirs, above), (mine, other))).status_code == 302
    assert Account.objects.get(pk=mine.pk).user_id == other.pk


def test_an_account_that_a_project_lets_staff_add_is_limited_too(settings, client, keeper, above):
    settings.STATIC_URL = "/static/"
    settings.ROOT_URLCONF = Routes(site_with(SelectingAdmin))
    keeper.user_permissions.add(permission("add_account"))
    response = client.post(f"{CHANGELIST}add/", {"user": above.pk})
    assert response.status_code == 200
    assert not Account.objects.exists()


def test_a_superuser_may_do_all(urls, above):
    root = get_user_model().objects.create_superuser("root")
    client = Client()
    client.force_login(root)
    account = account_of("boss")
    for user in (above, root, above):
        assert client.post(f"{CHANGELIST}{account.pk}/change/", {"user": user.pk}).status_code == 302
        account.refresh_from_db()
        assert account.user_id == user.pk
    assert client.post(f"{CHANGELIST}{account.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Account.objects.exists()


def test_deleting_a_user_above_needs_the_right_to_delete_their_account(urls, client, keeper, above):
    account_of("boss")
    Account.objects.update(user=above)
    keeper.user_permissions.add(permission("view_user"))
    assert client.post(f"/admin/auth/user/{above.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Account.objects.filter(user=above).exists()


@pytest.mark.parametrize("granted", [[], ["view_account"], ["change_account"], ["delete_account"]])
def test_staff_need_the_rights_that_django_asks_for(urls, keeper, granted):
    below = no_rights()
    keeper.user_permissions.set(map(permission, granted))
    client = Client()
    client.force_login(keeper)
    account = account_of("ada")
    changed = client.post(f"{CHANGELIST}{account.pk}/change/", {"user": below.pk}).status_code
    deleted = client.post(f"{CHANGELIST}{account.pk}/delete/", {"post": "yes"}).status_code
    assert (changed, deleted) == (
        302 if "change_account" in granted else 403,
        302 if "delete_account" in granted else 403,
    )


class Rules(BaseBackend):
    """Grants what it does not list."""

    def has_perm(self, user_obj, perm, obj=None):
        return user_obj.username == "target" and perm == "auth.delete_user"


def test_a_right_that_a_backend_grants_without_listing_it_counts(urls, client, settings):
    settings.AUTHENTICATION_BACKENDS = [*settings.AUTHENTICATION_BACKENDS, f"{__name__}.Rules"]
    account = account_of("ada")
    client.post(f"{CHANGELIST}{account.pk}/change/", {"user": user_with().pk})
    account.refresh_from_db()
    assert account.user.username != "target"
