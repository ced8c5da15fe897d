"""Accounts in the admin: search, delete, change the user; issuer and subject are read-only.

A token of an account acts as the account's user. So only a superuser can link an account to a user who has more rights
than the editor, or change or delete the account of such a user.
"""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from resource_server.accounts.models import Account

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Account]
    ModelForm = forms.ModelForm[Account]
else:
    ModelAdmin = admin.ModelAdmin
    ModelForm = forms.ModelForm

__all__ = ["AccountAdmin"]


@admin.register(Account)
class AccountAdmin(ModelAdmin):
    list_display = ("subject", "issuer", "user", "created_at")
    list_filter = ("issuer",)
    list_select_related = ("user",)
    search_fields = ("subject", "=identity")
    readonly_fields = ("issuer", "subject", "identity", "created_at")
    raw_id_fields = ("user",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Account | None = None) -> bool:
        return super().has_change_permission(request, obj) and not _is_above(obj, request)

    def has_delete_permission(self, request: HttpRequest, obj: Account | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not _is_above(obj, request)

    def get_form(
        self, request: HttpRequest, obj: Account | None = None, change: bool = False, **kwargs: Any
    ) -> type[ModelForm]:
        return _limited(super().get_form(request, obj, change, **kwargs), request)

    # The form of `list_editable`. Django checks no permission on the object there.
    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> type[ModelForm]:
        return _limited(super().get_changelist_form(request, **kwargs), request)


def _limited(form_class: type[ModelForm], request: HttpRequest) -> type[ModelForm]:
    class AccountForm(form_class):  # type: ignore[valid-type, misc] # made by Django for this request
        def clean_user(self) -> Any:
            user = self.cleaned_data["user"]
            if "user" in self.changed_data:
                before = self.instance.user if self.instance.pk is not None else None
                if any(each is not None and _outranks(each, request.user) for each in (user, before)):
                    raise ValidationError(
                        "Only a superuser can link a user who has more rights than you.", code="outranked"
                    )
            return user

    return AccountForm


def _is_above(account: Account | None, request: HttpRequest) -> bool:
    return account is not None and _outranks(account.user, request.user)


def _outranks(user: Any, actor: Any) -> bool:
    """Whether a user has, or may have, rights that the actor lacks."""
    if getattr(actor, "is_superuser", False):
        return False
    if getattr(user, "is_superuser", False) or getattr(user, "is_staff", False):
        return True
    # Django lists no permissions for an inactive user, who regains them when activated.
    if not user.is_active:
        return True
    listed = user.get_all_permissions() if hasattr(user, "get_all_permissions") else set()
    # A backend may grant permissions that it does not list.
    known = Permission.objects.values_list("content_type__app_label", "codename")
    held = {*listed, *(name for name in (f"{app}.{codename}" for app, codename in known) if user.has_perm(name))}
    return not all(actor.has_perm(permission) for permission in held)
