"""The key set that a process trusts of one issuer, and its differences from the one before."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from resource_server.keys.discovery import Found
from resource_server.keys.events import Kids
from resource_server.keys.key_set import KeySet

__all__ = ["TrustedSet", "kids_lacking", "trusted_set"]

# A key by its `kid` and thumbprint.
KeyName: TypeAlias = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedSet:
    """The result of one successful refresh: the keys, their metadata (None if not asked for) and its times, by the monotonic clock.

    `since` says when this process first had each key. `is_shared` means that another process has fetched the set,
    `metadata_is_public` that an address in the metadata must not be one of this machine.
    """

    keys: KeySet
    metadata: Mapping[str, Any] | None
    fetched_at: float
    life_seconds: float
    since: Mapping[KeyName, float]
    is_shared: bool = False
    metadata_is_public: bool = True

    @property
    def current_until(self) -> float:
        """When the life of the set ends; after that it serves while the issuer fails."""
        return self.fetched_at + self.life_seconds


def trusted_set(found: Found, before: Mapping[KeyName, float], now: float) -> TrustedSet:
    """Return the set that was found at `now`. `before` is the `since` of the set that it replaces."""
    fetched_at = now - found.held_seconds
    names = [(key.kid, key.thumbprint) for key in found.keys.keys]
    return TrustedSet(
        keys=found.keys,
        metadata=found.metadata,
        fetched_at=fetched_at,
        life_seconds=found.life_seconds,
        since={name: before.get(name, fetched_at) for name in names},
        is_shared=found.held_seconds > 0,
        metadata_is_public=found.metadata_is_public,
    )


def kids_lacking(names: Mapping[KeyName, float], *, of: Mapping[KeyName, float]) -> Kids:
    """Return the kids of the keys in `of` that `names` lacks."""
    return tuple(name[0] for name in of if name not in names)
