"""The settings of the deny list: REVOCATION, REVOCATION_FAILS and MAX_TOKEN_SECONDS."""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Final

from resource_server.conf.reading import Reading, default_of
from resource_server.tokens.revocations import MAX_TOKEN_SECONDS

__all__ = ["REVOCATION_KEYS", "RevocationSettings", "revocation_settings", "unfit_cache"]

REVOCATION_KEYS: Final = ("REVOCATION", "REVOCATION_FAILS", "MAX_TOKEN_SECONDS")
_LONGEST_TOKEN_SECONDS = 366 * 24 * 3600
_FAILS = ("closed", "open")
# Backends of Django that do not keep a deny list for all processes.
_FAULTS: Final = {
    "LocMemCache": "through which processes share nothing",
    "DummyCache": "which keeps nothing",
    "FileBasedCache": "which drops entries when it is full",
    "DatabaseCache": "which drops entries when it is full",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationSettings:
    """`cache` is the alias of the cache, `fails_open` whether tokens pass without it, `max_token_seconds` the longest life of a token."""

    cache: str
    fails_open: bool = False
    max_token_seconds: int = MAX_TOKEN_SECONDS


def revocation_settings(reading: Reading, caches: Container[str] | None) -> RevocationSettings | None:
    """The settings of the deny list, None without one. Reports E045 to E047. `caches` are the aliases in CACHES."""
    alias, fails = reading.settings.get("REVOCATION"), reading.settings.get("REVOCATION_FAILS", "closed")
    default = default_of(RevocationSettings, "max_token_seconds")
    seconds = reading.settings.get("MAX_TOKEN_SECONDS", default)
    if alias is not None and (not isinstance(alias, str) or (caches is not None and alias not in caches)):
        reading.report("E045")
    if fails not in _FAILS:
        reading.report("E046")
    # Python counts with True, so the type is compared.
    if type(seconds) is not int or not 1 <= seconds <= _LONGEST_TOKEN_SECONDS:
        reading.report("E047", most=_LONGEST_TOKEN_SECONDS, default=default)
    if alias is None:
        return None
    return RevocationSettings(cache=str(alias), fails_open=fails == "open", max_token_seconds=seconds)


def unfit_cache(cache: Mapping[str, Any]) -> str | None:
    """Why a cache with this entry in CACHES loses revocations, None if it is fit for them."""
    module, _, name = str(cache.get("BACKEND", "")).rpartition(".")
    if not module.startswith("django.core.cache."):
        return None
    location = cache.get("LOCATION")
    servers = re.split("[;,]", location) if isinstance(location, str) else location
    if name == "RedisCache" and isinstance(servers, list | tuple) and len(servers) > 1:
        return "which reads from replicas, and they may not have a revocation yet"
    return _FAULTS.get(name)
