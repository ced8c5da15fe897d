"""System checks of the settings: the errors E001 to E033, and the warnings W002 to W004 and W009.

Importing this module registers them, and with them the checks of views and middleware in `view_checks.py`. Their texts
are in `conf/problems.py`. Nothing is fetched: the result does not depend on whether an issuer is up.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks

import resource_server.view_checks  # noqa: F401 - registers by being imported
from resource_server.conf.problems import problem
from resource_server.conf.project import claim_problems, form_problems
from resource_server.server import configure

__all__ = [
    "check_claim_paths",
    "check_issuer_form",
    "check_lookup_of_several_issuers",
    "check_settings",
    "check_shared_cache",
]


@checks.register()
def check_settings(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """E001 to E033: RESOURCE_SERVER, each problem by itself."""
    _server, problems = configure()
    return [each.check_message() for each in problems]


@checks.register()
def check_issuer_form(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """W002: an issuer without the form of its provider, such as an Auth0 tenant without its slash. No token names it."""
    server, _problems = configure()
    return [each.check_message() for each in form_problems(settings.RESOURCE_SERVER)] if server is not None else []


@checks.register()
def check_claim_paths(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """W009: a claim name that looks like a path. It is taken whole, so it finds nothing in nested claims."""
    server, _problems = configure()
    return [each.check_message() for each in claim_problems(settings.RESOURCE_SERVER)] if server is not None else []


@checks.register()
def check_shared_cache(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """W003: CACHE names a cache that each process has for itself, so nothing is shared through it."""
    resource_server = getattr(settings, "RESOURCE_SERVER", None)
    alias = resource_server.get("CACHE") if isinstance(resource_server, Mapping) else None
    cache = settings.CACHES.get(alias) if isinstance(alias, str) else None
    backend = str(cache.get("BACKEND", "")) if cache is not None else ""
    if not backend.endswith((".LocMemCache", ".DummyCache")):
        return []
    return [problem("W003", alias=alias, backend=backend.rpartition(".")[2]).check_message()]


@checks.register()
def check_lookup_of_several_issuers(
    app_configs: Sequence[AppConfig] | None = None, **_: Any
) -> list[checks.CheckMessage]:
    """W004: more than one issuer finds users by `sub` alone, so each can name the users of the others."""
    resource_server = getattr(settings, "RESOURCE_SERVER", None)
    issuers = resource_server.get("ISSUERS") if isinstance(resource_server, Mapping) else None
    common = resource_server.get("USERS") if isinstance(resource_server, Mapping) else None
    entries = issuers if isinstance(issuers, list | tuple) else ()
    by_lookup = [entry for entry in entries if isinstance(entry, Mapping) and entry.get("USERS", common) == "lookup"]
    if len(by_lookup) < 2 and not (isinstance(issuers, str) and common == "lookup"):
        return []
    return [problem("W004").check_message()]
