"""System checks of the settings: what is wrong (E001 to E030), and what will surprise (W002 to W004).

Importing this module registers them, and with them the checks of views and middleware in `view_checks.py`.
Nothing is fetched: `manage.py check` says the same with the issuer down.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks

import resource_server.view_checks  # noqa: F401 - registers by being imported
from resource_server.server import configure

__all__ = [
    "check_auth0_slash",
    "check_lookup_of_several_issuers",
    "check_settings",
    "check_shared_cache",
]


@checks.register()
def check_settings(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """E001 to E030: RESOURCE_SERVER, each problem by itself."""
    _server, problems = configure()
    return [
        checks.Error(problem.message, hint=problem.hint, id=f"resource_server.{problem.id}") for problem in problems
    ]


@checks.register()
def check_auth0_slash(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """W002: an Auth0 tenant without the slash that ends its issuer, so that no token of it would pass."""
    server, _problems = configure()
    issuers = [issuer.policy.issuer for issuer in server.verifier.issuers] if server is not None else []
    return [
        checks.Warning(
            f"RESOURCE_SERVER: ISSUER {issuer} is an Auth0 tenant without the slash at the end that its tokens have.",
            hint=f"Write {issuer}/ instead, or use resource_server.auth0_issuer().",
            id="resource_server.W002",
        )
        for issuer in issuers
        if issuer.endswith(".auth0.com")
    ]


@checks.register()
def check_shared_cache(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """W003: CACHE names a cache that each process has for itself, so nothing is shared through it."""
    resource_server = getattr(settings, "RESOURCE_SERVER", None)
    alias = resource_server.get("CACHE") if isinstance(resource_server, Mapping) else None
    cache = settings.CACHES.get(alias) if isinstance(alias, str) else None
    backend = str(cache.get("BACKEND", "")) if cache is not None else ""
    if not backend.endswith((".LocMemCache", ".DummyCache")):
        return []
    return [
        checks.Warning(
            f"RESOURCE_SERVER: CACHE {alias} is a {backend.rpartition('.')[2]}, through which processes share nothing.",
            hint="Name a cache that all processes use, such as Redis, or leave CACHE out.",
            id="resource_server.W003",
        )
    ]


@checks.register()
def check_lookup_of_several_issuers(
    app_configs: Sequence[AppConfig] | None = None, **_: Any
) -> list[checks.CheckMessage]:
    """W004: more than one issuer finds users by `sub` alone, so that each can name the users of the others."""
    resource_server = getattr(settings, "RESOURCE_SERVER", None)
    issuers = resource_server.get("ISSUERS") if isinstance(resource_server, Mapping) else None
    common = resource_server.get("USERS") if isinstance(resource_server, Mapping) else None
    entries = issuers if isinstance(issuers, list | tuple) else ()
    by_lookup = [entry for entry in entries if isinstance(entry, Mapping) and entry.get("USERS", common) == "lookup"]
    if len(by_lookup) < 2 and not (isinstance(issuers, str) and common == "lookup"):
        return []
    return [
        checks.Warning(
            "RESOURCE_SERVER: USERS is lookup for more than one of ISSUERS: a user is found by sub alone, "
            "so each of these issuers can name the users of the others.",
            hint="Use provision, which tells people apart by issuer and subject, or a function of your own.",
            id="resource_server.W004",
        )
    ]
