"""The Django app: registers the system checks, and the description of the API if drf-spectacular is installed."""

from importlib import import_module

from django.apps import AppConfig, apps

__all__ = ["ResourceServerConfig"]


class ResourceServerConfig(AppConfig):
    name = "resource_server"
    verbose_name = "OAuth 2.0 resource server"

    def ready(self) -> None:
        import_module("resource_server.checks")
        if apps.is_installed("drf_spectacular"):
            import_module("resource_server.spectacular")
