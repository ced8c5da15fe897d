"""System checks of the settings: the errors E001 to E053, and the warnings W002 to W004 and W009 to W015.

Importing this module registers them, and with them the checks of views and middleware in `view_checks.py`. Their texts
are in `conf/problems.py`. Nothing is fetched: the result does not depend on whether an issuer is up.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.urls import resolve

import resource_server.view_checks  # noqa: F401 - registers by being imported
from resource_server.conf.problems import problem
from resource_server.conf.project import claim_problems, form_problems
from resource_server.conf.reading import Reading
from resource_server.conf.revocation import unfit_cache
from resource_server.conf.users import users_of
from resource_server.protected_resource import WELL_KNOWN
from resource_server.server import configure
from resource_server.tokens.user_source import UserSource
from resource_server.users.unfilled_fields import unfilled_fields

__all__ = [
    "check_claim_paths",
    "check_issuer_form",
    "check_lookup_of_several_issuers",
    "check_metadata_are_served",
    "check_proof_cache",
    "check_provisioned_fields",
    "check_revocation",
    "check_settings",
    "check_shared_cache",
]


@checks.register()
def check_settings(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """E001 to E053: RESOURCE_SERVER, each problem by itself."""
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
    # With DPOP, W015 says it, and CACHE cannot be left out.
    if not backend.endswith((".LocMemCache", ".DummyCache")) or _uses_dpop(resource_server or {}):
        return []
    return [problem("W003", alias=alias, backend=backend.rpartition(".")[2]).check_message()]


@checks.register()
def check_proof_cache(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """W015: DPOP is on, and CACHE does not keep each used proof for all processes, so that a proof can be used twice."""
    resource_server = getattr(settings, "RESOURCE_SERVER", None)
    if not isinstance(resource_server, Mapping) or not _uses_dpop(resource_server):
        return []
    alias = resource_server.get("CACHE")
    cache = settings.CACHES.get(alias) if isinstance(alias, str) else None
    backend = str(cache.get("BACKEND", "")).rpartition(".")[2] if cache is not None else ""
    fault = _UNFIT_FOR_PROOFS.get(backend)
    return [] if fault is None else [problem("W015", alias=alias, backend=backend, fault=fault).check_message()]


# The name of a backend -> the reason why a proof can be used twice.
_UNFIT_FOR_PROOFS = {
    "LocMemCache": "which each process has for itself",
    "DummyCache": "which keeps nothing",
    "FileBasedCache": "whose add is not atomic",
    "DatabaseCache": "which drops entries beyond MAX_ENTRIES, or with a request that fails",
}


def _uses_dpop(resource_server: Mapping[Any, Any]) -> bool:
    issuers = resource_server.get("ISSUERS")
    entries = issuers if isinstance(issuers, list | tuple) else ()
    values = [each.get("DPOP") for each in (resource_server, *entries) if isinstance(each, Mapping)]
    return "allowed" in values or "required" in values


@checks.register()
def check_lookup_of_several_issuers(
    app_configs: Sequence[AppConfig] | None = None, **_: Any
) -> list[checks.CheckMessage]:
    """W004: more than one issuer finds users by `sub` alone, so each can name the users of the others."""
    resource_server = getattr(settings, "RESOURCE_SERVER", None)
    issuers = resource_server.get("ISSUERS") if isinstance(resource_server, Mapping) else None
    common = resource_server.get("USERS") if isinstance(resource_server, Mapping) else None
    entries = issuers if isinstance(issuers, list | tuple) else ()
    sources = [_source(entry.get("USERS", common)) for entry in entries if isinstance(entry, Mapping)]
    if all(source.find == "token" for source in (*sources, _source(common))):
        return []  # so no user model is needed
    # Two issuers may find users in two fields. The users that one of them makes have its subjects in FIELD alone.
    username = get_user_model().USERNAME_FIELD
    looked_up = [source.field or username for source in sources if source.find == "lookup"]
    made = [source.field for source in sources if source.find == "provision" and source.field is not None]
    is_shared = len(set(looked_up)) < len(looked_up) or not set(looked_up).isdisjoint(made)
    if not is_shared and not (isinstance(issuers, str) and _source(common).find == "lookup"):
        return []
    return [problem("W004").check_message()]


@checks.register()
def check_provisioned_fields(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """W010: USERS is provision, and the user model has a required or unique field that nothing fills."""
    server, _problems = configure()
    if server is None:
        return []
    filled_fields = [source.field for source in server.finders if source.find == "provision" and source.create is None]
    unfilled = sorted({name for field in filled_fields for name in unfilled_fields(get_user_model(), field)})
    if not unfilled:
        return []
    model = get_user_model()._meta.label
    return [problem("W010", model=model, fields=", ".join(unfilled)).check_message()]


@checks.register()
def check_metadata_are_served(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """W011, W012: PUBLIC_ORIGIN without a resource to publish, or without the URL patterns that publish it."""
    server, _problems = configure()
    if server is None or not settings.RESOURCE_SERVER.get("PUBLIC_ORIGIN"):
        return []
    resources = server.answers.resources
    if not resources:
        return [problem("W011").check_message()]
    unserved = [each.metadata_url for each in resources if not _is_served(WELL_KNOWN + each.path)]
    return [problem("W012", url=url).check_message() for url in unserved]


def _is_served(path: str) -> bool:
    # The URLconf of a project may raise anything, which Django itself reports.
    with suppress(Exception):
        return getattr(resolve(path).func, "__module__", "") == "resource_server.views"
    return False


def _source(users: object) -> UserSource:
    return UserSource() if users is None else users_of(Reading(settings={"USERS": users}))


@checks.register()
def check_revocation(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """W013, W014: a deny list in a cache that loses it, and logout tokens without a deny list."""
    server, _problems = configure()
    if server is None:
        return []
    alias = settings.RESOURCE_SERVER.get("REVOCATION")
    if alias is None:
        expects_logout = any(issuer.policy.logout_audience for issuer in server.verifier.issuers)
        return [problem("W014").check_message()] if expects_logout else []
    backend = str(settings.CACHES[alias].get("BACKEND", ""))
    fault = unfit_cache(settings.CACHES[alias])
    if fault is None:
        return []
    return [problem("W013", alias=alias, backend=backend.rpartition(".")[2], fault=fault).check_message()]
