"""The Django app of the accounts."""

from django.apps import AppConfig

__all__ = ["AccountsConfig"]


class AccountsConfig(AppConfig):
    name = "resource_server.accounts"
    label = "resource_server_accounts"
    verbose_name = "Access token accounts"
    default_auto_field = "django.db.models.BigAutoField"
