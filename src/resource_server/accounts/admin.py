"""Accounts in the admin: to be found and to be unlinked; who is who is not typed by hand, but the user of an account can be changed."""

from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import HttpRequest

from resource_server.accounts.models import Account

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Account]
else:
    ModelAdmin = admin.ModelAdmin

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
