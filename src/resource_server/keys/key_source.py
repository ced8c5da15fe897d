"""The source of one issuer's keys: the part of its settings that this package reads. Data only."""

from dataclasses import dataclass
from typing import Final

from resource_server.keys.key_set import KeySet

__all__ = ["STALE_SECONDS", "KeySource"]

STALE_SECONDS: Final = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySource:
    """The keys of `issuer` are those of `key_set`, else those at `jwks_uri`, else those that its metadata name.

    While the issuer fails, keys whose life has ended serve `stale_seconds` longer. `http_on_loopback` admits http
    addresses on this machine, `http_hosts` at the hosts with these names, both for development.
    """

    issuer: str
    jwks_uri: str | None = None
    key_set: KeySet | None = None
    stale_seconds: int = STALE_SECONDS
    http_on_loopback: bool = False
    http_hosts: frozenset[str] = frozenset()
