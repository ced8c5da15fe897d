"""A claim's values -> groups or permissions of a user, by a map of the project."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.db.models import Model

from resource_server.tokens.access_token import AccessToken
from resource_server.tokens.claim_paths import claim_reader, outermost
from resource_server.tokens.user_source import NameMap

__all__ = ["MappedRights"]

logger = logging.getLogger("resource_server")

_RELATIONS: Final = {"GROUPS": "groups", "PERMISSIONS": "user_permissions"}

# Where ModelBackend keeps the permissions of a user: UPDATE, or the project before us, may have asked for them.
_PERMISSION_CACHES: Final = ("_perm_cache", "_user_perm_cache", "_group_perm_cache")


class MappedRights:
    """The groups or the permissions that one map names. `key` is GROUPS or PERMISSIONS."""

    def __init__(self, key: str, names: NameMap) -> None:
        self._key = key
        self.relation = _RELATIONS[key]
        self._claim = names.claim
        self._read = claim_reader(names.claim)
        self._names = names.names
        self._logged: set[str] = set()

    def named_by(self, token: AccessToken) -> frozenset[str] | None:
        """The names that the token's claim stands for; None if the claim is elsewhere.

        An issuer refers to a claim by `_claim_names` (OpenID Connect Core section 5.6.2) if it is too long. A claim that
        is absent or null, or is not text, a list or an object, names none: some issuers omit an empty claim.
        """
        found = self._read(token.claims)
        elsewhere = token.claims.get("_claim_names")
        if isinstance(elsewhere, Mapping) and outermost(self._claim) in elsewhere:
            self._log("is elsewhere (_claim_names), so it changes no")
            return None
        if found is None:
            self._log("is not in a token, whose person gets none of the")
        values = _values(found)
        return frozenset(name for value, name in self._names if value in values)

    def _log(self, cause: str) -> None:
        if cause not in self._logged:
            self._logged.add(cause)
            logger.info("USERS: the claim %r %s %s", self._claim, cause, self._key)

    def apply(self, user: Any, names: frozenset[str], database: str) -> None:
        """Give the user these names, and take the others of the map. Writes only what differs.

        A name without a row in the database is logged once, and gives nothing.
        """
        manager = getattr(user, self.relation)
        rows = self._rows(manager.model, database)
        self._log_missing({name for _value, name in self._names} - {name for name, _row in rows})
        wanted = {row.pk: row for name, row in rows if name in names}
        held = set(manager.using(database).filter(pk__in=[row.pk for _name, row in rows]).values_list("pk", flat=True))
        if missing := [row for pk, row in wanted.items() if pk not in held]:
            manager.add(*missing)
        if superfluous := held - wanted.keys():
            manager.remove(*superfluous)
        if missing or superfluous:
            for name in _PERMISSION_CACHES:
                if hasattr(user, name):  # the user may be a lazy object
                    delattr(user, name)

    def _rows(self, model: Any, database: str) -> list[tuple[str, Model]]:
        mapped = {name for _value, name in self._names}
        rows = model._default_manager.using(database)
        if self._key == "GROUPS":
            pairs = ((row.name, row) for row in rows.filter(name__in=mapped))
        else:
            codenames = {name.partition(".")[2] for name in mapped}
            found = rows.filter(codename__in=codenames).select_related("content_type")
            pairs = ((f"{row.content_type.app_label}.{row.codename}", row) for row in found)
        # Exactly: a database may ignore case and accents.
        return [(name, row) for name, row in pairs if name in mapped]

    def _log_missing(self, names: Iterable[str]) -> None:
        for name in sorted(set(names) - self._logged):
            self._logged.add(name)
            logger.error("USERS: %s names %r, which the database does not have", self._key, name)


def _values(claim: Any) -> frozenset[str]:
    """The texts in a claim. Of an object, the members that are objects: ZITADEL's roles, each with its organisations."""
    if isinstance(claim, str):
        return frozenset({claim})
    if isinstance(claim, Mapping):
        return frozenset(name for name, value in claim.items() if isinstance(value, Mapping))
    members = claim if isinstance(claim, list | tuple) else ()
    return frozenset(value for value in members if isinstance(value, str))
